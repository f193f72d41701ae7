"""A number that moves over the epochs in which both operands are binary, and layers whose slope it is."""

import torch
from torch import nn

from nas_service.binarization.annealing import AnnealedConv2d, AnnealedState
from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import Phase
from nas_service.binarization.sign import tent, window
from search_spaces.cost import ConvShape

SHAPE = ConvShape(in_channels=2, out_channels=2, kernel_size=1)


def _moving(network: nn.Module) -> tuple[AnnealedState, list[float]]:
    seen: list[float] = []
    layers = binary_layers([network])
    return AnnealedState(layers, "reach", lambda progress: 1 + progress, lambda _, reach: seen.append(reach)), seen


def test_every_layer_moves_with_every_epoch_of_the_last_phase_alone() -> None:
    state, seen = _moving(nn.ModuleList([AnnealedConv2d(SHAPE, tent), AnnealedConv2d(SHAPE, tent)]))
    assert state.metrics() == {"reach": 1.0}
    state.start_phase(Phase("train", 4), nn.Module())  # after 6 epochs of another
    for epoch in range(6, 10):
        state.start_epoch(epoch, 10)
    assert seen == [1.0, 1.0, 1.25, 1.25, 1.5, 1.5, 1.75, 1.75]
    assert state.metrics() == {"reach": 1.75}


def test_without_phases_the_whole_training_is_the_span() -> None:
    state, seen = _moving(AnnealedConv2d(SHAPE, tent))
    state.start_epoch(1, 2)
    assert seen == [1.5]


def test_layers_are_no_part_of_what_is_checkpointed() -> None:
    state, _ = _moving(AnnealedConv2d(SHAPE, tent))
    assert not state.state_dict()
    assert not list(state.parameters())


def test_both_operands_follow_a_slope_in_training_and_the_input_has_the_first_in_evaluation() -> None:
    layer = AnnealedConv2d(SHAPE, tent)
    layer.follow(window)
    for training, slope in ((True, window), (False, tent)):
        inputs = torch.tensor([0.25, 2.0]).view(1, 2, 1, 1).requires_grad_()
        layer.train(training).binary_input(inputs).sum().backward()
        assert inputs.grad is not None
        assert torch.equal(inputs.grad, slope(inputs.detach()))
    weight = layer.train().binary_weight()
    (gradient,) = torch.autograd.grad(weight.sum(), layer.weight)
    assert torch.equal(gradient, window(layer.weight.detach()))

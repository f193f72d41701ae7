"""RBCN's pruning phase, rule by rule."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import Step
from nas_service.binarization.methods.rbcn import RbcnConv2d, RbcnState
from nas_service.binarization.network import binary_network
from nas_service.export.packed import deploy, freeze_network
from nas_service.training.state.checkpoint import Checkpoint
from search_spaces.cost import ConvShape
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.nas_service.binarization.methods.rbcn_cases import (
    EVERY_SCALE,
    SHAPES,
    forward_step,
    make_layer,
    make_method,
    make_student,
    make_trainer,
    train,
)
from tests.samples import GREY_8, tiny_genotype, values_with_zeros


def test_pruning_is_a_second_phase() -> None:
    phases = make_method(prune=0.3, pruning_epochs=0.25).phases(8)
    assert [(phase.name, phase.epochs) for phase in phases] == [("train", 6), ("prune", 2)]
    assert [(phase.name, phase.epochs) for phase in make_method().phases(8)] == [("train", 8)]
    with pytest.raises(ValueError, match="at least 2 epochs"):
        make_method(prune=0.3).phases(1)


def test_depthwise_layers_have_no_mask_and_others_have_one_only_where_filters_are_pruned() -> None:
    assert make_layer(SHAPES[2], prune=0.5).mask is None
    assert make_layer(prune=0.5).mask is not None
    assert make_layer().mask is None


@EVERY_SCALE
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[1], SHAPES[3]], ids=["dense", "dilated-stride", "pointwise"])
def test_a_pruned_frozen_layer_is_smaller_and_equals_the_masked_live_one(shape: ConvShape, scale: str) -> None:
    method = make_method(scale=scale, prune=0.5)
    layer = method(shape).eval()
    assert isinstance(layer, RbcnConv2d)
    assert layer.mask is not None
    kept = [0, 2]
    with torch.no_grad():
        layer.mask.values.copy_(torch.linspace(-0.8, 1.2, shape.out_channels))
        layer.mask.pruned.fill_(True)  # noqa: FBT003 - torch's own signature
        layer.mask.pruned[kept] = False
    inputs = values_with_zeros(3, shape.in_channels, 9, 9, seed=2)
    frozen = method.freeze(layer)
    assert frozen.filters == 2
    assert frozen.bits.numel() == -(-2 * shape.fan_in // 8)
    live, deployed = layer(inputs), deploy(frozen)(inputs)
    torch.testing.assert_close(deployed, live, rtol=1e-5, atol=1e-5)  # sums of at most 100 floats of about 1, rounded to 2^-24
    if scale != "spatial":
        assert torch.equal(deployed, live)
    silent = [index for index in range(shape.out_channels) if index not in kept]
    assert torch.count_nonzero(live[:, silent]) == torch.count_nonzero(deployed[:, silent]) == 0
    assert all(torch.count_nonzero(live[:, index]) > 0 for index in kept)


def _pruning_step(**settings: Any) -> tuple[Network, RbcnState, Step]:  # noqa: ANN401 - as above
    torch.manual_seed(1)
    method = make_method(prune=0.4, **settings)
    student = binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8).train()
    state = method.start(student)
    assert isinstance(state, RbcnState)
    state.start_phase(method.phases(4)[1], student)
    state.start_epoch(2, 4)
    return student, state, forward_step(student, state, torch.rand(8, 1, 8, 8))[0]


def _all_masks(network: nn.Module) -> list[Tensor]:
    return [layer.mask() for layer in binary_layers([network]) if isinstance(layer, RbcnConv2d) and layer.mask is not None]


def test_the_data_loss_is_half_the_mean_squared_distance_to_the_logits_before_pruning() -> None:
    _, state, step = _pruning_step(data_weight=3.0)
    state.adversary_step(step)
    torch.manual_seed(1)
    untouched = make_student(prune=0.4).eval()
    with torch.no_grad():
        before = untouched(step.images)
    expected = 3.0 * (before - step.logits).square().sum() / 16
    torch.testing.assert_close(state.losses(step)["data"], expected)


def test_the_baseline_stays_as_it_was_when_pruning_began() -> None:
    student, state, _ = _pruning_step()
    assert state.pruning is not None
    before = {name: tensor.clone() for name, tensor in state.pruning.baseline.state_dict().items()}
    assert all(torch.equal(before[name], tensor) for name, tensor in student.named_parameters())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.pruning.baseline.state_dict().items())


@pytest.mark.parametrize("adversarial_weight", [0.0, 1.0])
def test_masks_follow_the_data_and_adversarial_losses_alone(adversarial_weight: float) -> None:
    """The task's loss and the kernel loss do not reach them; without momentum or l1 one step is minus eta times the gradient."""
    student, state, step = _pruning_step(adversarial_weight=adversarial_weight, mask_sparsity=0, mask_learning_rate=1)
    state.adversary_step(step)
    losses = state.losses(step)
    layers = [layer for layer in binary_layers([student]) if isinstance(layer, RbcnConv2d)]
    leaves = [layer.mask.leaf for layer in layers if layer.mask is not None and layer.mask.leaf is not None]
    total = losses["data"] + (losses["adversarial"] if adversarial_weight else 0)
    expected = torch.autograd.grad(total, leaves, retain_graph=True)
    (F.cross_entropy(step.logits, step.labels) + torch.stack(list(losses.values())).sum()).backward()
    state.end_step(layers)
    moved = _all_masks(student)
    assert len(moved) == len(expected) == 8
    assert any(torch.count_nonzero(gradient) > 0 for gradient in expected)
    for mask, gradient in zip(moved, expected, strict=True):
        torch.testing.assert_close(mask, 1 - gradient)


def test_masks_stay_put_where_the_weights_are_fixed() -> None:
    """In the pass for batch norms the forward pass uses M_k, as evaluation does, not the point y_k that training runs at."""
    layer = make_layer(prune=0.5).train()
    assert layer.mask is not None
    layer.mask.learning = True
    layer.mask.point.fill_(2)
    inputs = values_with_zeros(2, 3, 5, 5)
    moving = layer(inputs)
    layer.weight.requires_grad_(False)  # noqa: FBT003 - torch's own signature
    fixed = layer(inputs)
    assert torch.equal(fixed, layer.eval()(inputs))
    torch.testing.assert_close(moving, 2 * fixed)


def test_the_pruning_phase_has_discriminators_of_its_own_that_doubt() -> None:
    student, state, step = _pruning_step()
    of_teacher, of_baseline = state.adversaries.values()
    assert state.adversary is of_baseline
    before = {name: tensor.clone() for name, tensor in of_teacher.state_dict().items()}
    untouched = _pruning_step()[1].adversary
    state.adversary_step(step)
    assert all(torch.equal(before[name], tensor) for name, tensor in of_teacher.state_dict().items())
    assert state.pruning is not None
    assert untouched is not None
    real = state.pruning.watch(step.images, state.taps)
    untouched.ascend(real, step.taps, doubt=True)
    assert all(torch.equal(one, other) for one, other in zip(untouched.parameters(), state.adversary.parameters(), strict=True))
    assert set(state.optimizers()) == {"teacher", "baseline"}
    del student


def test_the_wanted_share_is_exactly_zero_at_the_end_and_the_frozen_network_is_smaller() -> None:
    method = make_method(prune=0.4, adversarial_weight=0.1, mask_learning_rate=0.01)
    trainer = make_trainer(method, 4, max_steps_per_epoch=3)
    removed = [report.extra.get("pruned_filters") for report in trainer.fit()]
    masks = _all_masks(trainer.network)
    total = sum(len(mask) for mask in masks)
    gone = sum(int((mask == 0).sum()) for mask in masks)
    assert removed == [None, None, gone, gone]
    assert gone == round(0.4 * total)
    assert all(int(torch.count_nonzero(mask)) >= 1 for mask in masks)
    assert all(bool((mask[mask != 0] != 1).any()) for mask in masks)
    frozen = freeze_network(trainer.network, method)
    images = torch.rand(5, 1, 8, 8)
    with torch.no_grad():  # eight layers of 1e-5 each
        torch.testing.assert_close(frozen(images), trainer.network.eval()(images), rtol=1e-4, atol=1e-4)
    bits = [
        sum(value.numel() for name, value in part.state_dict().items() if name.endswith("bits"))
        for part in (frozen, freeze_network(make_student(), make_method()))
    ]
    assert bits[0] < bits[1]


def test_pruned_filters_put_out_zeros_before_the_next_batch_norm() -> None:
    trainer = train(make_method(prune=0.5, adversarial_weight=0), epochs=2)
    network = trainer.network.eval()
    layers = [layer for layer in binary_layers([network]) if isinstance(layer, RbcnConv2d)]
    outputs: dict[int, Tensor] = {}
    for index, layer in enumerate(layers):
        layer.register_forward_hook(lambda _, __, output, index=index: outputs.__setitem__(index, output))
    with torch.no_grad():
        network(torch.rand(3, 1, 8, 8))
    silent = 0
    for index, layer in enumerate(layers):
        assert layer.mask is not None
        silent += int(layer.mask.pruned.sum())
        assert torch.count_nonzero(outputs[index][:, layer.mask.pruned]) == 0
    assert silent > 0


def test_an_average_of_the_network_is_pruned_as_well() -> None:
    trainer = train(make_method(prune=0.4, adversarial_weight=0), epochs=4, ema_decay=0.9)
    masks = _all_masks(trainer.network)
    assert sum(int((mask == 0).sum()) for mask in masks) == round(0.4 * sum(len(mask) for mask in masks))


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_training_resumed_before_or_while_pruning_equals_the_uninterrupted_one(done: int) -> None:
    method = make_method(prune=0.4)
    whole = train(method, epochs=4)
    interrupted = make_trainer(method, 4)
    reports = interrupted.fit()
    for _ in range(done):
        next(reports)
    resumed = make_trainer(method, 4)
    resumed.restore(Checkpoint.from_bytes(interrupted.checkpoint().to_bytes()))
    assert len(list(resumed.fit())) == 4 - done
    for expected, actual in ((whole.network, resumed.network), (whole._state, resumed._state)):
        state = actual.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in expected.state_dict().items())

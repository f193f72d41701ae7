"""BNN (reference: Courbariaux et al. 2016), rule by rule."""

import torch
from torch import nn

from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.bnn import Bnn
from nas_service.binarization.network import binary_network
from nas_service.binarization.shift_norm import ShiftBatchNorm2d
from nas_service.export.packed import freeze_network
from nas_service.export.real_layers import BatchNorm2d
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.rounding import differing, pixels
from tests.samples import GREY_8, digits, tiny_genotype

SHAPE = ConvShape(in_channels=3, out_channels=5, kernel_size=3, padding=1)


def _optimizer(layer: torch.nn.Module, method: Bnn, learning_rate: float, name: OptimizerName) -> RuledOptimizer:
    parameters = ruled_parameters(dict(layer.named_parameters()), [layer], method)  # type: ignore[list-item]  # made by the method
    return RuledOptimizer(parameters, name, learning_rate, weight_decay=0.1)


def _bnn(**settings: bool) -> Bnn:
    method = METHODS.get("bnn").from_settings(settings)
    assert isinstance(method, Bnn)
    return method


def test_latent_weights_stay_within_one_after_every_step() -> None:
    method = _bnn()
    layer = method(SHAPE)
    optimizer = _optimizer(layer, method, 10.0, OptimizerName.SGD)
    for step in range(3):
        layer(torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(step))).square().sum().backward()
        optimizer.step(1.0)
        assert float(layer.weight.detach().abs().max()) <= 1
    assert float(layer.weight.detach().abs().max()) == 1  # the learning rate was large enough for the clip to matter


def test_the_latent_step_is_scaled_after_glorot() -> None:
    """W_LR_scale = 1 / sqrt(1.5 / (fan in + fan out)) = sqrt((27 + 45) / 1.5): with Adam once, with SGD squared."""
    method = _bnn()
    layer = method(SHAPE)
    # Nesterov's first step with momentum 0.9 moves by (1 + 0.9) times the gradient, Adam's by the learning rate.
    for name, expected in ((OptimizerName.SGD, 1e-3 * 72 / 1.5 * 1.9 * 0.5), (OptimizerName.ADAM, 1e-3 * (72 / 1.5) ** 0.5)):
        with torch.no_grad():
            layer.weight.zero_()
        optimizer = _optimizer(layer, method, 1e-3, name)
        layer.weight.grad = torch.full_like(layer.weight, 0.5)
        optimizer.step(1.0)
        assert torch.allclose(layer.weight, torch.full_like(layer.weight, -expected), rtol=1e-6)


def test_weight_decay_leaves_latent_weights_alone() -> None:
    method = _bnn()
    layer = method(SHAPE)
    before = layer.weight.detach().clone()
    optimizer = _optimizer(layer, method, 1e-2, OptimizerName.SGD)
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimizer.step(1.0)
    assert torch.equal(layer.weight, before)


def test_latent_weights_move_while_their_signs_stay_for_a_small_learning_rate() -> None:
    """Code that overwrote W with sign(W) would fail here."""
    method = _bnn()
    layer = method(SHAPE)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.sign() * 0.5)
    before = layer.weight.detach().clone()
    optimizer = _optimizer(layer, method, 1e-6, OptimizerName.ADAM)
    layer(torch.randn(2, 3, 5, 5)).square().sum().backward()
    optimizer.step(1.0)
    assert not torch.equal(layer.weight, before)
    assert torch.equal(layer.weight.sign(), before.sign())


def test_weight_gradients_are_not_masked() -> None:
    """dL/dW = dL/dsign(W) even where |W| > 1, unlike XNOR-Net."""
    layer = _bnn()(SHAPE)
    with torch.no_grad():
        layer.weight.fill_(3.0)
    layer(torch.ones(1, 3, 5, 5)).sum().backward()
    assert layer.weight.grad is not None
    assert torch.count_nonzero(layer.weight.grad) == layer.weight.numel()


def test_outputs_are_integers_without_a_scale() -> None:
    outputs = _bnn()(SHAPE)(torch.randn(2, 3, 5, 5))
    assert torch.equal(outputs, outputs.round())
    assert int(outputs.abs().max()) > 1


def test_stochastic_signs_are_random_in_training_and_deterministic_in_evaluation() -> None:
    layer = _bnn(stochastic_weights=True, stochastic_activations=True)(SHAPE)
    inputs = torch.rand(2, 3, 5, 5) - 0.5
    layer.train()
    assert not torch.equal(layer(inputs), layer(inputs))
    layer.eval()
    assert torch.equal(layer(inputs), layer(inputs))
    assert torch.equal(layer(inputs), _copy_of(layer)(inputs))


def _copy_of(layer: torch.nn.Module) -> torch.nn.Module:
    deterministic = _bnn()(SHAPE).eval()
    deterministic.load_state_dict(layer.state_dict())
    return deterministic


def test_the_activation_gradient_is_zero_exactly_outside_one_and_unchanged_inside() -> None:
    layer = _bnn()(SHAPE)
    inputs = torch.tensor([-1.5, -1.0, -0.3, -0.0, 0.7, 1.0, 1.0001, 9.0]).requires_grad_()
    direction = torch.arange(1.0, 9.0)
    layer.binary_input(inputs).backward(direction)
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [0, 2, 3, 4, 5, 6, 0, 0]


def test_the_mean_of_stochastic_signs_is_the_clipped_value() -> None:
    """Within 4 standard errors of n draws, each with standard deviation sqrt(1 - m^2); exactly where |m| = 1."""
    layer = _bnn(stochastic_weights=True, stochastic_activations=True)(SHAPE).train()
    draws = 10_000
    for value in (-2.0, -0.6, 0.0, 0.3, 1.0):
        mean = min(1.0, max(-1.0, value))
        inputs = torch.full((draws,), value)
        error = 4 * (1 - mean**2) ** 0.5 / draws**0.5
        assert abs(float(layer.binary_input(inputs).mean()) - mean) <= error
        assert abs(float(layer.weight_sign(inputs).mean()) - mean) <= error


def _norms(network: nn.Module) -> list[type[nn.Module]]:
    return [type(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_batch_norms_shift_only_if_asked() -> None:
    space = SPACES.get("tiny")
    plain, shifting = (binary_network(space, tiny_genotype(), _bnn(shift_batch_norm=asked), GREY_8) for asked in (False, True))
    assert set(_norms(plain)) == {nn.BatchNorm2d}
    assert _norms(shifting) == [ShiftBatchNorm2d] * len(_norms(plain))


def test_a_network_with_shifts_learns_and_freezes_into_plain_batch_norms() -> None:
    """Their factors are the powers of two; a sign may flip, since real layers round in another way."""
    method = _bnn(shift_batch_norm=True)
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, Recipe(epochs=3), seed=0)
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"))
    reports = list(trainer.fit())
    assert reports[-1].train_loss < 0.9 * reports[0].train_loss
    frozen = freeze_network(trainer.network, method)
    norms = [module for module in frozen.modules() if isinstance(module, BatchNorm2d)]
    assert len(norms) == len(_norms(trainer.network))
    assert not _norms(frozen)
    assert all(bool((norm.alpha.frexp().mantissa.abs() == 0.5).all()) for norm in norms)
    images = pixels(GREY_8, 64)
    assert differing(frozen(images), trainer.network.eval()(images)) <= 1

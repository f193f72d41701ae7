"""BNN (reference: Courbariaux et al. 2016), rule by rule."""

import torch

from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.bnn import Bnn
from nas_service.training.optimization import RuledOptimizer, ruled_parameters
from nas_service.training.recipes import OptimizerName
from search_spaces.cost import ConvShape

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
    """W_LR_scale = 1 / sqrt(1.5 / (fan in + fan out)) = sqrt((27 + 45) / 1.5), on plain gradient descent."""
    method = _bnn()
    layer = method(SHAPE)
    with torch.no_grad():
        layer.weight.zero_()
    optimizer = _optimizer(layer, method, 1e-3, OptimizerName.SGD)
    layer.weight.grad = torch.full_like(layer.weight, 0.5)
    optimizer.step(1.0)
    # Nesterov's first step with momentum 0.9 moves by (1 + 0.9) times the gradient.
    expected = -1e-3 * (72 / 1.5) ** 0.5 * 1.9 * 0.5
    assert torch.allclose(layer.weight, torch.full_like(layer.weight, expected), rtol=1e-6)


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

"""BiPer (Vargas et al. 2024), rule by rule."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS, Step
from nas_service.binarization.methods.biper import Biper, BiperConv2d
from nas_service.export.packed import deploy
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.phases import REAL_WEIGHTS, plan_phases
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)
OMEGA = 20.0
FREE = {"penalty": 0.0, "real_stage_penalty": 0.0}


def _layer(shape: ConvShape = SHAPE, **settings: float) -> BiperConv2d:
    layer = METHODS.get("biper").from_settings(settings)(shape)
    assert isinstance(layer, BiperConv2d)
    return layer


def _trainer(recipe: Recipe, settings: dict[str, Any] | None = None) -> CandidateTrainer:
    method = METHODS.get("biper").from_settings(settings or {})
    return CandidateTrainer(
        CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, recipe, seed=0), digits(), torch.device("cpu")
    )


def _wave(weight: Tensor) -> Tensor:
    """sin(omega w) value by value, in plain arithmetic."""
    values = [math.sin(OMEGA * value) for value in weight.detach().flatten().tolist()]
    return torch.tensor(values, dtype=torch.float64).view_as(weight)


def _slope(weight: Tensor) -> Tensor:
    values = [OMEGA * math.cos(OMEGA * value) for value in weight.detach().flatten().tolist()]
    return torch.tensor(values, dtype=torch.float64).view_as(weight)


def _input_gradient(inputs: Tensor, signs_gradient: Tensor) -> Tensor:
    """dL/dx of the tent at u = x / sigma, sigma^2 the unbiased variance of a sample plus 1e-5: the authors' way, by autograd."""
    leaf = inputs.detach().clone().requires_grad_()
    normal = leaf / (leaf.flatten(1).var(1).view(-1, 1, 1, 1) + 1e-5).sqrt()
    normal.backward(signs_gradient * (2 - 2 * normal.detach().abs()).clamp_min(0))
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("real", [False, True], ids=["square-wave", "sine"])
def test_outputs_and_all_gradients_are_the_published_ones_in_both_stages(real: bool) -> None:  # noqa: FBT001 - a parameter
    """In float64, from an ordinary convolution with alpha b, b the wave's sign, or the wave itself in the first stage."""
    layer = _layer().to(torch.float64)
    layer.real_weights = real
    with torch.no_grad():
        layer.weight.normal_(std=0.3)  # phases of 6 radians: several crests
    inputs = (torch.randn(2, 3, 5, 5, dtype=torch.float64) * 2 + 0.3).requires_grad_()
    out_gradient = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    outputs = layer(inputs)
    outputs.backward(out_gradient)

    wave = _wave(layer.weight)
    bits = (wave if real else torch.where(wave >= 0, 1.0, -1.0).to(torch.float64)).requires_grad_()
    alpha = layer.alpha.detach().clone().requires_grad_()
    signs = torch.where(inputs.detach() >= 0, 1.0, -1.0).to(torch.float64).requires_grad_()
    expected = alpha.view(-1, 1, 1) * F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), bits)
    expected.backward(out_gradient)
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    assert bits.grad is not None
    assert signs.grad is not None
    assert layer.weight.grad is not None
    assert layer.alpha.grad is not None
    assert alpha.grad is not None
    assert inputs.grad is not None
    torch.testing.assert_close(layer.weight.grad, bits.grad * _slope(layer.weight), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(layer.alpha.grad, alpha.grad, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(inputs.grad, _input_gradient(inputs, signs.grad), rtol=1e-10, atol=1e-12)


def test_the_first_stage_agrees_with_finite_differences() -> None:
    layer = _layer(ConvShape(in_channels=2, out_channels=2, kernel_size=3)).to(torch.float64)
    layer.real_weights = True
    inputs = torch.randn(1, 2, 4, 4, dtype=torch.float64)

    def outputs(weight: Tensor, alpha: Tensor) -> Tensor:
        found = torch.func.functional_call(layer, {"weight": weight, "alpha": alpha}, (inputs,))
        assert isinstance(found, Tensor)
        return found

    assert torch.autograd.gradcheck(outputs, (layer.weight, layer.alpha), rtol=1e-6)


def test_bits_are_a_square_wave_of_the_latent_weight() -> None:
    """+1 on [0, pi / omega), -1 on the next half period, and so on; 0 and -0 are +1."""
    layer = _layer(ConvShape(in_channels=1, out_channels=8, kernel_size=1))
    half = math.pi / OMEGA
    phases = [0.0, -0.0, 0.5 * half, 1.5 * half, 2.5 * half, -0.5 * half, -1.5 * half, 41.5 * half]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(phases).view(-1, 1, 1, 1))
    for training in (True, False):
        assert layer.train(training).binary_weight().flatten().tolist() == [1, 1, 1, -1, 1, -1, 1, -1]


@pytest.mark.parametrize(("real", "weight"), [(True, 0.037), (False, 0.0468)])
def test_the_loss_is_the_mean_of_the_squared_sine_summed_over_the_layers(real: bool, weight: float) -> None:  # noqa: FBT001 - a parameter
    """As the authors' code writes it, 0.5 - 0.5 cos(2 omega w), and its gradient tau omega sin(2 omega w) / n."""
    layers: list[BinaryConv2d] = [
        _layer().to(torch.float64),
        _layer(ConvShape(in_channels=2, out_channels=3, kernel_size=1)).double(),
    ]
    for layer in layers:
        layer.real_weights = real
    empty = torch.zeros(1, dtype=torch.float64)
    step = Step(layers=layers, images=empty, labels=empty, features=empty, logits=empty)
    (loss,) = METHODS.get("biper").from_settings({}).start(layers[0]).losses(step).values()
    expected = sum(weight * float((0.5 - 0.5 * (2 * OMEGA * layer.weight.detach()).cos()).mean()) for layer in layers)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    loss.backward()
    for layer in layers:
        assert layer.weight.grad is not None
        known = weight * OMEGA * (2 * OMEGA * layer.weight.detach()).sin() / layer.weight.numel()
        torch.testing.assert_close(layer.weight.grad, known, rtol=1e-10, atol=1e-14)


def test_two_stages_convolve_the_sine_first_and_its_sign_then_from_the_same_weights() -> None:
    trainer = _trainer(Recipe(epochs=4, max_steps_per_epoch=2, real_weight_stage=0.5))
    reports = trainer.fit()
    layers = binary_layers([trainer.network])
    inputs = torch.randn(1, layers[0].shape.in_channels, 6, 6)
    assert [next(reports).phase for _ in range(2)] == [REAL_WEIGHTS, REAL_WEIGHTS]
    before = [layer.weight.detach().clone() for layer in layers]
    with torch.no_grad():
        layer = layers[0].eval()
        assert isinstance(layer, BiperConv2d)
        torch.testing.assert_close(layer(inputs), layer.convolve(inputs, layer.wave()) * layer.alpha.view(-1, 1, 1))
        layer.real_weights = False
        known = layer.convolve(inputs, torch.where(layer.wave() >= 0, 1.0, -1.0)) * layer.alpha.view(-1, 1, 1)
        assert torch.equal(layer(inputs), known)
        layer.real_weights = True
    assert [report.phase for report in reports] == ["train", "train"]
    assert not any(layer.real_weights for layer in layers)
    assert all(not torch.equal(old, layer.weight) for old, layer in zip(before, layers, strict=True))


def _after_one_real_epoch(settings: dict[str, float]) -> list[Tensor]:
    trainer = _trainer(Recipe(epochs=2, max_steps_per_epoch=2, real_weight_stage=0.5), settings)
    next(trainer.fit())
    return [layer.weight.detach() for layer in binary_layers([trainer.network])]


def test_the_loss_takes_part_in_the_first_stage_with_a_weight_of_its_own() -> None:
    free = _after_one_real_epoch(FREE)
    later, first = (_after_one_real_epoch({**FREE, name: 1.0}) for name in ("penalty", "real_stage_penalty"))
    assert all(torch.equal(*pair) for pair in zip(free, later, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(free, first, strict=True))


def test_a_training_resumed_in_either_stage_equals_the_uninterrupted_one() -> None:
    recipe = Recipe(epochs=4, max_steps_per_epoch=2, real_weight_stage=0.5)
    whole = _trainer(recipe)
    list(whole.fit())
    for done in (1, 2, 3):
        interrupted, resumed = _trainer(recipe), _trainer(recipe)
        for _ in zip(range(done), interrupted.fit(), strict=False):
            pass
        resumed.restore(interrupted.checkpoint())
        list(resumed.fit())
        expected, actual = whole.network.state_dict(), resumed.network.state_dict()
        assert all(torch.equal(expected[key], actual[key]) for key in expected)


def test_a_small_frequency_is_a_layer_of_plain_signs_bit_for_bit() -> None:
    """A sine of small phases has the signs of its weights, and weights get omega times the gradient of theirs."""
    layer, baseline = (
        _layer(frequency=0.01),
        BinaryConv2d(SHAPE, weight_sign=_layer().weight_sign, activation_sign=_layer().activation_sign),
    )
    with torch.no_grad():
        layer.alpha.fill_(1)
        baseline.weight.copy_(layer.weight)
    ours, theirs = (torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    outputs, expected = layer(ours), baseline(theirs)
    assert torch.equal(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
    assert layer.weight.grad is not None
    assert baseline.weight.grad is not None
    # cos of phases below 0.002 is 1 within 2e-6.
    torch.testing.assert_close(layer.weight.grad, 0.01 * baseline.weight.grad, rtol=4e-6, atol=0)


def test_frozen_bits_are_those_of_the_wave() -> None:
    layer = _layer().eval()
    with torch.no_grad():
        layer.weight.uniform_(0, 1)  # all latent signs are +1
    frozen = METHODS.get("biper").from_settings({}).freeze(layer)
    assert 0 < sum(int(byte).bit_count() for byte in frozen.bits) < layer.weight.numel()
    inputs = values_with_zeros(2, 3, 6, 6)
    assert torch.equal(deploy(frozen)(inputs), layer(inputs))


@pytest.mark.parametrize("name", ["frequency", "penalty", "real_stage_penalty"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        METHODS.get("biper").from_settings({name: -1.0})


def test_the_paper_s_recipe_has_600_epochs_of_the_sine_and_300_of_its_sign() -> None:
    recipe = Recipe.model_validate(Biper.paper_recipe)
    first, second = plan_phases(METHODS.get("biper").from_settings({}), recipe)
    assert (first.name, first.epochs, second.epochs) == (REAL_WEIGHTS, 600, 300)
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("sgd", 0.021, 1.6e-3)

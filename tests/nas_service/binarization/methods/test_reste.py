"""ReSTE (Wu et al. 2023), rule by rule."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.reste import PowerSlope, Reste, ResteConv2d
from nas_service.export.packed import deploy
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)
T, M, O_END = 1.5, 0.1, 3.0


def _layer(shape: ConvShape = SHAPE, **settings: float) -> ResteConv2d:
    layer = METHODS.get("reste").from_settings(settings)(shape)
    assert isinstance(layer, ResteConv2d)
    return layer


def _trainer(recipe: Recipe) -> CandidateTrainer:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), METHODS.get("reste").from_settings({}), recipe, seed=0)
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


def _slope(values: Tensor, power: float) -> Tensor:
    """The slope f' value by value, in plain arithmetic."""

    def one(value: float) -> float:
        size = abs(value)
        if size > T:
            return 0.0
        return math.pow(M, 1 / power) / M if size <= M else math.pow(size, 1 / power - 1) / power

    return torch.tensor([one(value) for value in values.flatten().tolist()], dtype=torch.float64).view_as(values)


def _sign(values: Tensor) -> Tensor:
    return torch.where(values >= 0, 1.0, -1.0).to(values.dtype)


@pytest.mark.parametrize("power", [1.0, 1.5, 3.0])
def test_both_gradients_are_those_of_the_power_function_and_alpha_has_its_own_part(power: float) -> None:
    """Forward and backward in float64, dL/dW^ from an ordinary convolution with W^ = alpha sign(W)."""
    layer = _layer().to(torch.float64)
    layer.follow(PowerSlope(power, T, M))
    with torch.no_grad():
        layer.weight.normal_()
        layer.weight[0, 0, 0] = torch.tensor([0.05, -0.05, M])  # in the core, and at its edge
        layer.weight[1, 0, 0] = torch.tensor([T, -T, 1.6])  # at the end of the reach, and beyond
    inputs = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    inputs[0, 0, 0] = torch.tensor([0.0, M, -M, T, -2.0])
    inputs.requires_grad_()
    out_gradient = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    outputs = layer(inputs)
    outputs.backward(out_gradient)

    weight = layer.weight.detach()
    alpha = float(weight.abs().sum()) / weight.numel()
    kernel = (alpha * _sign(weight)).requires_grad_()
    signs = _sign(inputs.detach()).requires_grad_()
    expected = F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), kernel)
    expected.backward(out_gradient)
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    assert kernel.grad is not None
    assert signs.grad is not None
    assert inputs.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(inputs.grad, signs.grad * _slope(inputs.detach(), power), rtol=1e-12, atol=1e-12)
    of_alpha = _sign(weight) * float((kernel.grad * _sign(weight)).sum()) / weight.numel()
    found = alpha * kernel.grad * _slope(weight, power) + of_alpha
    torch.testing.assert_close(layer.weight.grad, found, rtol=1e-11, atol=1e-11)


def test_outside_the_core_the_slope_is_the_derivative_of_the_power_function() -> None:
    """By autograd of sign(v) |v|^(1/o)."""
    values = torch.linspace(0.11, 1.49, 139, dtype=torch.float64)
    values = torch.cat([-values.flip(0), values]).requires_grad_()
    (expected,) = torch.autograd.grad((values.sign() * values.abs() ** (1 / 2.5)).sum(), values)
    torch.testing.assert_close(PowerSlope(2.5, T, M)(values.detach()), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_the_gradient_s_integral_over_the_reach_is_the_height_that_the_power_function_climbs(power: float) -> None:
    """2 t^(1/o), whatever m is: the chord climbs as high as the curve it replaces."""
    grid = torch.linspace(-T, T, 300_001, dtype=torch.float64)
    # Two jumps at m and two ends, each wrong by at most a step of 1e-5 times 4.7; the smooth part is far better.
    assert abs(float(torch.trapezoid(PowerSlope(power, T, M)(grid), grid)) - 2 * T ** (1 / power)) < 2e-4


def test_the_slope_is_finite_at_zero_and_largest_in_the_core() -> None:
    slopes = PowerSlope(O_END, T, M)(torch.tensor([0.0, -0.0, M, 0.2, T, 1.51], dtype=torch.float64)).tolist()
    assert slopes[0] == slopes[1] == slopes[2] == pytest.approx(0.1 ** (-2 / 3), rel=1e-12)
    assert slopes[2] > slopes[3] > slopes[4] > slopes[5] == 0


def test_o_rises_from_1_along_a_cosine_in_every_layer_for_both_operands() -> None:
    trainer = _trainer(Recipe(epochs=4, max_steps_per_epoch=1))
    for epoch, report in enumerate(trainer.fit()):
        expected = 1 + (O_END - 1) * (1 - math.cos(math.pi / 2 * epoch / 4))
        assert report.extra["power"] == pytest.approx(expected, rel=1e-12)
        for layer in binary_layers([trainer.network]):
            for estimator in (layer.weight_sign, layer.activation_sign):
                one = torch.ones(1, dtype=torch.float64, requires_grad=True)
                estimator(one).backward()
                assert one.grad is not None
                assert float(one.grad) == pytest.approx(1 / expected, rel=1e-12)
    state = METHODS.get("reste").from_settings({}).start(trainer.network)
    state.start_epoch(4, 4)
    assert state.metrics()["power"] == pytest.approx(O_END, rel=1e-12)


def test_a_first_stage_with_real_weights_does_not_use_up_the_schedule() -> None:
    reports = list(_trainer(Recipe(epochs=4, max_steps_per_epoch=1, real_weight_stage=0.5)).fit())
    assert [report.extra["power"] for report in reports[2:]] == pytest.approx([1, 1 + 2 * (1 - math.sqrt(0.5))])


def test_a_resumed_training_continues_with_its_own_o() -> None:
    recipe = Recipe(epochs=3, max_steps_per_epoch=1)
    first, second = _trainer(recipe), _trainer(recipe)
    next(first.fit())
    second.restore(first.checkpoint())
    assert next(second.fit()).extra == next(first.fit()).extra


def test_an_attack_s_gradient_does_not_depend_on_the_schedule() -> None:
    layer = _layer().eval()
    inputs = torch.randn(1, 3, 5, 5, requires_grad=True)
    gradients = []
    for power in (1.0, O_END):
        layer.follow(PowerSlope(power, T, M))
        gradients.append(torch.autograd.grad(layer(inputs).sum(), inputs)[0])
    assert torch.equal(*gradients)


def test_layers_share_a_sign_where_o_is_the_same_and_attacks_whatever_it_is() -> None:
    sharp, blunt = _layer(), _layer()
    assert sharp.sign_key() == blunt.sign_key() is not None
    sharp.follow(PowerSlope(2.0, T, M))
    assert sharp.sign_key() != blunt.sign_key()
    assert sharp.eval().sign_key() == blunt.eval().sign_key()


def test_with_o_at_1_a_training_step_is_that_of_clipped_signs_and_one_scale_bit_for_bit() -> None:
    """Baseline: XNOR-Net's estimator on both sides, whose window is 1 where ours is t; alpha by hand."""
    layer = _layer(reach=1.0)
    baseline = BinaryConv2d(SHAPE, weight_sign=layer.weight_sign, activation_sign=layer.activation_sign)
    xnor = METHODS.get("xnor-net").from_settings({})(SHAPE)
    assert isinstance(xnor, BinaryConv2d)
    baseline.weight_sign, baseline.activation_sign = xnor.weight_sign, xnor.activation_sign
    with torch.no_grad():
        layer.weight.normal_()
        baseline.weight.copy_(layer.weight)
    ours, theirs = (torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    outputs, expected = layer(ours), baseline(theirs) * baseline.weight.abs().mean()
    assert torch.equal(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    for found, known in ((ours.grad, theirs.grad), (layer.weight.grad, baseline.weight.grad)):
        assert found is not None
        assert known is not None
        assert torch.equal(found, known)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_at_zeros_of_either_sign(dtype: torch.dtype) -> None:
    layer = _layer().to(dtype)
    layer.follow(PowerSlope(O_END, T, M))
    with torch.no_grad():
        layer.weight.copy_(values_with_zeros(*layer.weight.shape, dtype=dtype))
    inputs = values_with_zeros(2, 3, 5, 5, dtype=dtype, seed=1).requires_grad_()
    layer(inputs).sum().backward()
    assert inputs.grad is not None
    assert layer.weight.grad is not None
    assert bool(inputs.grad.isfinite().all())
    assert bool(layer.weight.grad.isfinite().all())


def test_a_frozen_layer_keeps_one_scale_and_equals_the_live_one_bit_for_bit() -> None:
    layer = _layer().eval()
    frozen = METHODS.get("reste").from_settings({}).freeze(layer)
    assert frozen.scale is not None
    assert frozen.scale.shape == (1,)
    inputs = values_with_zeros(2, 3, 6, 6)
    assert torch.equal(deploy(frozen)(inputs), layer(inputs))


@pytest.mark.parametrize(
    ("name", "value"),
    [("last_power", 0.9), ("last_power", 101.0), ("reach", 0.9), ("reach", 101.0), ("core", 0.0), ("core", 1.0)],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        METHODS.get("reste").from_settings({name: value})


def test_the_paper_s_recipe_is_a_recipe() -> None:
    recipe = Recipe.model_validate(Reste.paper_recipe)
    assert (recipe.optimizer, recipe.weight_decay, recipe.warmup_epochs, recipe.epochs) == ("sgd", 1e-4, 5, 1000)


def test_weights_step_as_if_alpha_had_been_1_unless_the_published_gradient_is_asked_for() -> None:
    shape = ConvShape(in_channels=64, out_channels=64, kernel_size=3, padding=1)
    for settings, shrunk in (({}, 1.0), ({"restored_gradient": False}, 1 / (2 * math.sqrt(64 * 9)))):
        method = METHODS.get("reste").from_settings(settings)
        layer = method(shape)
        assert isinstance(layer, ResteConv2d)
        factor = method.rules(layer)["weight"].gradient_factor
        assert factor * float(layer.alpha()) == pytest.approx(shrunk, rel=0.02)

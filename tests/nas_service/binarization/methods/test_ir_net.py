"""IR-Net (Qin et al. 2020), rule by rule."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import nn

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.ir_net import DecayedSlope, IrNet, IrNetConv2d, balance
from nas_service.binarization.sign import identity_sign
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)
T_MIN, T_MAX = 1e-3, 10.0


def _layer(shape: ConvShape = SHAPE, **settings: float) -> IrNetConv2d:
    layer = METHODS.get("ir-net").from_settings(settings)(shape)
    assert isinstance(layer, IrNetConv2d)
    return layer


def _trainer(recipe: Recipe) -> CandidateTrainer:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), METHODS.get("ir-net").from_settings({}), recipe, seed=0)
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


def test_balanced_filters_have_mean_0_and_deviation_1() -> None:
    weight = balance(torch.randn(4, 3, 3, 3, dtype=torch.float64) * 0.1 + 5)
    # 27 values of magnitude 5 with relative rounding 1e-16, over a deviation of 0.1.
    torch.testing.assert_close(weight.mean((1, 2, 3)), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(weight.std((1, 2, 3)), torch.ones(4, dtype=torch.float64), rtol=1e-12, atol=0)


def test_bits_of_a_filter_far_from_zero_have_nearly_the_largest_entropy() -> None:
    """sign(W) itself would be one value, entropy 0."""
    layer = _layer(ConvShape(in_channels=64, out_channels=8, kernel_size=3))
    with torch.no_grad():
        layer.weight.add_(1.0)
    share = (layer.binary_weight() > 0).double().mean((1, 2, 3))
    entropy = -(share * share.log2() + (1 - share) * (1 - share).log2())
    # 576 bits with p = 1/2: the share deviates by 0.021; five deviations leave an entropy of 0.968.
    assert float(entropy.min()) > 0.96


def test_the_scale_is_the_power_of_two_nearest_to_the_mean_magnitude() -> None:
    """One filter of sparse, one of even magnitudes: 2^s differs between them, and log2 of the error is at most 1/2."""
    torch.manual_seed(0)  # a mean of 27 random magnitudes may also be nearer to 1/2
    layer = _layer(ConvShape(in_channels=3, out_channels=4, kernel_size=3))
    with torch.no_grad():
        layer.weight.normal_(std=1e-3)
        layer.weight[0, 0, 0, 0], layer.weight[0, 1, 1, 1] = 5.0, -5.0
    scales = layer.shift()
    assert torch.equal(scales.log2(), scales.log2().round())
    magnitude = balance(layer.weight.detach()).abs().mean((1, 2, 3))
    # 1/2 plus the rounding of a float32 logarithm.
    assert float((magnitude.log2() - scales.log2()).abs().max()) <= 0.5 + 1e-6
    assert float(scales[0]) < float(scales[1]) == 1


def test_outputs_are_powers_of_two_times_integers() -> None:
    layer = _layer()
    with torch.no_grad():
        layer.weight[0, 0, 0, 0], layer.weight[0, 1, 1, 1] = 50.0, -50.0
    assert float(layer.shift()[0]) < 1
    inputs = torch.randn(2, 3, 5, 5)
    signs = torch.where(inputs >= 0, 1.0, -1.0)
    integers = F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), layer.binary_weight())
    assert torch.equal(layer(inputs), integers * layer.shift().view(-1, 1, 1))


def test_the_gradient_is_1_everywhere_early_and_sharp_late() -> None:
    """Slope max(1, t) at zero; the integral stays that of the sign's step where t is large."""
    grid = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    early, late = DecayedSlope(T_MIN)(grid), DecayedSlope(T_MAX)(grid)
    assert float(early.min()) > 1 - 1e-5  # tanh(2e-3)^2 = 4e-6
    assert float(late[2000]) == T_MAX
    assert float(late[(grid.abs() > 0.5)].max()) < 2e-3  # 10 (1 - tanh(5)^2) = 1.8e-3
    # The integral is 2 tanh(20) = 2; the trapezoidal rule with a step of 1e-3 errs by f' h^2 / 12 at the ends, far below 1e-6.
    assert abs(float(torch.trapezoid(late, grid)) - 2) < 1e-6


@pytest.mark.parametrize("sharpness", [1e-3, 0.3, 10.0])
def test_k_is_the_reciprocal_of_t_until_t_passes_1(sharpness: float) -> None:
    grid = torch.linspace(-2, 2, 41, dtype=torch.float64)
    expected = max(1 / sharpness, 1) * sharpness * (1 - torch.tanh(sharpness * grid) ** 2)
    torch.testing.assert_close(DecayedSlope(sharpness)(grid), expected, rtol=1e-12, atol=1e-15)


def test_weights_and_activations_have_the_same_decayed_gradient_through_the_balance() -> None:
    """Against autograd of an ordinary convolution with W^ = 2^s sign(w^), s a constant, and of (w - mean) / std."""
    layer = _layer().to(torch.float64)
    layer.sharpen(2.0)
    with torch.no_grad():
        layer.weight[0, 0, 0, 0], layer.weight[0, 1, 1, 1] = 5.0, -5.0
    assert float(layer.shift()[0]) == 0.25
    inputs = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    out_gradient = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out_gradient)

    weight = layer.weight.detach().clone().requires_grad_()
    balanced = (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std((1, 2, 3), keepdim=True)
    kernel = torch.where(balanced >= 0, 1.0, -1.0).to(torch.float64) * layer.shift().view(-1, 1, 1, 1)
    kernel.requires_grad_()
    signs = torch.where(inputs >= 0, 1.0, -1.0).to(torch.float64).requires_grad_()
    F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), kernel).backward(out_gradient)
    assert kernel.grad is not None
    assert signs.grad is not None
    estimate = 2 * (1 - torch.tanh(2 * balanced.detach()) ** 2)
    balanced.backward(kernel.grad * layer.shift().view(-1, 1, 1, 1) * estimate)
    assert layer.weight.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, weight.grad, rtol=1e-10, atol=1e-10)
    assert inputs.grad is not None
    expected = signs.grad * 2 * (1 - torch.tanh(2 * inputs.detach()) ** 2)
    torch.testing.assert_close(inputs.grad, expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_through_the_balance_agrees_with_finite_differences() -> None:
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(balance, (weight,), rtol=1e-6)


def test_a_small_t_and_balanced_weights_are_bnn_s_unclipped_layer_bit_for_bit() -> None:
    """Baseline: signs with gradient 1 on both sides and no scale, whose latent weights are w^."""
    layer = _layer(first_sharpness=1e-9)  # tanh(1e-9 x)^2 is below half of float32's epsilon
    baseline = BinaryConv2d(SHAPE, weight_sign=identity_sign, activation_sign=identity_sign)
    with torch.no_grad():
        baseline.weight.copy_(balance(layer.weight))
    assert bool((layer.shift() == 1).all())  # uniform weights: mean |w^| = 0.87
    ours, theirs = (torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    outputs, expected = layer(ours), baseline(theirs)
    assert torch.equal(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
    (through_balance,) = torch.autograd.grad(balance(layer.weight), layer.weight, baseline.weight.grad)
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, through_balance)


def test_t_rises_geometrically_over_the_epochs_in_every_layer() -> None:
    trainer = _trainer(Recipe(epochs=4, max_steps_per_epoch=1))
    for epoch, report in enumerate(trainer.fit()):
        expected = T_MIN * (T_MAX / T_MIN) ** (epoch / 4)
        assert math.isclose(report.extra["sharpness"], expected, rel_tol=1e-9)
        for layer in binary_layers([trainer.network]):
            for estimator in (layer.weight_sign, layer.activation_sign):
                one = torch.ones(1, dtype=torch.float64, requires_grad=True)
                estimator(one).backward()
                assert one.grad is not None
                assert math.isclose(float(one.grad), max(1.0, expected) * (1 - math.tanh(expected) ** 2), rel_tol=1e-9)


def test_a_first_stage_with_real_weights_does_not_use_up_the_schedule() -> None:
    reports = list(_trainer(Recipe(epochs=4, max_steps_per_epoch=1, real_weight_stage=0.5)).fit())
    found = [report.extra["sharpness"] for report in reports[2:]]
    assert found == pytest.approx([T_MIN, math.sqrt(T_MIN * T_MAX)])


def test_a_resumed_training_continues_with_its_own_t() -> None:
    recipe = Recipe(epochs=3, max_steps_per_epoch=1)
    first, second = _trainer(recipe), _trainer(recipe)
    next(first.fit())
    second.restore(first.checkpoint())
    assert next(second.fit()).extra == next(first.fit()).extra


def test_an_attack_s_gradient_does_not_depend_on_the_schedule() -> None:
    layer = _layer().eval()
    inputs = torch.randn(1, 3, 5, 5, requires_grad=True)
    gradients = []
    for sharpness in (T_MIN, T_MAX):
        layer.sharpen(sharpness)
        gradients.append(torch.autograd.grad(layer(inputs).sum(), inputs)[0])
    assert torch.equal(*gradients)


def test_the_surrogate_is_the_first_epoch_s_whatever_the_settings_say_it_is() -> None:
    grid = torch.linspace(-2, 2, 9)
    for first in (T_MIN, 1.0):
        surrogate = IrNet.from_settings({"first_sharpness": first}).facts.surrogate
        assert surrogate is not None
        assert torch.equal(surrogate(grid), DecayedSlope(first)(grid))


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_filters_without_a_deviation_stay_finite(kernel_size: int) -> None:
    """A depthwise 1x1 filter is its one weight; a filter of equal weights is centred to zeros: sign +1, scale 1."""
    shape = ConvShape(in_channels=4, out_channels=4, kernel_size=kernel_size, groups=4)
    layer = _layer(shape)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([-0.5, 0.5, 0.0, 2.0]).view(-1, 1, 1, 1).expand_as(layer.weight))
    layer(torch.randn(2, 4, 4, 4)).square().sum().backward()
    assert layer.weight.grad is not None
    assert bool(layer.weight.grad.isfinite().all())
    if kernel_size == 1:
        assert layer.binary_weight().flatten().tolist() == [-1, 1, 1, 1]
        assert layer.shift().tolist() == [0.5, 0.5, 1, 2]
    else:
        assert layer.shift().tolist() == [1, 1, 1, 1]


def test_frozen_bits_are_those_of_the_balanced_weights() -> None:
    layer = _layer()
    nn.init.uniform_(layer.weight, 1, 2)  # all latent signs are +1
    frozen = IrNet.from_settings({}).freeze(layer)
    assert 0 < sum(int(byte).bit_count() for byte in frozen.bits) < layer.weight.numel()


def test_the_paper_s_recipe_is_a_recipe() -> None:
    recipe = Recipe.model_validate(IrNet.paper_recipe)
    assert (recipe.optimizer, recipe.weight_decay, recipe.epochs) == ("sgd", 1e-4, 400)

"""AdaBin (Tu et al. 2022), rule by rule: two values, their gradients in closed form, and a frozen form that is exact."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.maxout import Maxout
from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.adabin import AdaBin, AdaBinConv2d, equalise
from nas_service.binarization.network import binary_network
from nas_service.export.bundle import _run_source
from nas_service.export.packed import deploy, freeze_network
from nas_service.export.standalone import frozen_weights, write_source
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import BareConvCost, ConvShape, Cost, Size
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.rounding import differing, pixels
from tests.samples import GREY_8, digits, tiny_genotype, values_with_zeros

SHAPES = [
    ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1),
    ConvShape(in_channels=4, out_channels=6, kernel_size=3, stride=2, padding=2, dilation=2, groups=2),
    ConvShape(in_channels=4, out_channels=4, kernel_size=5, padding=2, groups=4),
    ConvShape(in_channels=5, out_channels=2, kernel_size=1),
]
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=["dense", "grouped", "depthwise", "pointwise"])
EXTRA = ("distance", "centre", "lower", "upper")
# Sums of some hundred float64 terms of magnitude about 1, in another order.
_assert_close = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-11)


def _layer(shape: ConvShape, distance: float = 1.0, centre: float = 0.0, **settings: float) -> AdaBinConv2d:
    layer = METHODS.get("adabin").from_settings(settings)(shape)
    assert isinstance(layer, AdaBinConv2d)
    with torch.no_grad():
        layer.distance.fill_(distance)
        layer.centre.fill_(centre)
    return layer


def _exact(shape: ConvShape) -> AdaBinConv2d:
    """Return a layer in float64 with alpha 0.7 and beta -0.3: values -0.91 and 0.49, parted at -0.3."""
    layer = _layer(shape).double()
    with torch.no_grad():
        layer.distance.fill_(0.7)
        layer.centre.fill_(-0.3)
    return layer


def _two_valued(condition: Tensor, lower: Tensor | float, upper: Tensor | float) -> Tensor:
    return torch.where(condition, torch.as_tensor(upper, dtype=torch.float64), torch.as_tensor(lower, dtype=torch.float64))


def _binary_weights(weight: Tensor) -> Tensor:
    """Return the two values of each filter in their places, from the formulas."""
    rows = weight.flatten(1)
    mean = rows.sum(1, keepdim=True) / rows.shape[1]
    deviation = ((rows - mean) ** 2).sum(1, keepdim=True).sqrt() / math.sqrt(rows.shape[1])
    return _two_valued(rows >= mean, mean - deviation, mean + deviation).view_as(weight)


def _convolve(values: Tensor, kernel: Tensor, shape: ConvShape, pad: float) -> Tensor:
    """Return an ordinary convolution of padded real values."""
    padded = F.pad(values, (shape.padding,) * 4, value=pad)
    return F.conv2d(padded, kernel, stride=shape.stride, dilation=shape.dilation, groups=shape.groups)


@EVERY_SHAPE
def test_the_outputs_are_those_of_a_convolution_of_two_values_with_two_values(shape: ConvShape) -> None:
    """Borders included: the padding is the lower value of the activations."""
    layer = _exact(shape)
    nn.init.normal_(layer.weight, mean=0.2)
    inputs = values_with_zeros(2, shape.in_channels, 7, 6, dtype=torch.float64)
    lower, upper = 0.7 * -1.3, 0.7 * 0.7
    expected = _convolve(_two_valued(inputs >= -0.3, lower, upper), _binary_weights(layer.weight.detach()), shape, lower)
    for training in (True, False):
        _assert_close(layer.train(training)(inputs), expected)


@EVERY_SHAPE
def test_gradients_of_inputs_distance_and_centre_are_the_closed_forms(shape: ConvShape) -> None:
    """With h = g max(0, 2 - 2|u|): dL/dx = h, dL/dalpha = sum g (s + beta) - sum h u, dL/dbeta = alpha sum g - sum h.

    g is what an ordinary convolution of the two values hands back; the padding is part of its input.
    """
    torch.manual_seed(0)
    layer = _exact(shape)
    inputs = torch.randn(2, shape.in_channels, 7, 6, dtype=torch.float64, requires_grad=True)
    outputs = layer(inputs)
    upstream = torch.randn_like(outputs)
    outputs.backward(upstream)
    raw = inputs.detach()
    signs = F.pad(_two_valued(raw >= -0.3, -1, 1), (shape.padding,) * 4, value=-1.0)
    values = (0.7 * (signs - 0.3)).requires_grad_()
    F.conv2d(values, _binary_weights(layer.weight.detach()), None, shape.stride, 0, shape.dilation, shape.groups).backward(
        upstream
    )
    assert values.grad is not None
    at_values = values.grad
    inside = slice(shape.padding, -shape.padding or None)
    places = (raw + 0.3) / 0.7
    passed = at_values[:, :, inside, inside] * (2 - 2 * places.abs()).clamp_min(0)
    assert (places.abs() > 1).any()
    assert inputs.grad is not None
    assert layer.distance.grad is not None
    assert layer.centre.grad is not None
    _assert_close(inputs.grad, passed)
    _assert_close(layer.distance.grad, (at_values * (signs - 0.3)).sum() - (passed * places).sum())
    _assert_close(layer.centre.grad, 0.7 * at_values.sum() - passed.sum())


@pytest.mark.parametrize("sharpness", [1e-3, 0.5, 1.0, 4.0])
@EVERY_SHAPE
def test_the_weight_gradient_is_the_closed_form(shape: ConvShape, sharpness: float) -> None:
    """Through the sign, through v and through both values.

    With G the gradient at the filter's two values, v = (W - mean) / std and e = max(1, t) (1 - tanh(t v)^2), n weights a filter:
    through the mean sum(G) / n, through the deviation sum(G b) v / n, and through the sign, r = std G e, what a standardisation
    hands back: (r - mean(r) - v mean(r v)) / std.
    """
    torch.manual_seed(0)
    layer = _exact(shape)
    layer.sharpen(sharpness)
    inputs = torch.randn(2, shape.in_channels, 7, 6, dtype=torch.float64)
    outputs = layer(inputs)
    upstream = torch.randn_like(outputs)
    outputs.backward(upstream)
    kernel = _binary_weights(layer.weight.detach()).requires_grad_()
    lower, upper = 0.7 * -1.3, 0.7 * 0.7
    _convolve(_two_valued(inputs >= -0.3, lower, upper), kernel, shape, lower).backward(upstream)
    assert kernel.grad is not None
    at_values, rows = kernel.grad.flatten(1), layer.weight.detach().flatten(1)
    mean = rows.mean(1, keepdim=True)
    deviation = (rows - mean).square().mean(1, keepdim=True).sqrt()
    standard = (rows - mean) / deviation
    signs = _two_valued(standard >= 0, -1, 1)
    through = deviation * at_values * max(1, sharpness) * (1 - (sharpness * standard).tanh() ** 2)
    expected = at_values.mean(1, keepdim=True) + (at_values * signs).mean(1, keepdim=True) * standard
    expected += (through - through.mean(1, keepdim=True) - standard * (through * standard).mean(1, keepdim=True)) / deviation
    assert layer.weight.grad is not None
    _assert_close(layer.weight.grad.flatten(1), expected)


def test_two_values_have_the_mean_of_the_real_weights_and_their_deviation() -> None:
    weight = torch.randn(4, 3, 3, 3, dtype=torch.float64) * 0.1 + 5
    standard, deviation, mean = equalise(weight)
    _assert_close(standard * deviation + mean, weight)
    _assert_close(standard.square().mean((1, 2, 3)), torch.ones(4, dtype=torch.float64))
    _assert_close(standard.mean((1, 2, 3)), torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize("shape", [SHAPES[0], ConvShape(in_channels=4, out_channels=4, kernel_size=1, groups=4)])
def test_filters_without_deviation_have_one_value_and_finite_gradients(shape: ConvShape) -> None:
    layer = _layer(shape, 0.5, 0.25)
    nn.init.constant_(layer.weight, 0.5)
    inputs = torch.randn(2, shape.in_channels, 5, 5)
    outputs = layer(inputs)
    outputs.square().sum().backward()
    values = _two_valued(inputs >= 0.25, 0.5 * -0.75, 0.5 * 1.25)
    expected = _convolve(values, torch.full_like(layer.weight, 0.5).double(), shape, 0.5 * -0.75)
    assert torch.equal(outputs, expected.float())  # halves and quarters: exact in either order
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in layer.parameters())


@EVERY_SHAPE
def test_the_first_stage_has_real_weights_and_two_valued_activations(shape: ConvShape) -> None:
    layer = _exact(shape)
    layer.real_weights = True
    inputs = torch.randn(2, shape.in_channels, 7, 6, dtype=torch.float64)
    lower, upper = 0.7 * -1.3, 0.7 * 0.7
    expected = _convolve(_two_valued(inputs >= -0.3, lower, upper), layer.weight.detach(), shape, lower)
    _assert_close(layer(inputs), expected)


@EVERY_SHAPE
def test_a_frozen_layer_equals_the_live_one_bit_for_bit(shape: ConvShape) -> None:
    """With values that lie anywhere, and inputs exactly on the threshold, which are the upper value."""
    for distance, centre in ((1.0, 0.0), (0.37, -0.81), (2.9, 0.123), (1e-3, 5.0)):
        layer = _layer(shape, distance, centre).eval()
        nn.init.normal_(layer.weight, mean=0.3)
        frozen = METHODS.get("adabin").from_settings({}).freeze(layer)
        inputs = values_with_zeros(2, shape.in_channels, 9, 9)
        inputs[0, :, 0, 0] = layer.centre.detach()
        assert torch.equal(deploy(frozen)(inputs), layer(inputs))


def _network() -> Network:
    """A network whose values and slopes are not those of the start and whose running statistics are not fresh."""
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), METHODS.get("adabin").from_settings({}), GREY_8)
    for name, parameter in network.named_parameters():
        if name.endswith(EXTRA):
            nn.init.normal_(parameter, mean=0.6 if name.endswith("distance") else 0.1, std=0.1)
    network(torch.rand(16, 1, 8, 8))
    return network.eval()


def test_the_written_source_computes_what_the_network_computes() -> None:
    """Frozen and as downloaded, bit for bit; trained, but for a sign that may flip, since real layers round in another way."""
    network = _network()
    frozen = freeze_network(network, METHODS.get("adabin").from_settings({}))
    written = _run_source(write_source(frozen, "A test."), frozen_weights(frozen)).eval()
    images = pixels(GREY_8, 64)
    assert torch.equal(written(images), frozen(images))
    assert differing(frozen(images), network(images)) <= 1
    assert not any(name.endswith(("distance", "centre")) for name in frozen_weights(frozen))


def test_the_cost_has_a_map_of_sums_for_each_group_and_three_factors_for_each_filter() -> None:
    """3x3, 4 -> 6 channels in 2 groups on 8x8: 108 weights and the sums of 2 groups of 18 inputs at 64 positions."""
    shape = ConvShape(in_channels=4, out_channels=6, kernel_size=3, padding=1, groups=2)
    cost = BareConvCost(METHODS.get("adabin").from_settings({}).facts.precision)(shape, Size(8, 8))
    floats = 3 * 6 + 4
    bops = (108 + 2 * 18) * 64
    assert cost == Cost(binary_parameters=108, float_parameters=floats, flops=0, bops=bops, packed_bytes=14 + 4 * floats)


def _trainer(recipe: Recipe, **settings: float) -> CandidateTrainer:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), METHODS.get("adabin").from_settings(settings), recipe, seed=0)
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


def test_distances_centres_and_slopes_learn_in_every_block() -> None:
    trainer = _trainer(Recipe(epochs=1, max_steps_per_epoch=3))
    before = {name: entry.detach().clone() for name, entry in trainer.network.named_parameters() if name.endswith(EXTRA)}
    next(trainer.fit())
    after = dict(trainer.network.named_parameters())
    assert len(before) == len(EXTRA) * len(binary_layers([trainer.network]))
    assert all(not torch.equal(after[name], entry) for name, entry in before.items())


def test_a_distance_is_kept_apart_in_a_stage_with_real_weights_too() -> None:
    """Steps that move nothing: what is below 0 is put back, or stays there."""
    trainer = _trainer(Recipe(epochs=2, max_steps_per_epoch=1, learning_rate=1e-12, real_weight_stage=0.5))
    layers = [layer for layer in binary_layers([trainer.network]) if isinstance(layer, AdaBinConv2d)]
    for layer in layers:
        nn.init.constant_(layer.distance, -1.0)
    assert next(trainer.fit()).phase == "real-weights"
    assert [float(layer.distance.detach()) for layer in layers] == [pytest.approx(1e-3)] * len(layers)


def test_a_distance_never_turns_the_signs_around() -> None:
    """Steps of 10 would take it far below 0."""
    trainer = _trainer(Recipe(epochs=1, max_steps_per_epoch=3, learning_rate=10.0))
    next(trainer.fit())
    distances = [layer.distance for layer in binary_layers([trainer.network]) if isinstance(layer, AdaBinConv2d)]
    assert distances
    assert min(float(distance.detach()) for distance in distances) == pytest.approx(1e-3)


def test_the_weights_gradient_sharpens_from_epoch_to_epoch_and_that_of_the_inputs_does_not() -> None:
    """The rule is t = T_min (T_max / T_min)^(epoch / epochs)."""
    trainer = _trainer(Recipe(epochs=3, max_steps_per_epoch=1), first_sharpness=0.1, last_sharpness=100.0)
    layer = binary_layers([trainer.network])[0]
    assert isinstance(layer, AdaBinConv2d)
    slopes, inputs_slopes, seen = [], [], []
    for report in trainer.fit():
        at_zero, inputs = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
        layer.weight_sign(at_zero).sum().backward()
        layer.binary_input(inputs + layer.centre.detach()).sum().backward()
        assert at_zero.grad is not None
        assert inputs.grad is not None
        slopes.append(float(at_zero.grad))
        inputs_slopes.append(float(inputs.grad * layer.distance.detach()))  # d s / d u
        seen.append(report.extra["sharpness"])
    assert seen == pytest.approx([0.1, 1.0, 10.0])
    assert slopes == pytest.approx([1.0, 1.0, 10.0])
    assert inputs_slopes == pytest.approx([2.0, 2.0, 2.0])


def test_every_prelu_becomes_a_maxout_with_the_same_outputs() -> None:
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), METHODS.get("bi-real").from_settings({}), GREY_8).eval()
    prelus = sum(isinstance(module, nn.PReLU) for module in network.modules())
    images = torch.rand(3, 1, 8, 8)
    expected = network(images)
    METHODS.get("adabin").from_settings({}).adapt(network)
    assert sum(isinstance(module, Maxout) for module in network.modules()) == prelus > 0
    assert torch.equal(network(images), expected)


def test_the_paper_s_recipe_is_that_of_the_code() -> None:
    recipe = Recipe.model_validate(AdaBin.paper_recipe)
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.schedule) == (400, 128, "sgd", "cosine")
    assert (recipe.learning_rate, recipe.weight_decay) == (0.1, 1e-4)

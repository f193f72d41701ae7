"""CP-NAS's loss: closed formulas of its terms, their gradients and the means of the classes, in float64."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS, Step
from nas_service.binarization.methods.pcnn import PcnnConv2d
from nas_service.binarization.network import binary_network
from nas_service.binarization.sign import identity_sign
from nas_service.recipes.cp_loss import CpLossSettings
from nas_service.training.step.cp_loss import CpLoss, kernel_distance
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.samples import GREY_8, tiny_genotype

SHAPES = (
    ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1),
    ConvShape(in_channels=4, out_channels=4, kernel_size=5, padding=2, groups=4),
    ConvShape(in_channels=6, out_channels=2, kernel_size=1),
)


def _check_equal(actual: Tensor, expected: Tensor) -> None:
    """Compare float64 of some hundred terms of about 1, each rounded to 1e-16."""
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)


def _layers(seed: int = 0) -> list[BinaryConv2d]:
    """Return a full, a depthwise and a 1x1 layer."""
    torch.manual_seed(seed)
    return [BinaryConv2d(shape, weight_sign=identity_sign, activation_sign=identity_sign).double() for shape in SHAPES]


def _step(layers: Sequence[BinaryConv2d], features: Tensor, labels: Tensor) -> Step:
    return Step(layers, torch.zeros(len(labels), 1, 1, 1), labels, features, torch.zeros(len(labels), 3))


def _cp_loss(settings: CpLossSettings, classes: int = 3, features: int = 4) -> CpLoss:
    return CpLoss(settings, nn.Linear(features, classes).double())


def test_the_first_term_is_the_mean_square_error_of_every_filter_and_its_scaled_signs() -> None:
    """With b = sign(H) and alpha = mean |H|: the value, and the gradient 2 / n (H - alpha b)."""
    layers = _layers()
    distance = kernel_distance(layers)
    expected = torch.zeros((), dtype=torch.float64)
    for layer in layers:
        for kernel in layer.weight.detach():
            expected += ((kernel.abs() - kernel.abs().mean()) ** 2).mean()
    _check_equal(distance, expected)
    for layer, gradient in zip(layers, torch.autograd.grad(distance, [layer.weight for layer in layers]), strict=True):
        latent = layer.weight.detach()
        alpha = latent.abs().mean((1, 2, 3), keepdim=True)
        _check_equal(gradient, 2 / layer.shape.fan_in * (latent - alpha * latent.sign()))


def test_the_gradient_of_the_first_term_is_exact_though_the_scale_depends_on_the_filter() -> None:
    """Central differences of step 1e-6 round to 1e-16 / 1e-6 = 1e-10; no weight lies that close to 0."""
    layers = _layers()
    (gradient,) = torch.autograd.grad(kernel_distance(layers), layers[0].weight)
    flat = layers[0].weight.detach().view(-1)
    for place in range(0, len(flat), 7):
        before, found = float(flat[place]), []
        for change in (1e-6, -1e-6):
            flat[place] = before + change
            found.append(float(kernel_distance(layers).detach()))
        flat[place] = before
        assert (found[0] - found[1]) / 2e-6 == pytest.approx(float(gradient.view(-1)[place]), abs=1e-9)


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_is_tied_to_the_bits_that_it_deploys(name: str) -> None:
    """(||H||^2 - <H, b>^2 / <b, b>) / n summed over filters: the distance from the line of multiples of b."""
    torch.manual_seed(0)
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), METHODS.get(name).from_settings({}), GREY_8).double()
    layers = binary_layers([network.train()])
    distance = kernel_distance(layers)
    assert all(layer.training for layer in layers)
    network.eval()
    expected = 0.0
    for layer in layers:
        latent, bits = layer.weight.detach(), layer.binary_weight().detach()
        for index, kernel in enumerate(bits):
            owner = latent[index * len(latent) // len(bits)]
            square = float(owner.square().sum()) - float((owner * kernel).sum()) ** 2 / float(kernel.square().sum())
            expected += square / owner.numel()
    assert float(distance.detach()) == pytest.approx(expected, rel=1e-10)


def test_each_of_pcnns_kernels_of_a_filter_counts_and_a_ternary_one_is_scaled_by_its_own_length() -> None:
    method = METHODS.get("pcnn").from_settings({"projections": 2})
    torch.manual_seed(1)
    layer = method(ConvShape(in_channels=4, out_channels=8, kernel_size=3, padding=1)).double()
    assert isinstance(layer, PcnnConv2d)
    layer.ternary = True
    bits = layer.binary_weight().detach()
    assert (len(layer.weight), len(bits)) == (4, 8)
    assert 0 < float((bits == 0).double().mean()) < 1
    expected = 0.0
    for index, kernel in enumerate(bits):
        owner = layer.weight.detach()[index // 2]
        expected += float((owner - (owner * kernel).sum() / kernel.abs().sum() * kernel).square().mean())
    assert float(kernel_distance([layer]).detach()) == pytest.approx(expected, rel=1e-12)
    with torch.no_grad():
        layer.weight.zero_()  # no bit is left, and no scale fits
    assert float(kernel_distance([layer]).detach()) == 0


def test_the_second_term_is_half_the_mean_distance_from_the_class_mean() -> None:
    """The value, and the gradient lambda / N (f - f')."""
    torch.manual_seed(2)
    cp_loss = _cp_loss(CpLossSettings(kernel=0.0, centre=0.3))
    cp_loss.centres.copy_(torch.randn(3, 4))
    features, labels = torch.randn(5, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 2, 2, 1, 0])
    losses = cp_loss.losses(_step(_layers(), features, labels))
    assert set(losses) == {"centre"}
    apart = features.detach() - cp_loss.centres[labels]
    _check_equal(losses["centre"], 0.3 / 2 * apart.square().sum() / 5)
    (gradient,) = torch.autograd.grad(losses["centre"], features)
    _check_equal(gradient, 0.3 / 5 * apart)


def test_the_means_follow_once_a_step_those_features_that_were_seen_last() -> None:
    """By rate sum (f - f') / (1 + n); a class that is not in the batch stays."""
    torch.manual_seed(3)
    cp_loss = _cp_loss(CpLossSettings(centre_rate=0.25))
    labels = torch.tensor([0, 2, 2])
    first, second = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    cp_loss.end_step()
    assert not cp_loss.centres.any()
    for features in (first, second):  # as of two turns of one step
        cp_loss.losses(_step(_layers(), features, labels))
        assert not cp_loss.centres.any()
    cp_loss.end_step()
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[0] = 0.25 * second.detach()[0] / 2
    expected[2] = 0.25 * (second.detach()[1] + second.detach()[2]) / 3
    _check_equal(cp_loss.centres, expected)
    cp_loss.end_step()
    _check_equal(cp_loss.centres, expected)
    assert not cp_loss.centres.requires_grad


def test_each_weight_multiplies_its_term_and_0_leaves_it_out() -> None:
    layers, labels = _layers(), torch.tensor([0, 1])
    features = torch.ones(2, 4, dtype=torch.float64)
    step = _step(layers, features, labels)
    both = _cp_loss(CpLossSettings(kernel=3.0, centre=2.0)).losses(step)
    torch.testing.assert_close(both["kernel"], 3 * kernel_distance(layers))
    assert float(both["centre"]) == 4  # means of 0: half of 2 times the four squares of 1
    assert set(_cp_loss(CpLossSettings(centre=0.0)).losses(step)) == {"kernel"}
    assert _cp_loss(CpLossSettings(kernel=0.0, centre=0.0)).losses(step) == {}


@pytest.mark.parametrize("binary", [0, 2])
def test_kernels_that_are_real_are_not_tied_to_signs(binary: int) -> None:
    """In a first stage, or on a path without binary layers, the second term is there alone."""
    layers = _layers()
    for layer in layers[binary:]:
        layer.real_weights = True
    labels, features = torch.tensor([0, 1]), torch.ones(2, 4, dtype=torch.float64)
    losses = _cp_loss(CpLossSettings(kernel=1.0)).losses(_step(layers, features, labels))
    assert set(losses) == ({"kernel", "centre"} if binary else {"centre"})
    if binary:
        torch.testing.assert_close(losses["kernel"], kernel_distance(layers[:binary]))
    assert set(_cp_loss(CpLossSettings()).losses(_step([], features, labels))) == {"centre"}

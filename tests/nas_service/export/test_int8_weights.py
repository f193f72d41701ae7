"""Weights of 8 bits: the grid, the stem's sums and the network that is another one, held to their definitions."""

import numpy as np
import pytest
import torch

from nas_service.deploy.program import Linear, Stem
from nas_service.deploy.tracing import trace_network
from nas_service.export.int8_weights import MOST, Int8Normalize, Int8StemConv2d, on_grid, with_int8_weights
from search_spaces.space import SPACES, SpaceSettings
from tests.nas_service.deploy.given import frozen_network, random_pixels
from tests.samples import GREY_8, RGB_9


def test_an_output_s_largest_weight_is_at_the_end_of_the_grid_and_none_is_further_off_than_half_a_step() -> None:
    weight = torch.randn(7, 3, 3, 2, generator=torch.Generator().manual_seed(0)) * torch.logspace(-9, 3, 7).view(-1, 1, 1, 1)
    weight[3] = 0
    grid, step = on_grid(weight)
    assert grid.flatten(1).abs().amax(1).tolist() == [MOST, MOST, MOST, 0, MOST, MOST, MOST]
    error = (grid.double() * step.double().view(-1, 1, 1, 1) - weight.double()).abs().flatten(1).amax(1)
    assert bool((error <= 0.5000001 * step).all())
    assert step[3] == 1


@pytest.mark.parametrize("stem", ["small", "strided", "large"])
@pytest.mark.parametrize("image", [GREY_8, RGB_9])
def test_the_stem_s_sums_fit_and_its_output_is_one_product_of_them(stem: str, image: object) -> None:
    space = SPACES.get("tiny").configure(SpaceSettings.model_validate({"stem": stem}))
    network = with_int8_weights(frozen_network(space, "bnn", image))  # type: ignore[arg-type]  # one of the two
    layer, normalize = network.get_submodule("stem.0"), network.normalize
    assert isinstance(layer, Int8StemConv2d)
    assert isinstance(normalize, Int8Normalize)
    taps = layer.in_channels * layer.kernel_size**2
    most = taps * MOST * 255 << layer.pixel_bits
    assert most < 2**30 <= 2 * most
    pixels = normalize(random_pixels(network.image, 4))
    unit = 2 ** (14 - layer.pixel_bits)
    assert bool((pixels % unit == 0).all())
    sums = torch.nn.functional.conv2d(pixels / unit, layer.integer_weight.double(), None, layer.stride, layer.padding)
    assert float(sums.abs().max()) < 2**30
    expected = sums.numpy().astype(np.float32) * (layer.step.numpy() * np.float32(unit))[:, None, None]
    assert np.array_equal(layer(pixels).numpy(), expected)


def test_a_program_has_the_numbers_of_the_network() -> None:
    frozen = frozen_network(SPACES.get("tiny"), "bnn", RGB_9)
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    network = with_int8_weights(frozen)
    assert all(torch.equal(tensor, before[name]) for name, tensor in frozen.state_dict().items())  # it is a copy
    steps = trace_network(network).steps
    stem, linear = steps[0].operation, steps[-1].operation
    assert isinstance(stem, Stem)
    assert isinstance(linear, Linear)
    assert (stem.is_int8, int(np.abs(stem.weight).max())) == (True, MOST)
    assert linear.step is not None
    assert int(np.abs(linear.grid).max()) == MOST
    assert np.array_equal(linear.grid.astype(np.float32) * linear.step[:, None], linear.weight)
    assert np.array_equal(linear.weight, network.classifier.weight.numpy())
    assert np.array_equal(linear.bias, frozen.classifier.bias.numpy())

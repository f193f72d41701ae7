"""The layers of real numbers are what their definitions say, by arithmetic that is not torch's own."""

import itertools
import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas_service.errors import CannotFreezeError
from nas_service.export import real_layers, runtime
from nas_service.export.packed import _geometry
from search_spaces.halving import halving
from search_spaces.operation import OPERATIONS
from search_spaces.operations.denoise import NonLocalMean
from search_spaces.operations.gabor_conv_3x3 import GaborBank

FORMATS = (torch.contiguous_format, torch.channels_last)
Floats = NDArray[np.float32]


def _stem(weight: Tensor, stride: int, padding: int, std: tuple[float, ...]) -> real_layers.StemConv2d:
    stem = real_layers.StemConv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride, padding, std=std)
    stem.load_state_dict({"weight": weight})
    return stem


def _normalize(mean: tuple[float, ...], side: int) -> runtime.Normalize:
    normalize = runtime.Normalize(len(mean), side, side)
    means = torch.tensor(mean).view(1, -1, 1, 1)
    normalize.load_state_dict({"mean": means, "std": torch.ones_like(means)})
    return normalize


def test_pixels_become_the_integers_of_the_image_less_those_of_the_mean() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    normalize = _normalize((0.3,), 16)
    mean = round(float(np.float32(0.3)) * 255 * 2**14)
    assert float(normalize.integer_mean) == mean
    outputs = normalize(levels.to(torch.float32) / 255)
    assert outputs.dtype == torch.float64
    assert outputs.flatten().tolist() == [k * 2**14 - mean for k in range(256)]


@pytest.mark.parametrize(("kernel_size", "stride", "channels"), [(3, 1, 1), (3, 1, 3), (7, 2, 3)])
def test_the_stem_is_a_sum_of_integers_in_any_order(kernel_size: int, stride: int, channels: int) -> None:
    """By Python's integers, in a random order, from bytes: the same bits."""
    generator = torch.Generator().manual_seed(0)
    mean, std = (0.49, 0.48, 0.45)[:channels], (0.25, 0.2, 0.3)[:channels]
    weight = torch.randn(4, channels, kernel_size, kernel_size, generator=generator)
    images = torch.randint(0, 256, (2, channels, 9, 9), generator=generator)
    stem, normalize = _stem(weight, stride, kernel_size // 2, std), _normalize(mean, 9)
    outputs = stem(normalize(images.to(torch.float32) / 255))
    assert outputs.dtype == torch.float32
    means = [round(float(np.float32(each)) * 255 * 2**14) for each in mean]
    grid, drawn, reach = stem.integer_weight.tolist(), random.Random(0), kernel_size // 2
    taps = list(itertools.product(range(channels), range(kernel_size), range(kernel_size)))
    for image, output, row, column in np.ndindex(*outputs.shape):
        drawn.shuffle(taps)
        total = 0
        for channel, i, j in taps:
            y, x = row * stride + i - reach, column * stride + j - reach
            if 0 <= y < 9 and 0 <= x < 9:
                total += (int(images[image, channel, y, x]) * 2**14 - means[channel]) * grid[output][channel][i][j]
        expected = np.float32(float(total)) * np.float32(2.0 ** int(stem.exponent[output]))
        assert abs(total) < 2**53
        assert float(outputs[image, output, row, column]) == float(expected)


@pytest.mark.parametrize(("channels", "kernel_size", "bits"), [(1, 3, 25), (3, 3, 24), (3, 7, 21), (1, 1, 29)])
def test_the_grid_is_as_fine_as_exact_sums_allow(channels: int, kernel_size: int, bits: int) -> None:
    """The largest weight of an output fills the bits, and so many taps of the largest pixels stay below 2^53."""
    weight = torch.randn(8, channels, kernel_size, kernel_size, generator=torch.Generator().manual_seed(1))
    stem = _stem(weight, 1, 0, (0.3,) * channels)
    largest = stem.integer_weight.abs().amax((1, 2, 3))
    assert stem.weight_bits == bits
    assert bool((largest > 2 ** (bits - 1)).all())
    assert bool((largest <= 2**bits).all())
    assert channels * kernel_size**2 * 2**bits * 2**23 <= 2**53
    back = stem.integer_weight.to(torch.float64) * stem.step.view(-1, 1, 1, 1) * (255 * 2**14 * 0.3)
    # Half a step, of 2^-bits of less than twice the output's largest weight; the quotient's own rounding is far below.
    bound = weight.abs().amax((1, 2, 3), keepdim=True) * 2.0**-bits
    assert bool(((back - weight).abs() <= 1.01 * bound).all())


def test_odd_weights_of_a_stem_have_a_grid_too() -> None:
    """All zero; a power of two, which is its own bound; so small that a step would be no normal number."""
    exact = 2.0**-20
    weight = torch.tensor([0.0, exact, -exact, 1e-36]).view(4, 1, 1, 1)
    stem = _stem(weight, 1, 0, (0.3,))
    assert stem.step[0] == 1
    assert stem.integer_weight[0] == 0
    assert stem.exponent[3] >= -126
    assert bool((stem.step > 0).all())
    power = _stem(torch.full((1, 1, 1, 1), 255 * 2.0**-6), 1, 0, (1.0,))  # folds to 2^-20
    assert power.integer_weight.tolist() == [[[[2**29]]]]
    assert power.exponent.tolist() == [-49]


def test_a_stem_keeps_its_steps_in_a_network_of_half_the_bits() -> None:
    """They are far below the numbers of float16."""
    stem = _stem(torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0)), 1, 1, (0.3,))
    steps, inputs = stem.step.clone(), torch.full((1, 1, 4, 4), 2.0**21, dtype=torch.float64)
    expected = stem(inputs)
    half = stem.to(torch.float16)
    assert torch.equal(half.step, steps)
    assert torch.equal(half(inputs), expected.to(torch.float16))
    assert half.to("meta").step.device.type == "meta"


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_is_a_product_and_a_sum_each_rounded(affine: bool) -> None:  # noqa: FBT001 - a parameter
    generator = torch.Generator().manual_seed(0)
    live = nn.BatchNorm2d(64, eps=1e-3, affine=affine).eval()
    state = {name: torch.randn(64, generator=generator) for name in live.state_dict() if name != "num_batches_tracked"}
    state["running_var"] = state["running_var"].square()
    layer = real_layers.BatchNorm2d(64, 1e-3, affine=affine)
    layer.load_state_dict(state)
    wide = {name: tensor.numpy().astype(np.float64) for name, tensor in state.items()}
    alpha = wide.get("weight", np.ones(64)) / np.sqrt(wide["running_var"] + 1e-3)
    beta = wide.get("bias", np.zeros(64)) - wide["running_mean"] * alpha
    inputs = torch.randn(3, 64, 5, 5, generator=generator)
    product: Floats = inputs.numpy() * alpha.astype(np.float32)[:, None, None]
    assert np.array_equal(layer(inputs).numpy(), product + beta.astype(np.float32)[:, None, None])
    live.load_state_dict(state, strict=False)
    torch.testing.assert_close(layer(inputs), live(inputs), rtol=1e-5, atol=1e-5)


def test_gabor_filters_and_means_of_all_positions_are_those_that_were_trained() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 6, 7, 7, generator=generator)
    live = GaborBank(6, 2)
    with torch.no_grad():
        for parameter in live.parameters():
            parameter.add_(torch.randn(6, generator=generator), alpha=0.3)
    bank = real_layers.GaborBank(6, 2)
    bank.load_state_dict(live.state_dict())
    torch.testing.assert_close(bank(inputs), live(inputs), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bank.kernel, live.double().kernel().to(torch.float32), rtol=0, atol=2.0**-23)
    torch.testing.assert_close(real_layers.NonLocalMean()(inputs), NonLocalMean()(inputs), rtol=1e-5, atol=1e-5)
    assert not real_layers.NonLocalMean()(torch.zeros(1, 2, 3, 3)).any()


def test_an_edge_filter_sums_to_zero_on_even_ground_in_any_order() -> None:
    """As it is before it is trained; a residue of float64's rounding would have a sign of its own in every order."""
    bank = real_layers.GaborBank(8)
    bank.load_state_dict(GaborBank(8, 1).state_dict())
    ground = torch.randn(5, 8, 1, 1, generator=torch.Generator().manual_seed(0)).expand(5, 8, 6, 6)
    for form in FORMATS:
        assert not bank(ground.contiguous(memory_format=form))[:, 1::2, 1:-1, 1:-1].any()


@pytest.mark.parametrize(
    "conv",
    [nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, (3, 1), bias=False), nn.Conv2d(2, 2, 3, bias=False, padding="same"), nn.ReLU()],
    ids=["bias", "not square", "padded by name", "no convolution"],
)
def test_a_real_convolution_of_another_form_is_refused(conv: nn.Module) -> None:
    with pytest.raises(CannotFreezeError, match="has no form with one result"):
        _geometry(conv)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("groups", [2, 3, 4, 6, 8])
def test_a_mean_of_groups_is_their_sum_in_order_and_one_division(groups: int) -> None:
    for side, channels, count, form in itertools.product((1, 2, 5, 8, 32), (1, 3, 16), (1, 7), FORMATS):
        inputs = torch.randn(count, groups * channels, side, side).to(memory_format=form)
        parts = np.split(inputs.numpy(), groups, 1)
        total: Floats = parts[0]
        for part in parts[1:]:
            total = total + part
        assert np.array_equal(real_layers.GroupMean(groups)(inputs).numpy(), total / np.float32(groups)), (
            side,
            channels,
            count,
            form,
        )


def _pooled(inputs: Floats, kernel_size: int, stride: int, padding: int, sides: tuple[int, int]) -> Floats:
    """Return row-major sums over what lies inside each window, divided once by how many that are."""
    means = np.zeros((*inputs.shape[:2], *sides), np.float32)
    for row, column in np.ndindex(*sides):
        total, count = np.zeros(inputs.shape[:2], np.float32), 0
        for i, j in np.ndindex(kernel_size, kernel_size):
            y, x = row * stride + i - padding, column * stride + j - padding
            if 0 <= y < inputs.shape[2] and 0 <= x < inputs.shape[3]:
                total, count = total + inputs[:, :, y, x], count + 1
        means[:, :, row, column] = total / np.float32(count)
    return means


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", ["3x3", "3x3 at stride 2", "2x2"])
def test_an_average_pool_is_a_row_major_sum_and_one_division(kind: str) -> None:
    """Torch's own layer, which frozen networks keep: what it does on a CPU is held here."""
    stride = 1 if kind == "3x3" else 2
    pool = halving(2) if kind == "2x2" else OPERATIONS.get("avg-pool-3x3")()(lambda _: nn.Identity(), 1, stride)
    kernel_size, padding = (2, 0) if kind == "2x2" else (3, 1)
    for side, channels, count, form in itertools.product((1, 2, 3, 5, 8, 32), (1, 3, 16, 17), (1, 7), FORMATS):
        inputs = torch.randn(count, channels, side, side).to(memory_format=form)
        sides = (math.ceil(side / stride),) * 2
        expected = _pooled(inputs.numpy(), kernel_size, stride, padding, sides)
        assert np.array_equal(pool(inputs).numpy(), expected), (side, channels, count, form)

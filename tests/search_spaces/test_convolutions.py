"""Families of convolutions: groups and shuffle."""

import pytest
import torch
from torch import nn

from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.operation import OPERATIONS

GROUPED = ("grouped-conv-3x3", "grouped-conv-5x5", "dilated-grouped-conv-3x3", "dilated-grouped-conv-5x5")


def _grouped(name: str, channels: int) -> tuple[nn.Module, nn.Conv2d]:
    module = OPERATIONS.get(name)()(FullPrecisionConv(), channels, 1)
    (convolution,) = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    return module, convolution


@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize(("channels", "groups"), [(24, 12), (36, 12), (48, 12), (16, 4), (6, 6), (5, 1)])
def test_there_are_bats_s_12_groups_or_the_most_that_divide_both(name: str, channels: int, groups: int) -> None:
    assert _grouped(name, channels)[1].groups == groups


@pytest.mark.parametrize("name", GROUPED)
def test_the_shuffle_hands_every_group_on_to_others(name: str) -> None:
    """Of 24 channels in 12 groups: what enters in one group is, two operations later, in more than that group's two channels."""
    first, second = (_grouped(name, 24)[0] for _ in range(2))
    inputs = torch.randn(1, 24, 8, 8)
    changed = inputs.clone()
    changed[:, :2] += 1
    moved = (second(first(changed)) - second(first(inputs))).abs().amax((0, 2, 3)) > 1e-6
    assert int(moved.sum()) == 4


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("conv-3x3", 3),
        ("conv-5x5", 5),
        ("dilated-conv-1x1", 1),
        ("dilated-conv-3x3", 5),
        ("dilated-conv-5x5", 9),
        ("dilated-conv-7x7", 13),
        ("separable-conv-3x3", 3),
        ("separable-conv-5x5", 5),
        ("grouped-conv-3x3", 3),
        ("grouped-conv-5x5", 5),
        ("dilated-grouped-conv-3x3", 5),
        ("dilated-grouped-conv-5x5", 9),
        ("gabor-conv-3x3", 3),
        ("mobile-conv-3x3", 3),
        ("mobile-conv-5x5", 5),
        ("mobile-grouped-conv-3x3", 3),
        ("mobile-grouped-conv-5x5", 5),
        ("wide-mobile-conv-3x3", 3),
        ("wide-mobile-conv-5x5", 5),
        ("wide-mobile-grouped-conv-3x3", 3),
        ("wide-mobile-grouped-conv-5x5", 5),
    ],
)
def test_it_sees_as_many_pixels_as_its_name_and_dilation_say(name: str, reach: int) -> None:
    """The gradient of the middle output lies on the window around it and nowhere else."""
    module = OPERATIONS.get(name)()(FullPrecisionConv(), 4, 1)
    inputs = torch.randn(1, 4, 17, 17, requires_grad=True)
    module(inputs)[:, :, 8, 8].sum().backward()
    assert inputs.grad is not None
    rows = torch.nonzero(inputs.grad.abs().sum((0, 1, 3))).flatten().tolist()
    columns = torch.nonzero(inputs.grad.abs().sum((0, 1, 2))).flatten().tolist()
    assert (rows[0], rows[-1]) == (columns[0], columns[-1]) == (8 - reach // 2, 8 + reach // 2)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize(("channels", "groups"), [(16, 4), (6, 2), (5, 1)])
def test_a_mobile_block_has_up_to_four_groups_and_the_channels_between_its_convolutions_that_its_name_says(
    channels: int, groups: int, kernel_size: int, *, wide: bool
) -> None:
    name = f"{'wide-' if wide else ''}mobile-grouped-conv-{kernel_size}x{kernel_size}"
    convolutions = [
        part for part in OPERATIONS.get(name)()(FullPrecisionConv(), channels, 2).modules() if isinstance(part, nn.Conv2d)
    ]
    between = 2 * channels if wide else channels
    assert [(part.in_channels, part.out_channels, part.groups) for part in convolutions] == [
        (channels, between, groups),
        (between, channels, 1),
    ]
    assert [(part.kernel_size, part.stride) for part in convolutions] == [((kernel_size,) * 2, (2, 2)), ((1, 1), (1, 1))]

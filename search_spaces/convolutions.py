"""What operations that are convolutions have in common; a file of theirs names the kernel and is found by being there.

All keep the number of channels, and pad so that only the stride changes the size: k x k positions with dilation d see
d (k - 1) + 1 pixels a side and are padded by d (k - 1) / 2.
"""

from math import gcd
from typing import ClassVar

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, ConvShape, Cost, Size

_MOST_GROUPS = 12  # of a grouped convolution
_SHUFFLE_GROUPS = 4  # of the shuffle behind it


def _shape(channels: int, stride: int, kernel_size: int, dilation: int = 1, groups: int = 1) -> ConvShape:
    return ConvShape(
        in_channels=channels,
        out_channels=channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=dilation * (kernel_size - 1) // 2,
        dilation=dilation,
        groups=groups,
    )


class DenseConv:
    """One convolution over all channels, in the space's template."""

    kernel_size: ClassVar[int]
    dilation: ClassVar[int] = 1

    def _shape(self, channels: int, stride: int) -> ConvShape:
        return _shape(channels, stride, self.kernel_size, self.dilation)

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the convolution in its template."""
        return conv(self._shape(channels, stride))

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the block's cost."""
        return conv(self._shape(channels, stride), size)


class GroupedConv(DenseConv):
    """One convolution in groups of channels, in the space's template, and a shuffle that mixes the groups.

    Of C channels there are gcd(12, C) groups: BATS's 12 where they divide the channels (24, 36, 48 ...), else the most that
    divide both (4 of 16 channels). The shuffle deals the channels out to gcd(4, C) hands.

    BATS adds the input to the shuffled output, x + S(f(x)). Here the identity around a convolution is the template's, so it
    is shuffled with the rest, S(x + f(x)): the same channels in another order, and none at all in the template `plain`.

    References:
        Bulat, Martinez and Tzimiropoulos, "BATS: Binary ArchitecTure Search", ECCV 2020, arXiv 2003.01711, and its code.
    """

    def _shape(self, channels: int, stride: int) -> ConvShape:
        return _shape(channels, stride, self.kernel_size, self.dilation, gcd(_MOST_GROUPS, channels))

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the convolution in its template, and the shuffle."""
        return nn.Sequential(super().__call__(conv, channels, stride), nn.ChannelShuffle(gcd(_SHUFFLE_GROUPS, channels)))


class SeparableConv:
    """A convolution of each channel by itself, then a 1x1 convolution over all channels.

    Both are binary and each stands in the space's template, so that batch norm centres the depthwise output (an integer in
    [-k^2, k^2]) before it is binarized again.

    References:
        Zhang et al., "Binary Neural Networks", CRC Press, section 4.3 (CP-NAS), figure 4.8.
    """

    kernel_size: ClassVar[int]

    def _depthwise(self, channels: int, stride: int) -> ConvShape:
        return _shape(channels, stride, self.kernel_size, groups=channels)

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the two blocks."""
        return nn.Sequential(conv(self._depthwise(channels, stride)), conv(_shape(channels, 1, 1)))

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the two blocks' cost."""
        return conv(self._depthwise(channels, stride), size) + conv(_shape(channels, 1, 1), size.strided(stride))

"""What operations that are convolutions have in common; a file of theirs names the kernel and is found by being there.

All end with as many channels as they begin with, and pad so that only the stride changes the size: k x k positions with
dilation d see d (k - 1) + 1 pixels a side and are padded by d (k - 1) / 2.
"""

from dataclasses import replace
from math import gcd
from typing import ClassVar

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, ConvShape, Cost, Size

_MOST_GROUPS = 12  # of a grouped convolution
_SHUFFLE_GROUPS = 4  # of the shuffle behind it
_MOBILE_GROUPS = 4  # of a mobile block's first convolution
_WIDER = 2  # times the channels between the two convolutions of a wide one


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


class MobileConv:
    """A k x k convolution from C channels to w C, over all or in groups of them, then a 1x1 convolution back: NAS-BNN's layer.

    Both are binary and each stands in the space's template, so each has its shortcut: where the width doubles the input stands
    twice side by side, where it halves both halves are averaged (in templates that have such shortcuts). The 1x1 convolution
    mixes the groups, so nothing is shuffled. There are gcd(4, C) groups or one.

    With w = 1 it is NAS-BNN's layer at constant width. NAS-BNN searches the channels that leave a layer, which is what the next
    one has to read; here w is between the two convolutions, so what a layer costs does not depend on its neighbours.

    Attributes:
        kernel_size: k.
        is_grouped: Whether the k x k convolution has groups.
        is_wide: Whether w is 2; else it is 1.

    References:
        Lin et al., "NAS-BNN: Neural Architecture Search for Binary Neural Networks", 2024, arXiv 2408.15484, and its code.
    """

    kernel_size: ClassVar[int]
    is_grouped: ClassVar[bool] = False
    is_wide: ClassVar[bool] = False

    def _shapes(self, channels: int, stride: int) -> tuple[ConvShape, ConvShape]:
        """Return the k x k convolution and the 1x1 convolution."""
        width = channels * (_WIDER if self.is_wide else 1)
        groups = gcd(_MOBILE_GROUPS, channels) if self.is_grouped else 1
        spatial = _shape(channels, stride, self.kernel_size, groups=groups)
        return replace(spatial, out_channels=width), replace(_shape(channels, 1, 1), in_channels=width)

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the two blocks."""
        spatial, pointwise = self._shapes(channels, stride)
        return nn.Sequential(conv(spatial), conv(pointwise))

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the two blocks' cost."""
        spatial, pointwise = self._shapes(channels, stride)
        return conv(spatial, size) + conv(pointwise, size.strided(stride))

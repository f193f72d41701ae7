"""3x3 depthwise-separable convolution."""

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, ConvShape, Cost, Size
from search_spaces.operation import OPERATIONS


def _depthwise(channels: int, stride: int) -> ConvShape:
    return ConvShape(in_channels=channels, out_channels=channels, kernel_size=3, stride=stride, padding=1, groups=channels)


def _pointwise(channels: int) -> ConvShape:
    return ConvShape(in_channels=channels, out_channels=channels, kernel_size=1)


@OPERATIONS.register("separable-conv-3x3")
class SeparableConv3x3:
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution over all channels.

    Both are binary and each stands in the space's template, so that batch norm centres the depthwise output (an integer
    in [-9, 9]) before it is binarized again.

    References:
        Zhang et al., "Binary Neural Networks", CRC Press, section 4.3 (CP-NAS), figure 4.8.
    """

    summary = "3x3 depthwise convolution, then 1x1 convolution"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the two blocks."""
        return nn.Sequential(conv(_depthwise(channels, stride)), conv(_pointwise(channels)))

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the two blocks' cost."""
        return conv(_depthwise(channels, stride), size) + conv(_pointwise(channels), size.strided(stride))

"""3x3 dense convolution with dilation 2."""

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, ConvShape, Cost, Size
from search_spaces.operation import OPERATIONS


def _shape(channels: int, stride: int) -> ConvShape:
    return ConvShape(in_channels=channels, out_channels=channels, kernel_size=3, stride=stride, padding=2, dilation=2)


@OPERATIONS.register("dilated-conv-3x3")
class DilatedConv3x3:
    """One 3x3 convolution over all channels with dilation 2: it sees 5x5 pixels."""

    summary = "3x3 dense convolution, dilation 2"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the convolution in its template."""
        return conv(_shape(channels, stride))

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the block's cost."""
        return conv(_shape(channels, stride), size)

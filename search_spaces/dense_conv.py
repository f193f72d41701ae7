"""What the operations have in common that are one dense convolution: a file of theirs names its kernel."""

from typing import ClassVar

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, ConvShape, Cost, Size


class DenseConv:
    """One k x k convolution over all channels with dilation d, in the space's template.

    It sees d (k - 1) + 1 pixels a side and pads d (k - 1) / 2, so that only the stride changes the size.
    """

    kernel_size: ClassVar[int]
    dilation: ClassVar[int] = 1

    def _shape(self, channels: int, stride: int) -> ConvShape:
        return ConvShape(
            in_channels=channels,
            out_channels=channels,
            kernel_size=self.kernel_size,
            stride=stride,
            padding=self.dilation * (self.kernel_size - 1) // 2,
            dilation=self.dilation,
        )

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the convolution in its template."""
        return conv(self._shape(channels, stride))

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the block's cost."""
        return conv(self._shape(channels, stride), size)

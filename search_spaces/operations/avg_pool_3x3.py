"""3x3 average pooling."""

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, Cost, Size
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("avg-pool-3x3")
class AvgPool3x3:
    """y = mean over a 3x3 window, padding 1; padded pixels are not counted in the mean."""

    summary = "3x3 average pooling"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the pooling."""
        del conv, channels
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return nothing: no weights, no multiply-accumulates."""
        del conv, channels, stride, size
        return Cost()

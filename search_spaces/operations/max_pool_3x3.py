"""3x3 max pooling."""

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, Cost, Size
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("max-pool-3x3")
class MaxPool3x3:
    """y = max over a 3x3 window, padding 1; on real values, never on signs (XNOR-Net section 3.2)."""

    summary = "3x3 max pooling"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the pooling."""
        del conv, channels
        return nn.MaxPool2d(3, stride, padding=1)

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return nothing: no weights, no multiply-accumulates."""
        del conv, channels, stride, size
        return Cost()

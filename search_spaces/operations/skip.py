"""Skip connection."""

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, Cost, Size
from search_spaces.halving import halving
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("skip")
class Skip:
    """y = x at stride 1; at stride 2 the mean of each 2x2 square.

    DARTS and the ABanditNAS code halve the size with two real-valued 1x1 convolutions (FactorizedReduce), which would
    put hidden full-precision weights into a weight-free arm of a binary space. The 2x2 mean is what binary residual
    networks use before their downsampling convolution (Bi-Real Net), without the convolution.
    """

    summary = "identity; 2x2 mean at stride 2"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the identity or the 2x2 mean."""
        del conv, channels
        return halving(stride)

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return nothing: no weights, no multiply-accumulates."""
        del conv, channels, stride, size
        return Cost()

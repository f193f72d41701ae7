"""5x5 dense convolution."""

from search_spaces.convolutions import DenseConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("conv-5x5")
class Conv5x5(DenseConv):
    """One 5x5 convolution over all channels."""

    summary = "5x5 dense convolution"
    kernel_size = 5

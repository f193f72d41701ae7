"""3x3 dense convolution."""

from search_spaces.convolutions import DenseConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("conv-3x3")
class Conv3x3(DenseConv):
    """One 3x3 convolution over all channels."""

    summary = "3x3 dense convolution"
    kernel_size = 3

"""3x3 dense convolution with dilation 2."""

from search_spaces.convolutions import DenseConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("dilated-conv-3x3")
class DilatedConv3x3(DenseConv):
    """One 3x3 convolution over all channels with dilation 2: it sees 5x5 pixels."""

    summary = "3x3 dense convolution, dilation 2"
    kernel_size = 3
    dilation = 2

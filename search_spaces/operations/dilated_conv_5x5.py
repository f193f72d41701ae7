"""5x5 dense convolution with dilation 2."""

from search_spaces.convolutions import DenseConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("dilated-conv-5x5")
class DilatedConv5x5(DenseConv):
    """One 5x5 convolution over all channels with dilation 2: it sees 9x9 pixels."""

    summary = "5x5 dense convolution, dilation 2"
    kernel_size = 5
    dilation = 2

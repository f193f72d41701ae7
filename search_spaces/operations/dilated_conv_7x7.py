"""7x7 dense convolution with dilation 2."""

from search_spaces.convolutions import DenseConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("dilated-conv-7x7")
class DilatedConv7x7(DenseConv):
    """One 7x7 convolution over all channels with dilation 2: it sees 13x13 pixels. Eleventh arm of ABanditNAS's ablation."""

    summary = "7x7 dense convolution, dilation 2"
    kernel_size = 7
    dilation = 2

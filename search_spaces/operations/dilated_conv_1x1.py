"""1x1 dense convolution, in the place that the paper calls dilated."""

from search_spaces.convolutions import DenseConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("dilated-conv-1x1")
class DilatedConv1x1(DenseConv):
    """One 1x1 convolution over all channels: tenth arm of ABanditNAS's ablation, "1x1 with rate 2".

    Dilation spreads the positions of a kernel, and there is one: a rate of 2 changes nothing and is left out.
    """

    summary = "1x1 dense convolution (the paper's dilation of 2 is void on one position)"
    kernel_size = 1

"""3x3 dense convolution, then a 1x1 convolution: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("mobile-conv-3x3")
class MobileConv3x3(MobileConv):
    """One 3x3 convolution over all channels, then a 1x1 convolution over all."""

    summary = "3x3 dense convolution, then 1x1 convolution"
    kernel_size = 3

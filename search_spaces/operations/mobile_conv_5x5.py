"""5x5 dense convolution, then a 1x1 convolution: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("mobile-conv-5x5")
class MobileConv5x5(MobileConv):
    """One 5x5 convolution over all channels, then a 1x1 convolution over all."""

    summary = "5x5 dense convolution, then 1x1 convolution"
    kernel_size = 5

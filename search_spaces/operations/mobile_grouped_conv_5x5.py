"""5x5 grouped convolution, then a 1x1 convolution: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("mobile-grouped-conv-5x5")
class MobileGroupedConv5x5(MobileConv):
    """One 5x5 convolution in up to 4 groups of channels, then a 1x1 convolution over all."""

    summary = "5x5 grouped convolution, then 1x1 convolution"
    kernel_size = 5
    is_grouped = True

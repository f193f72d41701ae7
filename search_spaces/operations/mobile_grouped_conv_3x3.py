"""3x3 grouped convolution, then a 1x1 convolution: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("mobile-grouped-conv-3x3")
class MobileGroupedConv3x3(MobileConv):
    """One 3x3 convolution in up to 4 groups of channels, then a 1x1 convolution over all."""

    summary = "3x3 grouped convolution, then 1x1 convolution"
    kernel_size = 3
    is_grouped = True

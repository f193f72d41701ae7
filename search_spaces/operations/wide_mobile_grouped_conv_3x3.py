"""3x3 grouped convolution to twice the channels, then a 1x1 convolution back: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("wide-mobile-grouped-conv-3x3")
class WideMobileGroupedConv3x3(MobileConv):
    """One 3x3 convolution in up to 4 groups of channels to twice the channels, then a 1x1 convolution over all of them back."""

    summary = "3x3 grouped convolution to twice the channels, then 1x1 convolution back"
    kernel_size = 3
    is_grouped = True
    is_wide = True

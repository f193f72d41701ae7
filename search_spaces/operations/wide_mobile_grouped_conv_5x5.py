"""5x5 grouped convolution to twice the channels, then a 1x1 convolution back: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("wide-mobile-grouped-conv-5x5")
class WideMobileGroupedConv5x5(MobileConv):
    """One 5x5 convolution in up to 4 groups of channels to twice the channels, then a 1x1 convolution over all of them back."""

    summary = "5x5 grouped convolution to twice the channels, then 1x1 convolution back"
    kernel_size = 5
    is_grouped = True
    is_wide = True

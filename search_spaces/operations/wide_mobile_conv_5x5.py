"""5x5 dense convolution to twice the channels, then a 1x1 convolution back: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("wide-mobile-conv-5x5")
class WideMobileConv5x5(MobileConv):
    """One 5x5 convolution over all channels to twice the channels, then a 1x1 convolution over all of them back."""

    summary = "5x5 dense convolution to twice the channels, then 1x1 convolution back"
    kernel_size = 5
    is_wide = True

"""3x3 dense convolution to twice the channels, then a 1x1 convolution back: a layer of NAS-BNN."""

from search_spaces.convolutions import MobileConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("wide-mobile-conv-3x3")
class WideMobileConv3x3(MobileConv):
    """One 3x3 convolution over all channels to twice the channels, then a 1x1 convolution over all of them back."""

    summary = "3x3 dense convolution to twice the channels, then 1x1 convolution back"
    kernel_size = 3
    is_wide = True

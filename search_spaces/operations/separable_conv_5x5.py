"""5x5 depthwise-separable convolution."""

from search_spaces.convolutions import SeparableConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("separable-conv-5x5")
class SeparableConv5x5(SeparableConv):
    """A 5x5 convolution of each channel by itself, then a 1x1 convolution over all channels."""

    summary = "5x5 depthwise convolution, then 1x1 convolution"
    kernel_size = 5

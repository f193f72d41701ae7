"""3x3 depthwise-separable convolution."""

from search_spaces.convolutions import SeparableConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("separable-conv-3x3")
class SeparableConv3x3(SeparableConv):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution over all channels."""

    summary = "3x3 depthwise convolution, then 1x1 convolution"
    kernel_size = 3

"""3x3 grouped convolution and a channel shuffle: BATS's `sep`."""

from search_spaces.convolutions import GroupedConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("grouped-conv-3x3")
class GroupedConv3x3(GroupedConv):
    """One 3x3 convolution in up to 12 groups of channels, then a channel shuffle."""

    summary = "3x3 grouped convolution, then channel shuffle"
    kernel_size = 3

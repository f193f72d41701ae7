"""5x5 grouped convolution and a channel shuffle: BATS's `sep`."""

from search_spaces.convolutions import GroupedConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("grouped-conv-5x5")
class GroupedConv5x5(GroupedConv):
    """One 5x5 convolution in up to 12 groups of channels, then a channel shuffle."""

    summary = "5x5 grouped convolution, then channel shuffle"
    kernel_size = 5

"""3x3 grouped convolution with dilation 2 and a channel shuffle: BATS's `dil`."""

from search_spaces.convolutions import GroupedConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("dilated-grouped-conv-3x3")
class DilatedGroupedConv3x3(GroupedConv):
    """As `grouped-conv-3x3`, with dilation 2: it sees 5x5 pixels."""

    summary = "3x3 grouped convolution, dilation 2, then channel shuffle"
    kernel_size = 3
    dilation = 2

"""5x5 grouped convolution with dilation 2 and a channel shuffle: BATS's `dil`."""

from search_spaces.convolutions import GroupedConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("dilated-grouped-conv-5x5")
class DilatedGroupedConv5x5(GroupedConv):
    """As `grouped-conv-5x5`, with dilation 2: it sees 9x9 pixels."""

    summary = "5x5 grouped convolution, dilation 2, then channel shuffle"
    kernel_size = 5
    dilation = 2

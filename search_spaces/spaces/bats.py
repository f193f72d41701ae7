"""The space of BATS: grouped convolutions with a channel shuffle in the place of separable ones, a shortcut around each.

The shortcut, at stride 1, is that of the template `shortcut`, whose order (batch norm -> sign -> convolution -> PReLU) is BATS's.
Nodes are 24 channels wide, a multiple of the published 12 groups (BATS's own width in the search is not known to us). See
`search_spaces.darts` for the cells and for what differs, `search_spaces.convolutions` for groups and shuffle.

References:
    Bulat, Martinez and Tzimiropoulos, "BATS: Binary ArchitecTure Search", ECCV 2020, arXiv 2003.01711, and its code.
"""

from dataclasses import replace

from search_spaces.darts import darts_space
from search_spaces.space import SPACES, ZEROISE

BATS = SPACES.register("bats")(
    replace(
        darts_space(
            "bats",
            "BATS: cells of two inputs, 14 edges a cell, 8 operations an edge, convolutions grouped and shuffled.",
            (
                ZEROISE,
                "max-pool-3x3",
                "avg-pool-3x3",
                "skip",
                "grouped-conv-3x3",
                "grouped-conv-5x5",
                "dilated-grouped-conv-3x3",
                "dilated-grouped-conv-5x5",
            ),
            channels=24,
        ),
        template="shortcut",
    )
)

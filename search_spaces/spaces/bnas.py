"""The space of BNAS (Kim et al.): no separable convolution, no skip arm, cut edges allowed to win, and skips between cells.

Every cell but the first adds the previous cell's output to its own. In a reduction cell BNAS brings that output to half the size
and twice the width by a batch norm and a real-valued 2x2 convolution with stride 2. From 4 nodes of width C to 4 of width 2C
that is 4 (4C)(8C) = 128 C^2 float weights, against 36 C^2 bits of a binary 3x3 convolution between two of the nodes. Ours has no
weights: the mean of each 2x2 square, taken twice (ReActNet's duplicated channels).

The block around a convolution is a setting of every space; BNAS's is batch norm -> sign -> convolution -> ReLU. `shortcut`
is that with PReLU for ReLU and a local shortcut, which BNAS leaves to the skips between cells; the default, `double-norm`, has a
batch norm behind the convolution, too. See `search_spaces.darts` for the cells and for what else differs.

References:
    Kim, Singh and Choi, "Learning Architectures for Binary Networks", ECCV 2020, arXiv 2002.06963, section 4, and its code.
"""

from dataclasses import replace

from search_spaces.darts import darts_space
from search_spaces.space import SPACES, ZEROISE

BNAS = SPACES.register("bnas")(
    replace(
        darts_space(
            "bnas",
            "BNAS: cells of two inputs with skips between cells, 14 edges a cell, 7 operations an edge.",
            (
                ZEROISE,
                "max-pool-3x3",
                "avg-pool-3x3",
                "dilated-conv-3x3",
                "dilated-conv-5x5",
                "conv-3x3",
                "conv-5x5",
            ),
        ),
        inter_cell_skips=True,
    )
)

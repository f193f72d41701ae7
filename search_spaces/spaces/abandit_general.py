"""The general space of ABanditNAS: its seven general operations (no Gabor filter, no denoising block).

Four intermediate nodes, ten edges, six cell types: 7^60 genotypes. Channels double and the size halves at cells
L // 3 and 2 * L // 3, which in the six-cell network are the third and fifth cell; those two types are reductions.

References:
    Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, arXiv 2008.00698, section 3.1;
    Zhang et al., "Binary Neural Networks", CRC Press, section 4.2.2.
"""

from search_spaces.space import SPACES, CellType, Role, SearchSpace, connect_all

GENERAL_OPERATIONS = (
    "max-pool-3x3",
    "avg-pool-3x3",
    "skip",
    "dilated-conv-3x3",
    "dilated-conv-5x5",
    "separable-conv-3x3",
    "separable-conv-5x5",
)

ABANDIT_GENERAL = SPACES.register("abandit-general")(
    SearchSpace(
        name="abandit-general",
        summary="ABanditNAS without its two defence operations: 6 cell types, 10 edges a cell, 7 operations an edge.",
        cell_types=(
            CellType("a"),
            CellType("b"),
            CellType("c", Role.REDUCTION),
            CellType("d"),
            CellType("e", Role.REDUCTION),
            CellType("f"),
        ),
        edges=connect_all(nodes=4, operations=GENERAL_OPERATIONS),
        cells=6,
    )
)

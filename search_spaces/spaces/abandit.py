"""The full space of ABanditNAS: its seven general operations, the Gabor filter and the denoising block.

Cells are those of `abandit-general`: four intermediate nodes, ten edges, six cell types: 9^60 genotypes.

References:
    Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, arXiv 2008.00698, section 3.1;
    Zhang et al., "Binary Neural Networks", CRC Press, section 4.2.2.
"""

from dataclasses import replace

from search_spaces.space import SPACES, connect_all
from search_spaces.spaces.abandit_general import ABANDIT_GENERAL, GENERAL_OPERATIONS

ROBUST_OPERATIONS = (*GENERAL_OPERATIONS, "gabor-conv-3x3", "denoise")

ABANDIT = SPACES.register("abandit")(
    replace(
        ABANDIT_GENERAL,
        name="abandit",
        summary="ABanditNAS: 6 cell types, 10 edges a cell, 9 operations an edge, Gabor filter and denoising included.",
        edges=connect_all(nodes=4, operations=ROBUST_OPERATIONS),
    )
)

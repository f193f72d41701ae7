"""The full space of ABanditNAS: its seven general operations, the Gabor filter and the denoising block.

Cells are those of `abandit-general`: four intermediate nodes, ten edges, six cell types: 9^60 genotypes.

The paper's ablation adds one operation at a time, from the 7 general ones to 11 (Gabor filter, denoising, 1x1 and 7x7
convolutions with rate 2). That is this space with the setting `operations`: the first 7 to 11 of `ABLATION_OPERATIONS`,

    {"name": "abandit", "settings": {"operations": ["max-pool-3x3", ..., "denoise", "dilated-conv-1x1"]}}   (10 of them)

References:
    Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, arXiv 2008.00698, section 3.1;
    Zhang et al., "Binary Neural Networks", CRC Press, section 4.2.2.
"""

from dataclasses import replace

from search_spaces.space import SPACES, connect_all
from search_spaces.spaces.abandit_general import ABANDIT_GENERAL, GENERAL_OPERATIONS

ROBUST_OPERATIONS = (*GENERAL_OPERATIONS, "gabor-conv-3x3", "denoise")
ABLATION_OPERATIONS = (*ROBUST_OPERATIONS, "dilated-conv-1x1", "dilated-conv-7x7")

ABANDIT = SPACES.register("abandit")(
    replace(
        ABANDIT_GENERAL,
        name="abandit",
        summary="ABanditNAS: 6 cell types, 10 edges a cell, 9 operations an edge, Gabor filter and denoising included.",
        edges=connect_all(nodes=4, operations=ROBUST_OPERATIONS),
    )
)

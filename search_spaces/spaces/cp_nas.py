"""The space of CP-NAS and DCP-NAS: DARTS's cells and operations, both halves of the separable convolutions binary.

See `search_spaces.darts` for the cells and for what differs. We do not know whether CP-NAS lets its zero operation win; here it
may.

References:
    Zhuo et al., "CP-NAS: Child-Parent Neural Architecture Search for 1-bit CNNs", IJCAI 2020, arXiv 2005.00057;
    Zhang et al., "Binary Neural Networks", CRC Press, section 4.3.
"""

from search_spaces.darts import darts_space
from search_spaces.space import SPACES, ZEROISE

CP_NAS = SPACES.register("cp-nas")(
    darts_space(
        "cp-nas",
        "CP-NAS: normal and reduction cells of two inputs, 14 edges a cell, 8 operations an edge.",
        (
            ZEROISE,
            "skip",
            "dilated-conv-3x3",
            "dilated-conv-5x5",
            "max-pool-3x3",
            "avg-pool-3x3",
            "separable-conv-3x3",
            "separable-conv-5x5",
        ),
    )
)

"""The nine operations of `abandit` on three edges: small enough to train every genotype."""

from search_spaces.space import SPACES, CellType, SearchSpace, connect_all
from search_spaces.spaces.abandit import ROBUST_OPERATIONS

ABANDIT_MINI = SPACES.register("abandit-mini")(
    SearchSpace(
        name="abandit-mini",
        summary="One cell type, 3 edges, the 9 operations of abandit: 729 genotypes, to be enumerated.",
        cell_types=(CellType("a"),),
        edges=connect_all(nodes=2, operations=ROBUST_OPERATIONS),
        cells=2,
        channels=8,
    )
)

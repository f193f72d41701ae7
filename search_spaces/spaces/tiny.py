"""A space small enough to enumerate and to train in a blink, for tests, demonstrations and first steps."""

from search_spaces.space import SPACES, CellType, Role, SearchSpace, connect_all

TINY = SPACES.register("tiny")(
    SearchSpace(
        name="tiny",
        summary="Two cell types, 3 edges a cell, 3 operations an edge: 729 genotypes.",
        cell_types=(CellType("a"), CellType("b", Role.REDUCTION)),
        edges=connect_all(nodes=2, operations=("skip", "max-pool-3x3", "dilated-conv-3x3")),
        cells=2,
        channels=8,
    )
)

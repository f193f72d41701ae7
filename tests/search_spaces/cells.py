"""A small space of cells with two inputs, as in DARTS."""

from dataclasses import replace

from search_spaces.space import SPACES, CellType, Role, SearchSpace, connect_all


def two_inputs(*operations: str) -> SearchSpace:
    """Return two cell types of two nodes, five edges each, stacked to six cells."""
    return replace(
        SPACES.get("tiny"),
        cell_types=(CellType("normal"), CellType("reduction", Role.REDUCTION)),
        stacking=("normal", "reduction", "normal", "reduction", "normal"),
        edges=connect_all(nodes=2, operations=operations, inputs=2),
        inputs=2,
        cells=6,
        channels=4,
    )

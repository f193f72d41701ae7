"""The cells that DARTS introduced and that the binary spaces CP-NAS, BNAS and BATS took over, with operations of their own.

A cell takes from the two cells before it and has four intermediate nodes: 2 + 3 + 4 + 5 = 14 edges. Two types are searched,
normal and reduction; reductions stand at a third and at two thirds of the depth.

Differences: DARTS, BNAS and BATS search all 14 edges and keep the two strongest of each node, so that their final cells have 8.
A genotype of ours keeps one operation on each of the 14 edges, as a bandit that leaves one arm an edge does; where `zeroise`
is among the operations it can cut edges, but one of each node stays. What changes size or width between cells has no real
convolution in it: the older input is halved by a 2x2 mean (BNAS: a binary 3x3 convolution with stride 2). Widths are in the
first stage; the depth of 8 cells is what DARTS and BNAS search with (that of CP-NAS and BATS is not known to us) and a setting.

References:
    Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055, section 3.
"""

from search_spaces.space import CellType, Role, SearchSpace, connect_all

_INPUTS = 2
_NODES = 4


def darts_space(name: str, summary: str, operations: tuple[str, ...], channels: int = 16) -> SearchSpace:
    """Return a space of DARTS's cells with the same operations on every edge."""
    return SearchSpace(
        name=name,
        summary=summary,
        cell_types=(CellType("normal"), CellType("reduction", Role.REDUCTION)),
        stacking=("normal", "reduction", "normal", "reduction", "normal"),
        edges=connect_all(_NODES, operations, _INPUTS),
        inputs=_INPUTS,
        cells=8,
        channels=channels,
    )

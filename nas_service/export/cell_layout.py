"""Where the edges of a cell are drawn: each runs in a lane of its own, so that no label meets another one. No drawing here.

Nodes stand in a row. An edge leaves its source on a slant, runs level in a lane above or below the row, and comes down on a
slant to its target. Slants keep within `SLANT` of a node, labels within the gap between two neighbours: a label is crossed by
no edge but its own, and shares its lane with none in its gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.space import Edge

SLANT = 30  # pixels between a node's centre and where its edges run level
RADIUS = 15  # of a node
CLEAR = 16  # pixels between a node's rim and the middle of the nearest lane


@dataclass(frozen=True)
class Lane:
    """Where an edge runs.

    Attributes:
        edge: The edge.
        level: Above the row 1, 2, ... from the row outwards; below it -1, -2, ...
        gap: The label stands between the nodes `gap` and `gap + 1`.
    """

    edge: Edge
    level: int
    gap: int


@dataclass(frozen=True)
class CellLayout:
    """The lanes of a cell, in the space's order of edges."""

    lanes: tuple[Lane, ...]

    @property
    def above(self) -> int:
        """Number of lanes above the row of nodes."""
        return max([0, *(lane.level for lane in self.lanes)])

    @property
    def below(self) -> int:
        """Number of lanes below the row of nodes."""
        return max([0, *(-lane.level for lane in self.lanes)])


def lay_out(edges: Sequence[Edge]) -> CellLayout:
    """Give every edge the free lane that is nearest to the row of nodes, short edges first, above where both sides are equal."""
    taken: dict[int, list[Edge]] = {}
    found: dict[Edge, Lane] = {}
    for edge in sorted(edges, key=lambda edge: (edge.target - edge.source, edge.source)):
        level = next(side for side in _sides(len(edges)) if all(_apart(edge, other) for other in taken.get(side, ())))
        taken.setdefault(level, []).append(edge)
        found[edge] = Lane(edge, level, edge.source + (edge.target - edge.source - 1) // 2)
    return CellLayout(tuple(found[edge] for edge in edges))


def _sides(count: int) -> list[int]:
    """Return the lanes 1, -1, 2, -2, ..., enough for `count` edges."""
    return [sign * level for level in range(1, count + 1) for sign in (1, -1)]


def _apart(first: Edge, second: Edge) -> bool:
    return first.target <= second.source or second.target <= first.source

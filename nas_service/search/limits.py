"""Limits on what an architecture costs, and the architectures within them. Plain Python.

The cost of a network of cells is the sum of what its arms cost and of a rest that all have. So a limit is linear in the arms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search_spaces.genotype import Choice

Arms = Sequence[Sequence[Choice]]


@dataclass(frozen=True, eq=False)
class Limits:
    """What architectures may cost.

    Attributes:
        costs: Of every arm, one figure for each limit, a multiple of a 64th.
        room: What all arms of an architecture may cost together, by limit: the limit less what every architecture costs.
    """

    costs: Mapping[Choice, tuple[float, ...]]
    room: tuple[float, ...]

    def fits(self, choices: Sequence[Choice]) -> bool:
        """Return whether an architecture keeps all limits."""
        return all(sum(self.costs[key][number] for key in choices) <= most for number, most in enumerate(self.room))

    def burden(self, key: Choice) -> float:
        """Return what an arm takes of the room, added up over the limits."""
        return sum(cost / max(abs(most), 1.0) for cost, most in zip(self.costs[key], self.room, strict=True))

    def narrowed(self, arms: Arms) -> list[list[Choice]]:
        """Return `arms` without those that break a limit even among the cheapest others; no others are sure to be held."""
        least = [[min(self.costs[key][number] for key in keys) for keys in arms] for number in range(len(self.room))]
        spare = [most - sum(figures) for most, figures in zip(self.room, least, strict=True)]
        return [
            [key for key in keys if all(self.costs[key][n] - least[n][place] <= spare[n] for n in range(len(spare)))]
            for place, keys in enumerate(arms)
        ]


@dataclass(frozen=True, eq=False)
class Region:
    """What is searched of a space: live architectures within limits.

    Attributes:
        nodes: For every node of every cell type, the places of the edges into it.
        limits: None: there are none.
        ruled_out: Arms that the space lists and a cell type does not allow: skips where a cell is required.
    """

    nodes: tuple[tuple[int, ...], ...]
    limits: Limits | None = None
    ruled_out: frozenset[Choice] = frozenset()

    def fits(self, choices: Sequence[Choice]) -> bool:
        """Return whether a live architecture keeps the limits."""
        return self.limits is None or self.limits.fits(choices)

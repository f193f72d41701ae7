"""Limits on what an architecture costs, and the architectures within them. Plain Python.

The cost of a network of cells is the sum of what its arms cost and of a rest that all have. So a limit is linear in the arms.
What is no such sum (the room for all maps, code that layers share) is a figure of a whole architecture, which somebody works out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from search_spaces.genotype import Choice

Arms = Sequence[Sequence[Choice]]


@dataclass(frozen=True, eq=False)
class Whole:
    """Figures of whole architectures that are limited.

    Attributes:
        names: Of the figures, for people.
        of: Works them out, for one architecture; infinite where there are none. The same whenever it is asked.
        most: What each may be.
    """

    names: tuple[str, ...]
    of: Callable[[tuple[Choice, ...]], tuple[float, ...]]
    most: tuple[float, ...]


class Excess(NamedTuple):
    """By how much an architecture breaks limits, as shares of them: sums first, whole figures where no sum is too large."""

    sums: float
    whole: float
    figures: float  # all of them together, to tell equals apart

    @classmethod
    def worst(cls) -> "Excess":
        """Return more than any architecture has."""
        return cls(math.inf, math.inf, math.inf)

    @property
    def is_none(self) -> bool:
        """Whether all limits are kept."""
        return self.sums <= 0 and self.whole <= 0


@dataclass(frozen=True, eq=False)
class Limits:
    """What architectures may cost.

    Attributes:
        costs: Of every arm, one figure for each limit, a multiple of a 64th.
        room: What all arms of an architecture may cost together, by limit: the limit less what every architecture costs.
        whole: Limits on figures that are no sums; None: there are none.
    """

    costs: Mapping[Choice, tuple[float, ...]]
    room: tuple[float, ...]
    whole: Whole | None = None

    def fits(self, choices: Sequence[Choice]) -> bool:
        """Return whether an architecture keeps all limits."""
        if not self.keeps_sums(choices):
            return False
        whole = self.whole
        return whole is None or all(figure <= most for figure, most in zip(whole.of(tuple(choices)), whole.most, strict=True))

    def keeps_sums(self, choices: Sequence[Choice]) -> bool:
        """Return whether an architecture keeps the limits on sums."""
        return all(sum(self.costs[key][number] for key in choices) <= most for number, most in enumerate(self.room))

    def excess(self, choices: Sequence[Choice]) -> Excess:
        """Return by how much an architecture breaks the limits."""
        over = [sum(self.costs[key][number] for key in choices) - most for number, most in enumerate(self.room)]
        shares = [more / max(abs(most), 1.0) for more, most in zip(over, self.room, strict=True)]
        if self.whole is None or max(shares, default=0.0) > 0:
            return Excess(max(shares, default=0.0), 0.0 if self.whole is None else math.inf, 0.0)
        figures = self.whole.of(tuple(choices))
        over = [figure / most - 1 for figure, most in zip(figures, self.whole.most, strict=True) if not math.isinf(most)]
        return Excess(0.0, max(over, default=0.0), sum(figures))

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

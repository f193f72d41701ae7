"""Limits on what an architecture costs, and the architectures within them. scipy, no torch.

The cost of a network of cells is the sum of what its arms cost and of a rest that all have. So a limit is linear in the arms, and

    nearest    the live architecture within all limits that has the largest sum of its arms' worths: an integer linear program of
               one variable an arm, solved exactly (HiGHS by `scipy.optimize.milp`)

tells whether there is one at all (any worths), which is cheapest (worth: minus the cost), and which is most like a given one
(worth: 1 for each of its arms). A program of 60 edges and 9 operations takes ten to a hundred milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from search_spaces.cost import BOPS_PER_OP
from search_spaces.genotype import Choice
from search_spaces.space import ZEROISE

Arms = Sequence[Sequence[Choice]]
_EXACT = {"mip_rel_gap": 0.0}
_INFEASIBLE = 2  # status of scipy's milp


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
    """

    nodes: tuple[tuple[int, ...], ...]
    limits: Limits | None = None

    def fits(self, choices: Sequence[Choice]) -> bool:
        """Return whether a live architecture keeps the limits."""
        return self.limits is None or self.limits.fits(choices)


def nearest(region: Region, arms: Arms, worths: Sequence[Sequence[float]]) -> list[Choice] | None:
    """Return the architecture of a region with the largest sum of worths, holding given arms; None if there is none.

    Args:
        region: What is searched.
        arms: That may be held, at every place.
        worths: Of the arms.

    Raises:
        RuntimeError: If the solver fails.
    """
    if not all(arms):
        return None
    keys = [key for held in arms for key in held]
    places = np.repeat(np.arange(len(arms)), [len(held) for held in arms])
    carries = np.array([key.operation != ZEROISE for key in keys])
    one_each = (places == np.arange(len(arms))[:, None]).astype(float)
    alive = np.array([np.isin(places, node) & carries for node in region.nodes], float).reshape(-1, len(keys))
    constraints = [LinearConstraint(one_each, 1, 1), LinearConstraint(alive, 1, np.inf)]
    limits = region.limits
    worth = np.concatenate([np.asarray(figures, float) for figures in worths])
    within = [] if limits is None else [_within(limits, keys)]
    every = np.ones(len(keys))
    found = milp(-worth, integrality=every, bounds=Bounds(0, 1), constraints=[*constraints, *within], options=_EXACT)
    if found.status == _INFEASIBLE:
        return None
    chosen = [] if found.x is None else [keys[place] for place in np.flatnonzero(found.x > 1 / 2)]
    if len(chosen) != len(arms) or not region.fits(chosen):
        message = f"the solver of integer programs failed (status {found.status}): {found.message}"
        raise RuntimeError(message)
    return chosen


def _within(limits: Limits, keys: Sequence[Choice]) -> LinearConstraint:
    """Return the limits in whole numbers, without a common factor and with a quarter to spare: the solver rounds, costs do not.

    Raises:
        ValueError: If a cost is no multiple of a 64th, as OPs are.
    """
    costs = np.array([limits.costs[key] for key in keys], float).T * BOPS_PER_OP
    whole = np.rint(costs).astype(np.int64)
    if not np.array_equal(whole, costs):
        raise ValueError("costs that are no multiples of a 64th")
    units = np.maximum(np.gcd.reduce(np.abs(whole), axis=1), 1)
    room = np.floor(np.array(limits.room, float) * BOPS_PER_OP / units)
    return LinearConstraint(whole / units[:, None], -np.inf, room + 1 / 4)

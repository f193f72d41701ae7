"""Integer linear programs: the best architecture within limits. scipy, no torch.

    solve    the live architecture within all limits that has the largest sum of its arms' worths: one 0/1 variable an arm, solved
             exactly (HiGHS by `scipy.optimize.milp`)

tells whether there is one at all (any worths), which is cheapest (worth: minus the cost), and which is most like a given one
(worth: 1 for each of its arms). A program of 60 edges and 9 operations takes ten to a hundred milliseconds.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from nas_service.search.limits import Arms, Limits, Region
from search_spaces.cost import BOPS_PER_OP
from search_spaces.genotype import Choice
from search_spaces.space import ZEROISE

_EXACT = {"mip_rel_gap": 0.0}
_INFEASIBLE = 2  # status of scipy's milp


def solve(region: Region, arms: Arms, worths: Sequence[Sequence[float]]) -> list[Choice] | None:
    """Return the architecture of a region with the largest sum of worths, holding given arms; None if there is none.

    Of the limits it keeps those on sums.

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
    within = [_within(limits, keys)] if limits is not None and limits.room else []
    every = np.ones(len(keys))
    found = milp(-worth, integrality=every, bounds=Bounds(0, 1), constraints=[*constraints, *within], options=_EXACT)
    if found.status == _INFEASIBLE:
        return None
    chosen = [] if found.x is None else [keys[place] for place in np.flatnonzero(found.x > 1 / 2)]
    if len(chosen) != len(arms) or not (limits is None or limits.keeps_sums(chosen)):
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

"""What the architectures of a space cost, and which share of them keeps the limits of a search, before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nas_service.arm_costs import ArmCosts, quantity
from nas_service.c_figures import CFigures
from nas_service.constraints import C_QUANTITIES, QUANTITIES, Constraints
from nas_service.search.encoding import Codes, Encoding, Floats
from search_spaces.space import ZEROISE, SearchSpace

DRAWS = 5000
_COUNTED = 5000  # up to so many architectures all are counted
_WRITTEN, _DRAWN_IN_C = 1000, 300  # likewise of what C takes: milliseconds each
_NONE: Mapping[str, ArmCosts] = MappingProxyType({})


@dataclass(frozen=True)
class CostRange:
    """What architectures take of a quantity.

    Attributes:
        quantity: As the limit is called.
        least: Of the cheapest; of what C takes in a large space, of the cheapest that was drawn.
        median: Of a uniformly drawn one.
        most: Of the dearest; likewise.
        limit: None: there is none.
    """

    quantity: str
    least: float
    median: float
    most: float
    limit: float | None


@dataclass(frozen=True)
class Exceeding:
    """A method to train with whose networks may cost more than a limit.

    Attributes:
        method: Its name.
        quantity: As the limit is called.
        most: What an architecture within the limits takes at most with the method.
        limit: That there is.
    """

    method: str
    quantity: str
    most: float
    limit: float


@dataclass(frozen=True)
class SpaceCosts:
    """Costs over a space.

    Attributes:
        ranges: One a quantity.
        feasible: Share of the architectures that keep all limits.
        counted: Of how many architectures that is taken: drawn uniformly, or all there are.
        exceeding: Methods of the training that follows which may break a limit.
    """

    ranges: tuple[CostRange, ...]
    feasible: float
    counted: int
    exceeding: tuple[Exceeding, ...] = ()


def space_costs(
    space: SearchSpace,
    costs: ArmCosts,
    constraints: Constraints | None,
    trained: Mapping[str, ArmCosts] = _NONE,
    in_c: CFigures | None = None,
) -> SpaceCosts:
    """Count architectures of a space.

    Args:
        space: With some architecture within the limits.
        costs: Counted for the search's method.
        constraints: The limits.
        trained: Costs counted for the methods of the training that follows, by name.
        in_c: What C takes, where that is limited.
    """
    given = {} if constraints is None else constraints.sums
    codes, figures = _figures(space, costs)
    ranges = []
    for place, counted in enumerate(QUANTITIES):
        least, most = costs.span(space, counted)
        ranges.append(CostRange(counted, least, float(np.median(figures[place])), most, given.get(counted)))
    kept = (
        np.all([figures[QUANTITIES.index(name)] <= limit for name, limit in given.items()], axis=0) if given else np.ones(1, bool)
    )
    if constraints is not None and constraints.in_c and in_c is not None:
        written = _in_c(space, in_c, codes)
        names: list[str] = list(C_QUANTITIES)
        for name, row in zip(names, written, strict=True):
            told = row[np.isfinite(row)]  # some may have no C
            ends = (float(told.min()), float(np.median(told)), float(told.max())) if len(told) else (0.0, 0.0, 0.0)
            ranges.append(CostRange(name, *ends, constraints.in_c.get(name)))
        within = np.all([written[names.index(name)] <= limit for name, limit in constraints.in_c.items()], axis=0)
        kept = within & np.broadcast_to(kept, figures.shape[1])[: len(within)]
        figures = figures[:, : len(within)]
    limits, exceeding = costs.limits(given) if given else None, []
    for method, own in trained.items():
        for name, limit in given.items():
            _, most = own.span(space, name, limits)
            exceeding += [Exceeding(method, name, most, limit)] if most > limit else []
    return SpaceCosts(tuple(ranges), float(np.mean(kept)), figures.shape[1], tuple(exceeding))


def _in_c(space: SearchSpace, in_c: CFigures, codes: Codes) -> Floats:
    """Return what C takes of the first architectures, (C_QUANTITIES, architectures)."""
    rows, encoding = codes if len(codes) <= _WRITTEN else codes[:_DRAWN_IN_C], Encoding(space)
    told = [in_c.of(encoding.genotype(row).choices, C_QUANTITIES) for row in rows]
    return np.array(told, float).T


def _figures(space: SearchSpace, costs: ArmCosts) -> tuple[Codes, Floats]:
    """Return live architectures, (architectures, E), and their quantities, (quantities, architectures)."""
    encoding = Encoding(space)
    more = np.zeros((len(QUANTITIES), encoding.edges, len(encoding.operations)))
    for place, keys in enumerate(encoding.possible_arms):
        for key in keys:
            number = encoding.operations.index(key.operation)
            more[:, place, number] = [quantity(costs.more[key], name) for name in QUANTITIES]
    if space.size() <= _COUNTED:
        codes = encoding.all_live
    else:
        random = np.random.RandomState(0)
        drawn = [random.choice(np.flatnonzero(allowed), DRAWS) for allowed in encoding.possible]
        codes = np.stack(drawn, axis=1)
        if ZEROISE in encoding.operations:
            carries = codes != encoding.operations.index(ZEROISE)
            alive = np.all([carries[:, list(node)].any(axis=1) for node in encoding.region.nodes], axis=0)
            codes = codes[alive]
    base = np.array([quantity(costs.base, name) for name in QUANTITIES])
    return codes, np.asarray(base[:, None] + more[:, np.arange(encoding.edges), codes].sum(axis=-1))

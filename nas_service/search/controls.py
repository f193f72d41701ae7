"""Controls: random architectures that are trained as what a search found is, for it to stand beside.

Half of them are drawn uniformly: what chance finds. The others have about the cost of the search's pick, so that its lead is
not one of size. All are live and within the search's limits, and depend on (seed, kind, number) alone.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from nas_service.search.control import Control
from nas_service.search.history import derived_random, permutation
from nas_service.search.liveness import draw_uniform
from nas_service.search.strategy import Strategy
from search_spaces.genotype import Choice, Genotype

TOLERANCE = 0.1  # of a cost: what counts as like it
_DRAWS = 1000  # of which those of like cost are as they would be among all
_LIMITED_DRAWS = 50  # the same within limits, where one draw may take a second
_CLIMBS = 50
_REPEATS = 100  # draws in a row that were drawn before, after which there are no others


@dataclass(frozen=True)
class Drawn:
    """A control.

    Attributes:
        genotype: What it is.
        control: Which kind.
        apart: For one of like cost: its largest distance from the pick in a cost, as a share of the pick's; 0 for others.
    """

    genotype: Genotype
    control: Control
    apart: float = 0.0


@dataclass(frozen=True, eq=False)
class Costs:
    """What architectures cost: sums over their arms and a rest.

    Attributes:
        base: One figure each cost.
        more: Of every arm, what it adds.
    """

    base: tuple[float, ...]
    more: Mapping[Choice, tuple[float, ...]]

    def of(self, choices: Collection[Choice]) -> tuple[float, ...]:
        """Return the figures of an architecture."""
        return tuple(base + sum(self.more[key][number] for key in choices) for number, base in enumerate(self.base))


def draw_controls(strategy: Strategy, count: int, pick: Genotype, costs: Costs, taken: Collection[Genotype]) -> list[Drawn]:
    """Return `count` controls, uniform ones first; half of an odd number is rounded up. A small space may hold fewer.

    Args:
        strategy: Of the search: its seed, its space, what is within its limits.
        count: How many.
        pick: What like costs are like.
        costs: Which they are.
        taken: Architectures that are trained anyway; no control is one of them, nor another control.
    """
    uniform: list[Genotype] = []
    taken = {*taken}
    for genotype in _others(strategy, Control.UNIFORM, taken):
        if len(uniform) == (count + 1) // 2:
            break
        uniform.append(genotype)
        taken.add(genotype)
    alike = _of_like_cost(strategy, count // 2, costs, pick, taken)
    return [*(Drawn(genotype, Control.UNIFORM) for genotype in uniform), *alike]


def _others(strategy: Strategy, kind: Control, taken: Collection[Genotype]) -> Iterator[Genotype]:
    """Yield uniform draws that are not taken, until a hundred in a row are."""
    number = repeats = 0
    while repeats < _REPEATS:
        choices = draw_uniform(strategy.region, strategy.possible, strategy.seed, ("control", kind, number))
        genotype, number = Genotype(strategy.space.name, choices), number + 1
        repeats = repeats + 1 if genotype in taken else 0
        if not repeats:
            yield genotype


def _of_like_cost(strategy: Strategy, count: int, costs: Costs, pick: Genotype, taken: Collection[Genotype]) -> list[Drawn]:
    """Return architectures whose costs are within a tenth of the pick's, and the nearest where there are fewer.

    What uniform draws hit comes first: that is an unbiased draw among all of like cost. Where they hit too few, some of them
    climb: single edges change, in an order that is drawn, whenever that brings them nearer.
    """
    if not count:
        return []
    target, seen = costs.of(pick.choices), dict[Genotype, float]()
    most = _DRAWS if strategy.region.limits is None else _LIMITED_DRAWS
    for number, genotype in enumerate(_others(strategy, Control.LIKE_COST, {*taken, pick})):
        seen.setdefault(genotype, _apart(costs.of(genotype.choices), target))
        if number + 1 >= most or sum(apart <= TOLERANCE for apart in seen.values()) >= count:
            break
    for number, start in enumerate(list(seen)[:_CLIMBS]):
        if sum(apart <= TOLERANCE for apart in seen.values()) >= count:
            break
        genotype = _climbed(strategy, costs, target, start, number)
        if genotype not in taken and genotype != pick:
            seen.setdefault(genotype, _apart(costs.of(genotype.choices), target))
    hits = [genotype for genotype, apart in seen.items() if apart <= TOLERANCE]
    order = [*hits, *sorted((genotype for genotype in seen if seen[genotype] > TOLERANCE), key=seen.__getitem__)]
    return [Drawn(genotype, Control.LIKE_COST, seen[genotype]) for genotype in order[:count]]


def _apart(figures: tuple[float, ...], target: tuple[float, ...]) -> float:
    """Return the largest distance in a cost, as a share of the target's."""
    return max(abs(figure - aim) / max(abs(aim), 1.0) for figure, aim in zip(figures, target, strict=True))


def _climbed(strategy: Strategy, costs: Costs, target: tuple[float, ...], start: Genotype, number: int) -> Genotype:
    """Return the first of like cost on the way from `start`, or the nearest where no single change brings it nearer."""
    moves = [(place, key) for place, keys in enumerate(strategy.possible) for key in keys]
    stream = derived_random(strategy.seed, "control", "climb", number)
    order = [moves[index] for index in permutation(stream, len(moves))]
    choices, figures, has_moved = list(start.choices), costs.of(start.choices), True
    while has_moved and _apart(figures, target) > TOLERANCE:
        has_moved = False
        for place, key in order:
            old = choices[place]
            near = tuple(figure + new - was for figure, new, was in zip(figures, costs.more[key], costs.more[old], strict=True))
            if _apart(near, target) >= _apart(figures, target):
                continue
            choices[place] = key
            if strategy.space.dead_node(choices) is None and strategy.region.fits(choices):
                figures, has_moved = near, True
                break
            choices[place] = old
    return Genotype(strategy.space.name, tuple(choices))

"""Live genotypes within limits: which arms one can hold, and how to draw one.

A genotype is dead if no input reaches one of its nodes (`SearchSpace.dead_node`); only `zeroise` cuts an edge. Taking the
nodes of a cell in order, every node before the one at hand is live, so

    a genotype is live  <=>  every node has an incoming edge whose operation is not zeroise,

and nodes can be drawn, and drawn again, one by one. An arm is impossible if no live genotype holds it: zeroise on the
only edge into a node that can carry anything.

Limits on costs (`limits.py`) are kept by drawing again, which leaves every genotype within them the probability that it has
given that they are kept. Where a thousand draws in a row break a limit, few genotypes keep it; then the one is taken that has the
largest sum of log p + Gumbel noise over its arms, which without limits would be the same draw, and with them is biased towards
the limit (perturb-and-MAP: Papandreou and Yuille, ICCV 2011). Where figures of whole genotypes are limited, which take
milliseconds to work out, that is done after 200 draws, and what breaks such a limit is led back within (`witness.py`).

A `place` is an index into `Genotype.choices`; `arms` holds the arms that are left at each place.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from random import Random

from nas_service.search.bandit import pick, worst
from nas_service.search.history import derived_random, permutation
from nas_service.search.limits import Arms, Limits, Region
from nas_service.search.witness import are_few, closest_from, held, led_back, witness
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import ZEROISE, CellType, Edge, SearchSpace

_ATTEMPTS = 1000  # a node of two edges with two arms each is drawn dead a quarter of the time
_TURNS = 1000  # draws that may break a limit
_WHOLE_TURNS = 200  # likewise, where one on a whole architecture is among the limits
_TIE = 1e-3  # of a worth, to tell equals apart


def places(space: SearchSpace) -> list[list[Choice]]:
    """Return the arms of every place, in the space's order, those that a required cell rules out among them."""
    return [_keys(cell, edge) for cell, edge in product(space.cell_types, space.edges)]


def _keys(cell: CellType, edge: Edge) -> list[Choice]:
    return [Choice(cell.name, edge.name, operation) for operation in edge.operations]


def incoming(space: SearchSpace) -> tuple[tuple[int, ...], ...]:
    """Return for every node of every cell type the places of the edges into it."""
    count, targets = len(space.edges), sorted({edge.target for edge in space.edges})
    return tuple(
        tuple(cell * count + index for index, edge in enumerate(space.edges) if edge.target == target)
        for cell in range(len(space.cell_types))
        for target in targets
    )


def region_of(space: SearchSpace, limits: Limits | None = None) -> Region:
    """Return the live genotypes of a space within limits."""
    ruled_out = (
        key
        for cell, edge in product(space.cell_types, space.edges)
        for key in _keys(cell, edge)
        if not cell.allows(key.operation)
    )
    return Region(incoming(space), limits, frozenset(ruled_out))


def settled(region: Region, arms: Arms) -> list[list[Choice]]:
    """Return `arms` without those that no combination of them in the region holds.

    If one edge alone can carry something into a node, it must: its zeroise goes. So does an arm that its cell type rules out, and
    one that breaks a limit even among the cheapest others; one that two limits rule out together, or one limit and liveness, and
    neither alone, may stay, and in large spaces one that a limit on whole architectures rules out.

    Raises:
        InvalidFieldError: If no combination is live, or none keeps the limits.
    """
    left = [[key for key in keys if key not in region.ruled_out] for keys in arms]
    for node in region.nodes:
        carriers = [place for place in node if any(key.operation != ZEROISE for key in left[place])]
        if not carriers:
            key = left[node[0]][0]
            raise InvalidFieldError("operations", [ZEROISE], f"another operation on an edge like {key.edge} of cell {key.cell}")
        if len(carriers) == 1:
            left[carriers[0]] = [key for key in left[carriers[0]] if key.operation != ZEROISE]
    if region.limits is None:
        return left
    narrowed = region.limits.narrowed(left)
    if region.limits.whole is not None and are_few(narrowed):
        narrowed = held(region, region.limits, narrowed)
    if not (all(narrowed) and _some(region, region.limits, narrowed)):
        raise InvalidFieldError("constraints", f"room for {region.limits.room}", "limits that some architecture keeps")
    return narrowed if narrowed == left else settled(region, narrowed)


def _some(region: Region, limits: Limits, arms: Arms) -> bool:
    """Return whether some architecture is in a region: the cheapest as a rule, and by an integer program where it breaks a limit.

    `arms` hold something at every place. With limits on whole architectures: whether one is found.
    """
    if limits.whole is not None:
        return witness(region, limits, arms) is not None
    cheapest = [min(keys, key=limits.burden) for keys in arms]
    for node in region.nodes:
        if all(cheapest[place].operation == ZEROISE for place in node):
            carrying = [(place, key) for place in node for key in arms[place] if key.operation != ZEROISE]
            if not carrying:
                return False
            place, key = min(carrying, key=lambda entry: limits.burden(entry[1]))
            cheapest[place] = key
    return limits.fits(cheapest) or nearest(region, arms, [[0.0] * len(keys) for keys in arms]) is not None


def worst_that_may_go(region: Region, arms: Arms, place: int, figures: Sequence[float]) -> Choice:
    """Return the arm of a place with the lowest figure, the first of equals, of those without which the region has some left.

    Args:
        region: What is searched.
        arms: Settled, two or more at the place.
        place: Where one is to go.
        figures: Of its arms.
    """
    keys = arms[place]
    if region.limits is None:
        return keys[worst(figures)]
    order = sorted(range(len(keys)), key=figures.__getitem__)
    for number in order[:-1]:
        left = [*arms[:place], [key for key in keys if key != keys[number]], *arms[place + 1 :]]
        try:
            settled(region, left)
        except InvalidFieldError:
            continue
        return keys[number]
    return keys[order[-1]]


def possible_arms(space: SearchSpace, limits: Limits | None = None) -> list[list[Choice]]:
    """Return at every place the arms that some live genotype of the space within limits holds.

    Raises:
        InvalidFieldError: If the space has no such genotype.
    """
    return settled(region_of(space, limits), places(space))


def draw_live(
    region: Region,
    arms: Arms,
    probabilities: Sequence[Sequence[float]],
    uniform: Callable[[int, int], float],
) -> list[Choice]:
    """Draw an arm at every place, and again at the edges into a node that came out dead; all again if a limit is broken.

    So genotypes of the region come with the probabilities they have given that they are in it. Where a thousand attempts leave
    a node dead, the likeliest way of making it live is taken: the edge and arm with the largest ratio of probability to that
    of the edge's zeroise. For limits that hardly a draw keeps see the module's text.

    Args:
        region: What is searched.
        arms: Settled; see `settled`.
        probabilities: Of the arms, at every place.
        uniform: Returns a number in [0, 1) for a place and an attempt (0, 1, ...).
    """
    chosen = _drawn(region, arms, probabilities, uniform)
    turn, turns = 0, _TURNS if region.limits is None or region.limits.whole is None else _WHOLE_TURNS
    while not region.fits(chosen):
        turn += 1
        stream = Random(int(uniform(0, _ATTEMPTS + turn) * 2**53))  # noqa: S311 - one stream a turn, for speed
        if turn == turns:
            return _surely(nearest(region, arms, _perturbed(probabilities, stream), stream))
        chosen = _drawn(region, arms, probabilities, lambda *_: stream.random())  # noqa: B023 - called at once
    return chosen


def _perturbed(probabilities: Sequence[Sequence[float]], stream: Random) -> list[list[float]]:
    """Return log p + Gumbel noise of every arm."""
    least = sys.float_info.min
    return [
        [math.log(max(weight, least)) - math.log(-math.log(max(stream.random(), least))) for weight in weights]
        for weights in probabilities
    ]


def _drawn(
    region: Region,
    arms: Arms,
    probabilities: Sequence[Sequence[float]],
    uniform: Callable[[int, int], float],
) -> list[Choice]:
    """Draw a live genotype."""
    chosen = [
        keys[pick(weights, uniform(place, 0))] for place, (keys, weights) in enumerate(zip(arms, probabilities, strict=True))
    ]
    for node in region.nodes:
        attempt = 0
        while all(chosen[place].operation == ZEROISE for place in node) and attempt < _ATTEMPTS:
            attempt += 1
            for place in node:
                chosen[place] = arms[place][pick(probabilities[place], uniform(place, attempt))]
        if all(chosen[place].operation == ZEROISE for place in node):
            _revive(node, arms, probabilities, chosen)
    return chosen


def nearest(region: Region, arms: Arms, worths: Sequence[Sequence[float]], stream: Random | None = None) -> list[Choice] | None:
    """Return the architecture of a region with the largest sum of worths, as `programs.solve`.

    If that breaks a limit on whole architectures, one that does not, with arms of it: those of the largest worth, but not all
    that could be kept; None if none is found. `stream` tells whose arms the others are.
    """
    from nas_service.search.programs import solve  # noqa: PLC0415 - commands, and searches without limits, start faster

    found, limits = solve(region, arms, worths), region.limits
    if found is None or limits is None or limits.whole is None or limits.fits(found):
        return found
    goal = witness(region, limits, arms, stream) or witness(region, limits, arms)
    if goal is None:
        return None
    worth = [dict(zip(keys, figures, strict=True)) for keys, figures in zip(arms, worths, strict=True)]
    return led_back(region, limits, found, goal, [own[old] - own[new] for own, old, new in zip(worth, found, goal, strict=True)])


def _surely(found: list[Choice] | None) -> list[Choice]:
    assert found is not None  # noqa: S101 - for the type checker; settled arms have a genotype within the limits
    return found


def draw_uniform(region: Region, arms: Arms, seed: int, path: Sequence[object]) -> tuple[Choice, ...]:
    """Return a combination drawn uniformly from those of the region, from the streams (seed, path, cell, edge, attempt)."""

    def uniform(place: int, attempt: int) -> float:
        key = arms[place][0]
        return derived_random(seed, *path, key.cell, key.edge, *([attempt] if attempt else [])).random()

    return tuple(draw_live(region, arms, [[1 / len(keys)] * len(keys) for keys in arms], uniform))


def _revive(node: Sequence[int], arms: Arms, probabilities: Sequence[Sequence[float]], chosen: list[Choice]) -> None:
    """Replace the zeroise of one edge into `node`; each holds zeroise, so each has a probability of it."""
    options = []
    for place in node:
        weights = dict(zip(arms[place], probabilities[place], strict=True))
        cut = max(weights[chosen[place]], sys.float_info.min)
        options += [(weights[key] / cut, place, key) for key in arms[place] if key.operation != ZEROISE]
    _, place, key = max(options, key=lambda option: option[0])
    chosen[place] = key


def balanced_bag(region: Region, arms: Arms, size: int, seed: int, path: Sequence[object]) -> list[tuple[Choice, ...]]:
    """Return `size` genotypes of the region in which the arms of a place appear equally often, in an order drawn for each place.

    With a <= size arms at a place each appears floor(size / a) or ceil(size / a) times. Where a node came out dead, an
    edge into it swaps its zeroise with an operation that it has in another of the genotypes and that is not needed
    there; edge and genotype are drawn. So the balance stays. Only where every other genotype needs what it has (few
    arms, most of them zeroise) an edge that has a zeroise to spare takes another arm instead.

    A genotype that breaks a limit gives way to the one within the limits that has most of its arms, and the balance with it.
    """
    columns = [_column(keys, size, seed, path) for keys in arms]
    for node in region.nodes:
        for slot in range(size):
            if all(columns[place][slot].operation == ZEROISE for place in node):
                first = arms[node[0]][0]
                uniform = derived_random(seed, *path, "revive", first.cell, first.edge, slot).random()
                _revive_slot(columns, node, arms, slot, uniform)
    rows = list(zip(*columns, strict=True))
    return [
        row if region.fits(row) else _holding(region, arms, set(row), derived_random(seed, *path, "fit", slot))
        for slot, row in enumerate(rows)
    ]


def covering(region: Region, arms: Arms, size: int, seed: int, path: Sequence[object]) -> list[tuple[Choice, ...]]:
    """Return a balanced bag, and after it as many more genotypes as it takes until they hold every arm that can be held.

    Without limits a bag of at least as many genotypes as a place has arms holds all of them.
    """
    rows = balanced_bag(region, arms, size, seed, path)
    left = {key for keys in arms for key in keys}.difference(*rows)
    if region.limits is not None and region.limits.whole is not None:
        return _covering_whole(region, arms, rows)
    while left and region.limits is not None:
        row = _holding(region, arms, left, derived_random(seed, *path, "cover", len(rows)))
        if left.isdisjoint(row):
            break
        rows.append(row)
        left.difference_update(row)
    return rows


def _covering_whole(region: Region, arms: Arms, rows: list[tuple[Choice, ...]]) -> list[tuple[Choice, ...]]:
    """Return `rows`, and for every arm that none holds an architecture that keeps the limits with it, if one is found.

    Of few combinations all are looked at; of more, the closest of `rows` with the arm in them is changed at other places.
    """
    assert region.limits is not None  # noqa: S101 - for the type checker
    for place, keys in enumerate(arms):
        for key in keys:
            if any(row[place] == key for row in rows):
                continue
            changes = [(*row[:place], key, *row[place + 1 :]) for row in rows]
            found = closest_from(region, region.limits, [*arms[:place], [key], *arms[place + 1 :]], changes)
            rows += [found] if found is not None else []
    return rows


def _holding(region: Region, arms: Arms, wanted: set[Choice], generator: Random) -> tuple[Choice, ...]:
    """Return the genotype of the region that holds most wanted arms; one of the best is drawn."""
    worths = [[(key in wanted) + _TIE * generator.random() / len(arms) for key in keys] for keys in arms]
    return tuple(_surely(nearest(region, arms, worths, generator)))


def _revive_slot(columns: list[list[Choice]], node: Sequence[int], arms: Arms, slot: int, uniform: float) -> None:
    swaps = [
        (place, other)
        for place in node
        for other, key in enumerate(columns[place])
        if key.operation != ZEROISE and any(columns[beside][other].operation != ZEROISE for beside in node if beside != place)
    ]
    if swaps:
        place, other = swaps[int(uniform * len(swaps))]
        column = columns[place]
        column[slot], column[other] = column[other], column[slot]
        return
    spare = [(place, key) for place in node for key in arms[place] if key.operation != ZEROISE]
    place, key = spare[int(uniform * len(spare))]
    columns[place][slot] = key


def _column(keys: Sequence[Choice], size: int, seed: int, path: Sequence[object]) -> list[Choice]:
    generator = derived_random(seed, *path, keys[0].cell, keys[0].edge)
    order = permutation(generator, size)
    if size % len(keys):  # which arms appear once more is drawn too
        shuffled = permutation(generator, len(keys))
        return [keys[shuffled[index % len(keys)]] for index in order]
    return [keys[index % len(keys)] for index in order]


def live_genotypes(space: SearchSpace, limits: Limits | None = None) -> Iterator[Genotype]:
    """Yield every live genotype of a space within limits, the operations of the last edge changing first."""
    for choices in product(*possible_arms(space, limits)):
        if space.dead_node(choices) is None and (limits is None or limits.fits(choices)):
            yield Genotype(space.name, choices)

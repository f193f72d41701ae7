"""Live genotypes: which arms a live one can hold, and how to draw one. Plain Python.

A genotype is dead if no input reaches one of its nodes (`SearchSpace.dead_node`); only `zeroise` cuts an edge. Taking the
nodes of a cell in order, every node before the one at hand is live, so

    a genotype is live  <=>  every node has an incoming edge whose operation is not zeroise,

and nodes can be drawn, and drawn again, one by one. An arm is impossible if no live genotype holds it: zeroise on the
only edge into a node that can carry anything.

A `place` is an index into `Genotype.choices`; `arms` holds the arms that are left at each place.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

from nas_service.search.bandit import pick
from nas_service.search.history import derived_random, permutation
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import ZEROISE, SearchSpace

Arms = Sequence[Sequence[Choice]]
_ATTEMPTS = 1000  # a node of two edges with two arms each is drawn dead a quarter of the time


def places(space: SearchSpace) -> list[list[Choice]]:
    """Return the arms of every place, in the space's order."""
    return [
        [Choice(cell.name, edge.name, operation) for operation in edge.operations]
        for cell in space.cell_types
        for edge in space.edges
    ]


def incoming(space: SearchSpace) -> tuple[tuple[int, ...], ...]:
    """Return for every node of every cell type the places of the edges into it."""
    count, targets = len(space.edges), sorted({edge.target for edge in space.edges})
    return tuple(
        tuple(cell * count + index for index, edge in enumerate(space.edges) if edge.target == target)
        for cell in range(len(space.cell_types))
        for target in targets
    )


def settled(nodes: Iterable[Sequence[int]], arms: Arms) -> list[list[Choice]]:
    """Return `arms` without those that no live combination of them holds.

    If one edge alone can carry something into a node, it must: its zeroise goes.

    Raises:
        InvalidFieldError: If no combination is live.
    """
    left = [list(keys) for keys in arms]
    for node in nodes:
        carriers = [place for place in node if any(key.operation != ZEROISE for key in left[place])]
        if not carriers:
            key = left[node[0]][0]
            raise InvalidFieldError("operations", [ZEROISE], f"another operation on an edge like {key.edge} of cell {key.cell}")
        if len(carriers) == 1:
            left[carriers[0]] = [key for key in left[carriers[0]] if key.operation != ZEROISE]
    return left


def possible_arms(space: SearchSpace) -> list[list[Choice]]:
    """Return at every place the arms that some live genotype of the space holds.

    Raises:
        InvalidFieldError: If the space has no live genotype.
    """
    return settled(incoming(space), places(space))


def draw_live(
    nodes: Iterable[Sequence[int]],
    arms: Arms,
    probabilities: Sequence[Sequence[float]],
    uniform: Callable[[int, int], float],
) -> list[Choice]:
    """Draw an arm at every place, and again at the edges into a node that came out dead.

    So live genotypes come with the probabilities they have given that they are live. Where a thousand attempts leave a
    node dead, the likeliest way of making it live is taken: the edge and arm with the largest ratio of probability to
    that of the edge's zeroise.

    Args:
        nodes: Of `incoming`.
        arms: Settled; see `settled`.
        probabilities: Of the arms, at every place.
        uniform: Returns a number in [0, 1) for a place and an attempt (0, 1, ...).
    """
    chosen = [
        keys[pick(weights, uniform(place, 0))] for place, (keys, weights) in enumerate(zip(arms, probabilities, strict=True))
    ]
    for node in nodes:
        attempt = 0
        while all(chosen[place].operation == ZEROISE for place in node) and attempt < _ATTEMPTS:
            attempt += 1
            for place in node:
                chosen[place] = arms[place][pick(probabilities[place], uniform(place, attempt))]
        if all(chosen[place].operation == ZEROISE for place in node):
            _revive(node, arms, probabilities, chosen)
    return chosen


def draw_uniform(nodes: Iterable[Sequence[int]], arms: Arms, seed: int, path: Sequence[object]) -> tuple[Choice, ...]:
    """Return a combination drawn uniformly from the live ones, from the streams (seed, path, cell, edge, attempt)."""

    def uniform(place: int, attempt: int) -> float:
        key = arms[place][0]
        return derived_random(seed, *path, key.cell, key.edge, *([attempt] if attempt else [])).random()

    return tuple(draw_live(nodes, arms, [[1 / len(keys)] * len(keys) for keys in arms], uniform))


def _revive(node: Sequence[int], arms: Arms, probabilities: Sequence[Sequence[float]], chosen: list[Choice]) -> None:
    """Replace the zeroise of one edge into `node`; each holds zeroise, so each has a probability of it."""
    options = []
    for place in node:
        weights = dict(zip(arms[place], probabilities[place], strict=True))
        cut = max(weights[chosen[place]], sys.float_info.min)
        options += [(weights[key] / cut, place, key) for key in arms[place] if key.operation != ZEROISE]
    _, place, key = max(options, key=lambda option: option[0])
    chosen[place] = key


def balanced_bag(
    nodes: Iterable[Sequence[int]], arms: Arms, size: int, seed: int, path: Sequence[object]
) -> list[tuple[Choice, ...]]:
    """Return `size` live genotypes in which the arms of a place appear equally often, in an order drawn for each place.

    With a <= size arms at a place each appears floor(size / a) or ceil(size / a) times. Where a node came out dead, an
    edge into it swaps its zeroise with an operation that it has in another of the genotypes and that is not needed
    there; edge and genotype are drawn. So the balance stays. Only where every other genotype needs what it has (few
    arms, most of them zeroise) an edge that has a zeroise to spare takes another arm instead.
    """
    columns = [_column(keys, size, seed, path) for keys in arms]
    for node in nodes:
        for slot in range(size):
            if all(columns[place][slot].operation == ZEROISE for place in node):
                first = arms[node[0]][0]
                uniform = derived_random(seed, *path, "revive", first.cell, first.edge, slot).random()
                _revive_slot(columns, node, arms, slot, uniform)
    return list(zip(*columns, strict=True))


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


def live_genotypes(space: SearchSpace) -> Iterator[Genotype]:
    """Yield every live genotype of a space, the operations of the last edge changing first."""
    for choices in product(*possible_arms(space)):
        if space.dead_node(choices) is None:
            yield Genotype(space.name, choices)

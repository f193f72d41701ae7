"""Which of a ranked list are trained when several are: those far apart first, since near ones are good or bad together.

A search's pick and its neighbours share the error that put them in front. Of trained architectures that differ on half of the
edges or more one is likelier to be good than of k that hardly differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.genotype import Genotype


@dataclass(frozen=True)
class Spread:
    """What is taken of a ranked list.

    Attributes:
        places: In the list, from 0, in its order.
        apart: How many of them are at least half of the edges apart from each other; the others fill up.
    """

    places: tuple[int, ...]
    apart: int


def edges_apart(left: Genotype, right: Genotype) -> int:
    """Return on how many edges, counted over all cell types, two architectures of a space compute something else."""
    return sum(one != other for one, other in zip(left.choices, right.choices, strict=True))


def spread(ranked: Sequence[Genotype], count: int) -> Spread:
    """Take the first, then in order of rank what is at least half of the edges apart from all taken so far.

    Where fewer than `count` are, the best of the others fill up. Of one the answer is the first.
    """
    apart: list[int] = []
    for place, genotype in enumerate(ranked):
        if len(apart) < count and all(2 * edges_apart(genotype, ranked[taken]) >= len(genotype.choices) for taken in apart):
            apart.append(place)
    others = [place for place in range(len(ranked)) if place not in apart]
    return Spread(tuple(sorted([*apart, *others[: count - len(apart)]])), len(apart))

"""Architectures within limits that are no sums over arms: found by trying, for no program decides them.

    trial       of the arms that are left at every place the one that comes first in an order drawn for the trial. Whoever takes
                an arm away changes only the trials that hold it, so what was looked at before is known already
    witness     the first live trial within the limits, before these some uniform draws where a stream is given; where there are
                few combinations of arms, all are looked at instead, and the answer is exact. After the trials the closest is
                changed, one arm at a time, whenever that brings it nearer
    led back    an architecture that breaks a limit takes over arms of a witness until it is within

So whether anything is within is certain in small spaces, and in others wherever the answer is yes.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import product
from random import Random
from typing import NamedTuple

from nas_service.search.limits import Arms, Excess, Limits, Region
from search_spaces.genotype import Choice
from search_spaces.space import ZEROISE

ALL = 2048  # combinations of arms that are all looked at
TRIALS = 200
_OWN_TRIALS = 100  # of a stream, before the first ones are taken
_PASSES = 3  # over all single changes


class Closest(NamedTuple):
    """What was found nearest to the limits: an architecture, and by how much it breaks them; nothing where nothing was live."""

    excess: Excess
    choices: tuple[Choice, ...]


def is_live(region: Region, choices: Sequence[Choice]) -> bool:
    """Return whether every node has something that comes in."""
    return all(any(choices[place].operation != ZEROISE for place in node) for node in region.nodes)


def are_few(arms: Arms) -> bool:
    """Return whether all combinations are looked at."""
    return math.prod(map(len, arms)) <= ALL


def held(region: Region, limits: Limits, arms: Arms) -> list[list[Choice]]:
    """Return those of few `arms` that some combination within the limits holds."""
    found = {key for choices in product(*arms) if is_live(region, choices) and limits.fits(choices) for key in choices}
    return [[key for key in keys if key in found] for keys in arms]


def witness(region: Region, limits: Limits, arms: Arms, stream: Random | None = None) -> tuple[Choice, ...] | None:
    """Return an architecture within the limits; None if none was found.

    Args:
        region: What is searched.
        limits: Of it.
        arms: That are left, one or more at every place.
        stream: Tells which trials come first; None: always the same.
    """
    found = closest(region, limits, arms, stream)
    return found.choices if found.excess.is_none else None


def closest(region: Region, limits: Limits, arms: Arms, stream: Random | None = None) -> Closest:
    """Return the first architecture within the limits, or else the closest to them of all that were looked at; as `witness`."""
    few, found = are_few(arms), Closest(Excess.worst(), ())
    for choices in _candidates(arms, stream, few=few):
        if is_live(region, choices) and (excess := limits.excess(choices)) < found.excess:
            found = Closest(excess, choices)
            if excess.is_none:
                return found
    return found if few or not found.choices else _nearer(region, limits, arms, found)


def closest_from(region: Region, limits: Limits, arms: Arms, starts: Sequence[tuple[Choice, ...]]) -> tuple[Choice, ...] | None:
    """Return an architecture within the limits: of few combinations any, of more what changes of the closest start lead to."""
    if are_few(arms):
        return witness(region, limits, arms)
    live = [Closest(limits.excess(choices), choices) for choices in starts if is_live(region, choices)]
    if not live:
        return None
    found = min(live, key=lambda entry: entry.excess)
    found = found if found.excess.is_none else _nearer(region, limits, arms, found)
    return found.choices if found.excess.is_none else None


def _candidates(arms: Arms, stream: Random | None, *, few: bool) -> Iterator[tuple[Choice, ...]]:
    if few:
        rows = list(product(*arms))
        first = 0 if stream is None else int(stream.random() * len(rows))
        yield from (*rows[first:], *rows[:first])
        return
    if stream is not None:
        yield from (tuple([keys[int(stream.random() * len(keys))] for keys in arms]) for _ in range(_OWN_TRIALS))
    places = [tuple(keys) for keys in arms]
    yield from (tuple([_first(keys, number) for keys in places]) for number in range(TRIALS))


@lru_cache(maxsize=100_000)
def _first(keys: tuple[Choice, ...], number: int) -> Choice:
    """Return the arm that comes first in trial `number`."""
    return min(keys, key=lambda key: blake2b(f"{number} {key}".encode(), digest_size=8).digest())


def _nearer(region: Region, limits: Limits, arms: Arms, found: Closest) -> Closest:
    """Change one arm at a time, as long as that lowers the excess, until nothing is left of it."""
    for _ in range(_PASSES):
        before = found.excess
        for place, keys in enumerate(arms):
            for key in keys:
                changed = (*found.choices[:place], key, *found.choices[place + 1 :])
                if key == found.choices[place] or not is_live(region, changed):
                    continue
                if (excess := limits.excess(changed)) < found.excess:
                    found = Closest(excess, changed)
                    if excess.is_none:
                        return found
        if found.excess == before:
            break
    return found


def led_back(
    region: Region, limits: Limits, found: Sequence[Choice], goal: Sequence[Choice], losses: Sequence[float]
) -> list[Choice]:
    """Return an architecture within the limits between `found`, which breaks one, and `goal`, which does not.

    Places take the goal's arm one after another, that with the least of `losses` first.
    """
    choices = list(found)
    for place in sorted(range(len(choices)), key=losses.__getitem__):
        if choices[place] != goal[place]:
            choices[place] = goal[place]
            if is_live(region, choices) and limits.fits(choices):
                break
    return choices

"""Live genotypes within limits, against all of them written out."""

from collections import Counter
from itertools import product

import pytest

from nas_service.search.encoding import Encoding
from nas_service.search.history import derived_random
from nas_service.search.limits import Limits, Region
from nas_service.search.liveness import (
    covering,
    draw_uniform,
    live_genotypes,
    nearest,
    places,
    possible_arms,
    region_of,
    settled,
)
from nas_service.search.liveness import worst_that_may_go as worst_of
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import ZEROISE, CellType, SearchSpace, connect_all

SPACE = SearchSpace("four", "", (CellType("a"),), connect_all(nodes=2, operations=(ZEROISE, *"bcd")), cells=1)
SEEDS = pytest.mark.parametrize("seed", range(12))


def _limits(seed: int, count: int = 2) -> Limits:
    """Return made-up costs, whole numbers, and room for some of the 36 live genotypes at least."""
    generator = derived_random(seed, "costs")
    costs = {key: tuple(int(10 * generator.random()) for _ in range(count)) for key in SPACE.arms()}
    live = [genotype.choices for genotype in live_genotypes(SPACE)]
    kept = live[int(generator.random() * len(live))]
    return Limits(costs, tuple(sum(costs[key][number] for key in kept) + int(3 * generator.random()) for number in range(count)))


def _all(limits: Limits | None, arms: list[list[Choice]] | None = None) -> list[tuple[Choice, ...]]:
    return [
        choices
        for choices in product(*(arms or places(SPACE)))
        if SPACE.dead_node(choices) is None and (limits is None or limits.fits(choices))
    ]


@SEEDS
def test_the_nearest_is_the_best_of_all(seed: int) -> None:
    limits, generator = _limits(seed), derived_random(seed, "worth")
    worths = [[generator.random() for _ in keys] for keys in places(SPACE)]
    worth = {
        key: value for keys, values in zip(places(SPACE), worths, strict=True) for key, value in zip(keys, values, strict=True)
    }
    best = max(_all(limits), key=lambda choices: sum(worth[key] for key in choices))
    assert nearest(region_of(SPACE, limits), places(SPACE), worths) == list(best)


def test_there_may_be_none() -> None:
    region = region_of(SPACE, Limits(dict.fromkeys(SPACE.arms(), (1.0,)), (2.0,)))  # three edges
    assert nearest(region, places(SPACE), [[0.0] * 4] * 3) is None
    with pytest.raises(InvalidFieldError, match="constraints"):
        possible_arms(SPACE, region.limits)


@SEEDS
def test_arms_that_are_left_are_those_that_something_holds_under_one_limit(seed: int) -> None:
    limits = _limits(seed, count=1)
    held = {key for choices in _all(limits) for key in choices}
    left = {key for keys in possible_arms(SPACE, limits) for key in keys}
    assert held <= left
    cut = {key for key in left - held if key.operation == ZEROISE}
    assert left - held == cut  # a zeroise that the limit alone would allow, and liveness with it does not


@SEEDS
def test_covering_holds_every_arm_that_something_holds(seed: int) -> None:
    limits = _limits(seed)
    region, arms = region_of(SPACE, limits), possible_arms(SPACE, limits)
    rows = covering(region, arms, 4, seed, ("coverage",))
    assert {key for row in rows for key in row} == {key for choices in _all(limits) for key in choices}
    assert set(rows) <= set(_all(limits))


@SEEDS
def test_every_draw_is_within_and_all_that_is_within_is_drawn_alike(seed: int) -> None:
    """Within six standard errors, and by rejection: enough of these spaces is within."""
    limits, arms = _limits(seed), possible_arms(SPACE, _limits(seed))
    within = _all(limits)
    drawn = Counter(draw_uniform(region_of(SPACE, limits), arms, seed, ("x", number)) for number in range(60 * len(within)))
    assert set(drawn) == set(within)
    assert all(abs(count - 60) < 6 * 60**0.5 for count in drawn.values())


@pytest.mark.slow
def test_where_hardly_a_draw_is_within_all_that_is_within_is_still_drawn() -> None:
    """Twelve edges of ten arms, one of them free: 109 of 10^12 are within; these draws are biased, and reach nearly all."""
    space = SearchSpace("wide", "", (CellType("a"), CellType("b")), connect_all(nodes=3, operations=tuple("abcdefghij")), cells=2)
    limits = Limits({key: (0.0 if key.operation == "a" else 1.0,) for key in space.arms()}, (1.0,))
    region, arms = region_of(space, limits), possible_arms(space, limits)
    drawn = Counter(draw_uniform(region, arms, 0, (number,)) for number in range(600))
    assert all(limits.fits(choices) for choices in drawn)
    assert len(drawn) > 90


@SEEDS
def test_the_arm_that_goes_leaves_something(seed: int) -> None:
    limits = _limits(seed)
    region, arms = region_of(SPACE, limits), possible_arms(SPACE, limits)
    for place, keys in enumerate(arms):
        if len(keys) > 1:
            figures = [derived_random(seed, place, key).random() for key in keys]
            goes = worst_of(region, arms, place, figures)
            left = [[key for key in held if key != goes] for held in arms]
            assert _all(limits, left)
            worse = [key for key, figure in zip(keys, figures, strict=True) if figure < figures[keys.index(goes)]]
            assert not any(_all(limits, [[other for other in held if other != key] for held in arms]) for key in worse)


@SEEDS
def test_single_changes_that_stay_inside_are_all_of_them_and_no_others(seed: int) -> None:
    limits = _limits(seed)
    encoding, within = Encoding(SPACE, limits), set(_all(limits))
    for choices in within:
        (row,) = encoding.codes([Genotype(SPACE.name, choices)])
        inside = encoding.keeps_inside(row)
        for place, keys in enumerate(places(SPACE)):
            for key in keys:
                changed = (*choices[:place], key, *choices[place + 1 :])
                assert inside[place, encoding.operations.index(key.operation)] == (changed in within)


def test_without_limits_arms_settle_as_they_did() -> None:
    region = Region(region_of(SPACE).nodes)
    assert settled(region, places(SPACE)) == possible_arms(SPACE)

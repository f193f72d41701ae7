"""Hypervolumes against counted points, Pareto sets against every pair, and the order in which a set is told."""

import itertools
import random

import numpy as np
import pytest

from nas_service.search.aims import END, Aims, Point, hypervolume, spread_out, undominated
from search_spaces.genotype import Choice

SEEDS = pytest.mark.parametrize("seed", range(8))
SIZES = pytest.mark.parametrize("figures", [2, 3, 4])


def _points(count: int, figures: int, seed: int, steps: int = 10) -> list[Point]:
    """Return points on a grid, so that ties and repeats are many."""
    drawn = random.Random(seed)
    return [tuple(drawn.randint(-1, steps) / steps for _ in range(figures)) for _ in range(count)]


def _dominates(one: Point, other: Point) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


@SEEDS
@SIZES
def test_the_pareto_set_is_what_no_other_point_dominates(seed: int, figures: int) -> None:
    points = _points(60, figures, seed)
    assert undominated(points) == [p for p, point in enumerate(points) if not any(_dominates(other, point) for other in points)]
    assert undominated([]) == []


@SEEDS
@SIZES
def test_a_hypervolume_is_the_share_of_the_grid_below_some_point(seed: int, figures: int) -> None:
    points = _points(7, figures, seed)
    cells = itertools.product(range(10), repeat=figures)
    covered = sum(
        any(all(cell < 10 * figure - 1e-9 for cell, figure in zip(at, point, strict=True)) for point in points) for at in cells
    )
    assert hypervolume(points) == pytest.approx(covered / 10**figures, abs=1e-12)


@SEEDS
def test_each_place_told_adds_most_to_those_before(seed: int) -> None:
    points = _points(25, 3, seed)
    told, members = spread_out(points, 100), undominated(points)
    assert sorted(told) == members
    for number, place in enumerate(told):
        had = [points[other] for other in told[:number]]
        assert hypervolume([*had, points[place]]) == max(hypervolume([*had, points[other]]) for other in told[number:])
    assert spread_out(points, 2) == told[:2]


def test_costs_reach_from_the_cheapest_to_the_dearest() -> None:
    cheap, dear = Choice("cell", "0-1", "skip"), Choice("cell", "0-1", "conv")
    aims = Aims({cheap: (0.0, 6.0), dear: (10.0, 0.0)}, (5.0, 1.0), ((5.0, 15.0), (1.0, 7.0)))
    assert aims.of([cheap]) == (0, 1)
    assert aims.of([dear]) == (1, 0)
    assert aims.points([[0.75]], [[dear]], 0.5) == [pytest.approx((0.25, END - 1, END))]


def test_an_architecture_as_bad_as_the_reference_has_no_volume() -> None:
    assert hypervolume([(0.0, 1.0), (-1.0, 2.0)]) == 0
    assert np.isclose(hypervolume([(0.5, 1.0), (0.0, 2.0)]), 0.5)

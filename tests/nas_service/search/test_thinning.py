"""Thinning keeps what catches the eye, and says which places it kept."""

import random

import pytest

from nas_service.search.thinning import best_so_far, spread, thinned


@pytest.mark.parametrize("points", [2, 10, 100, 999])
@pytest.mark.parametrize("seed", range(5))
def test_first_last_extremes_and_every_new_best_stay(points: int, seed: int) -> None:
    generator = random.Random(seed)
    rewards = [generator.random() * (place / 1000 if seed % 2 else 1) for place in range(1000)]
    kept = thinned(rewards, points)
    assert kept == sorted(set(kept))
    best = best_so_far(rewards)
    bests = {place for place in range(1, 1000) if best[place] > best[place - 1]}
    assert {0, 999} | bests <= set(kept)
    assert len(kept) <= max(points, len(bests) + 2)
    lots = (points - len(bests | {0, 999})) // 2
    for lot in range(lots):
        places = range(lot * 1000 // lots, (lot + 1) * 1000 // lots)
        held = [rewards[place] for place in kept if place in places]
        assert min(held) == min(rewards[place] for place in places)
        assert max(held) == max(rewards[place] for place in places)


def test_few_samples_all_stay() -> None:
    assert thinned([], 10) == []
    assert thinned([0.5, 0.1, 0.5], 3) == [0, 1, 2]


def test_numbers_are_spread_evenly_with_both_ends() -> None:
    assert spread(0, 0, 500) == [0]
    assert spread(1, 4, 500) == [1, 2, 3, 4]
    assert spread(1, 100, 4) == [1, 34, 67, 100]

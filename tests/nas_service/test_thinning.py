"""Thinned curves keep their ends, their extremes and what the caller names."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_service.curves import curve
from nas_service.thinning import best_so_far, kept_places, least_points, new_bests, spread
from search_spaces.errors import InvalidFieldError

VALUES = st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=200)


@given(VALUES, st.data())
def test_ends_and_extremes_stay_and_no_more_points_than_asked_for(values: list[int | None], data: st.DataObject) -> None:
    other = [None if value is None else -value * (place % 7) for place, value in enumerate(values)]
    points = data.draw(st.integers(least_points(2), 60))
    kept = kept_places([values, other], points)
    assert kept == sorted(set(kept))
    assert len(kept) <= points
    assert {0, len(values) - 1} <= set(kept)
    for column in (values, other):
        known = [value for value in column if value is not None]
        if known:
            assert {column.index(min(known)), column.index(max(known))} <= set(kept)


def test_nothing_is_left_out_where_there_is_room() -> None:
    assert kept_places([[1.0, 2.0, 3.0, 4.0]], 4) == [0, 1, 2, 3]
    assert kept_places([], 4) == []


def test_the_methods_own_figures_are_columns_of_their_own() -> None:
    epochs = [(0, {"extra": {"b": 1}, "train_loss": 2.0}), (1, {"extra": {"a": 3.0}, "train_loss": 1.0})]
    found = curve(epochs, ["train_loss", "extra"], 10)
    assert found.columns == {"train_loss": [2.0, 1.0], "extra.a": [None, 3.0], "extra.b": [1.0, None]}
    assert curve(epochs, ["extra.c"], 10).columns == {"extra.c": [None, None]}


def test_points_are_counted_against_every_figure_that_extra_stands_for() -> None:
    """As one field it fits; as three columns their extremes would be lost."""
    epochs = [(place, {"extra": {"a": place == 3, "b": place == 5, "c": -(place == 7)}}) for place in range(20)]
    with pytest.raises(InvalidFieldError, match=r"8 or more for 3 columns: extra\.a, extra\.b, extra\.c") as refused:
        curve(epochs, ["extra"], 7)
    assert refused.value.field == "points"
    assert {0, 3, 5, 7, 19} <= set(curve(epochs, ["extra"], 8).epoch)
    assert curve(epochs[:7], ["extra"], 7).epoch == list(range(7))


@pytest.mark.parametrize("points", [2, 10, 100, 999])
@pytest.mark.parametrize("seed", range(5))
def test_first_last_extremes_and_every_new_best_stay(points: int, seed: int) -> None:
    generator = random.Random(seed)
    rewards = [generator.random() * (place / 1000 if seed % 2 else 1) for place in range(1000)]
    kept = kept_places([rewards], points, always=new_bests([(1.0, reward) for reward in rewards]))
    assert kept == sorted(set(kept))
    bests = {place for place in range(1, 1000) if rewards[place] > max(rewards[:place])}
    assert {0, 999} | bests <= set(kept)
    assert len(kept) <= max(points, len(bests) + 2)
    lots = (points - len(bests | {0, 999})) // 2
    for lot in range(lots):
        places = range(lot * 1000 // lots, (lot + 1) * 1000 // lots)
        held = [rewards[place] for place in kept if place in places]
        assert min(held) == min(rewards[place] for place in places)
        assert max(held) == max(rewards[place] for place in places)


def test_few_samples_all_stay() -> None:
    assert kept_places([[]], 10) == []
    assert kept_places([[0.5, 0.1, 0.5]], 3) == [0, 1, 2]


def test_the_best_so_far_and_where_it_was_new() -> None:
    standings = [(1.0, reward) for reward in (0.2, 0.1, 0.2, 0.5, 0.5)]
    assert best_so_far(standings) == [0.2, 0.2, 0.2, 0.5, 0.5]
    assert new_bests(standings) == [0, 3]
    assert new_bests([]) == []


def test_a_whole_training_is_a_new_best_after_short_ones_whatever_they_scored() -> None:
    standings = [(0.1, 0.5), (0.1, 0.6), (1.0, 0.3), (1.0, 0.2), (1.0, 0.4)]
    assert best_so_far(standings) == [0.5, 0.6, 0.3, 0.3, 0.4]
    assert new_bests(standings) == [0, 1, 2, 4]


def test_numbers_are_spread_evenly_with_both_ends() -> None:
    assert spread(0, 0, 500) == [0]
    assert spread(1, 4, 500) == [1, 2, 3, 4]
    assert spread(1, 100, 4) == [1, 34, 67, 100]

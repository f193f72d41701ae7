"""Fronts: their members are those that a check of every pair against every other leaves, with ties and under attack."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_service.comparison import compare
from nas_service.pareto import fronts
from nas_service.terms import FrontAccuracy, FrontCost
from nas_service.trained import TrainedCandidate
from tests.reports import metrics, trained

# few values, so that ties in one figure, in the other and in both are common
STANDINGS = st.sampled_from([None, (0.1, 0.2), (0.1, 0.4), (0.2, 0.4)])  # eps and share that stands every attack


def _beaten(point: tuple[float, float], points: list[tuple[float, float]]) -> bool:
    return any(
        accuracy >= point[0] and cost <= point[1] and (accuracy > point[0] or cost < point[1]) for accuracy, cost in points
    )


def _candidate(place: int, test: int, ops: int, stood: tuple[float, float] | None) -> TrainedCandidate:
    known = metrics(test=0.5 + test / 10, **({} if stood is None else {"eps": stood[0], "pgd_20": stood[1]}))
    return trained(known, f"method{place % 3}", f"architecture{place // 3}", key=f"{place:02}", ops=float(ops))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), STANDINGS), max_size=9))
def test_fronts_of_a_comparison_equal_a_check_of_all_pairs(rows: list[tuple[int, int, tuple[float, float] | None]]) -> None:
    pairs, _ = compare(_candidate(place, *row) for place, row in enumerate(rows))
    found = fronts(pairs)
    assert len(found) == (2 if rows else 0) + 2 * len({row[2][0] for row in rows if row[2] is not None})
    for front in found:
        alike = [pair for pair in pairs if front.accuracy is FrontAccuracy.CLEAN or pair.attack == front.attack]
        points = [
            (
                pair.test_mean if front.accuracy is FrontAccuracy.CLEAN else pair.attacked_mean or 0.0,
                pair.ops if front.cost is FrontCost.OPS else pair.packed_bytes,
            )
            for pair in alike
        ]
        expected = {
            (pair.method, pair.architecture) for pair, point in zip(alike, points, strict=True) if not _beaten(point, points)
        }
        assert set(front.members) == expected
        costs = {(pair.method, pair.architecture): point[1] for pair, point in zip(alike, points, strict=True)}
        assert [costs[member] for member in front.members] == sorted(costs[member] for member in front.members)
        assert len(front.members) + len(front.left_out) <= len(pairs)
        assert set(front.left_out) == {(pair.method, pair.architecture) for pair in pairs if pair not in alike}


def test_accuracies_under_other_attacks_are_never_in_one_front() -> None:
    """The second attack is twice as strong: its 30 % are no worse than the first one's 40 %, nor better."""
    weak, strong = (trained(metrics(pgd_20=share, eps=eps), name) for name, share, eps in (("bnn", 0.4, 0.1), ("mcn", 0.3, 0.2)))
    attacked = [front for front in fronts(compare([weak, strong])[0]) if front.accuracy is FrontAccuracy.ATTACKED]
    assert [(front.attack and front.attack.eps, front.members, front.left_out) for front in attacked] == [
        (0.1, (("bnn", "a"),), (("mcn", "a"),)),
        (0.1, (("bnn", "a"),), (("mcn", "a"),)),
        (0.2, (("mcn", "a"),), (("bnn", "a"),)),
        (0.2, (("mcn", "a"),), (("bnn", "a"),)),
    ]


@pytest.mark.parametrize("field", ["restarts", "images", "accuracies"])
def test_restarts_images_and_attacks_tell_attacks_apart_too(field: str) -> None:
    known = metrics(pgd_20=0.4)
    assert known.robustness is not None
    other = {"restarts": 2, "images": 51, "accuracies": {"clean": 0.8}}[field]
    changed = known.model_copy(update={"robustness": known.robustness.model_copy(update={field: other})})
    assert len(fronts(compare([trained(known, "bnn"), trained(changed, "mcn")])[0])) == 2 + 4


def test_seeds_that_were_attacked_differently_have_no_mean_under_attack() -> None:
    one = trained(metrics(pgd_20=0.4), seed=0)
    for other in (metrics(), metrics(pgd_20=0.4, eps=0.2)):
        (pair,), _ = compare([one, replace(one, seed=1, metrics=other)])
        assert (pair.attack, pair.attacked_mean, pair.attacked_spread) == (None, None, None)
        assert [run.attacked for run in pair.runs] == [0.4, other.robustness and other.robustness.worst]


def test_the_mean_under_attack_has_a_spread_with_two_seeds_and_none_with_one() -> None:
    """0.4 and 0.6: the sample standard deviation is 0.2 / sqrt(2)."""
    (alone,), _ = compare([trained(metrics(pgd_20=0.4))])
    assert (alone.attacked_mean, alone.attacked_spread, alone.test_spread) == (0.4, None, None)
    (pair,), _ = compare([trained(metrics(pgd_20=share), seed=seed) for seed, share in enumerate((0.4, 0.6))])
    assert pair.attacked_mean == pytest.approx(0.5)
    assert pair.attacked_spread == pytest.approx(0.2 / 2**0.5)
    assert pair.attack is not None
    assert (pair.attack.eps, pair.attack.attacks) == (0.1, ("clean", "pgd-20"))

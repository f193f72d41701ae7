"""The anti-bandit's formulas."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_service.search.bandit import pick, sampling_probabilities, updated_mean, width, worst


def test_width_is_the_published_one() -> None:
    """N = 132: 3.12 for one pull, 1.80 for three, 0.81 for fifteen, against accuracy gaps of a few tenths."""
    assert [round(width(132, pulls), 2) for pulls in (1, 3, 15)] == [3.12, 1.80, 0.81]
    assert width(132, 1) == pytest.approx(math.sqrt(2 * math.log(132)), abs=1e-15)
    assert width(132, 1, coefficient=0.1) == pytest.approx(0.1 * width(132, 1), abs=1e-15)


def test_the_first_reward_is_the_mean_and_later_ones_come_in_with_the_momentum() -> None:
    assert updated_mean(None, 0.5, 0.7) == 0.5
    assert updated_mean(0.5, 0.4, 0.7) == pytest.approx(0.43, abs=1e-15)


def test_the_surest_arm_is_the_least_likely() -> None:
    probabilities = sampling_probabilities([-3.0, -1.0, 0.5])
    assert probabilities == sorted(probabilities, reverse=True)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_probabilities_are_finite_and_add_up_to_one(bounds: list[float]) -> None:
    probabilities = sampling_probabilities(bounds)
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert sum(probabilities) == pytest.approx(1, abs=1e-12)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True))
def test_pick_follows_the_cumulative_probabilities(weights: list[float], uniform: float) -> None:
    probabilities = [weight / sum(weights) for weight in weights]
    index = pick(probabilities, uniform)
    assert sum(probabilities[:index]) <= uniform + 1e-12
    assert index == len(weights) - 1 or uniform < sum(probabilities[: index + 1]) + 1e-12


def test_the_worst_arm_has_the_lowest_upper_bound_and_the_first_of_equals_goes() -> None:
    assert worst([2.0, 1.0, 1.0, 3.0]) == 1

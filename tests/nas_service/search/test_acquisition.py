"""Expected improvement against its integral, and climbs against every neighbour."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nas_service.search.acquisition import OverBest, best_of, climb, log_expected_improvement
from nas_service.search.encoding import Codes, Encoding
from nas_service.search.posterior import Posterior, Shares, rank_scores
from search_spaces.space import SPACES, ZEROISE, SearchSpace, connect_all
from tests.samples import random_genotype

TINY = SPACES.get("tiny")
CUTS = replace(TINY, edges=connect_all(nodes=2, operations=(ZEROISE, "skip", "max-pool-3x3", "dilated-conv-3x3")))
EVERY_SPACE = pytest.mark.parametrize("space", [TINY, CUTS], ids=["tiny", "tiny-with-zeroise"])
EVERY_START = pytest.mark.parametrize("start", range(6))
SHARES = Shares(operations=0.2, arms=0.6, noise=0.3)


def _log_improvement(mean: float, deviation: float, best: float = 0.0) -> float:
    return float(log_expected_improvement(np.array([mean]), np.array([deviation]), best)[0])


def _integral(unit: float) -> float:
    """Return ln of the integral of t phi(t - u) over t > 0 = ln phi(u) + ln int t exp(u t - t^2 / 2), by Simpson's rule.

    Beyond the end the integrand is below exp(-40); with 40,001 points the rule's error is below 1e-11.
    """
    points = np.linspace(0, 40 / max(1.0, -unit) + max(unit, 0.0), 40_001)
    weights = np.full(len(points), 2.0)
    weights[1::2], weights[0], weights[-1] = 4, 1, 1
    values = points * np.exp(unit * points - points**2 / 2)
    integral = float(weights @ values) * float(points[1]) / 3
    return -(unit**2) / 2 - math.log(2 * math.pi) / 2 + math.log(integral)


@pytest.mark.parametrize("unit", [-24.9, -20.0, -12.0, -5.0, -1.0, -0.1, 0.0, 0.3, 2.0, 8.0])
@pytest.mark.parametrize("deviation", [1e-3, 1.0, 7.0])
def test_expected_improvement_is_the_integral_of_what_is_above_the_best(unit: float, deviation: float) -> None:
    """Near u = -25 the formula loses u^2 = 625 times the 3e-14 that exp(-u^2 / 2) is off: 2e-11."""
    expected = math.log(deviation) + _integral(unit)
    assert _log_improvement(0.4 + unit * deviation, deviation, best=0.4) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("unit", [-25.1, -30.0, -60.0, -1000.0])
def test_the_series_of_the_far_tail_is_the_integral(unit: float) -> None:
    """The first term left out is 105 / u^6; the sums are about u^2 / 2 in size, rounded at 2^-53."""
    tolerance = 105 / unit**6 + unit**2 * 2**-52 + 1e-10
    assert _log_improvement(unit, 1.0) == pytest.approx(_integral(unit), abs=tolerance)


def test_formula_and_series_meet_at_minus_25() -> None:
    """The series is off by 105 / 25^6 = 4.3e-7; the slope of 25 adds 25 * 2e-10."""
    below, above = _log_improvement(-25 - 1e-10, 1.0), _log_improvement(-25 + 1e-10, 1.0)
    assert abs(above - below) < 5e-7


def test_expected_improvement_rises_with_the_mean() -> None:
    means = np.arange(-4000, 1000) / 100
    assert (np.diff(log_expected_improvement(means, np.ones(len(means)), 0.0)) > 0).all()


@pytest.mark.parametrize("mean", [-2.0, -0.1, 0.0, 0.5])
def test_expected_improvement_rises_with_the_deviation(mean: float) -> None:
    """From u = -40 on; above the best it flattens out at its mean, where its rise is lost in rounding."""
    deviations = np.linspace(max(abs(mean) / 4 if mean > 0 else -mean / 40, 0.01), 3, 500)
    assert (np.diff(log_expected_improvement(np.full(500, mean), deviations, 0.0)) > 0).all()


def _posterior(space: SearchSpace) -> Posterior:
    encoding = Encoding(space)
    codes = encoding.codes(random_genotype(space, seed) for seed in range(20))
    worth = np.random.default_rng(4).random((encoding.edges, len(encoding.operations)))
    rewards = worth[np.arange(encoding.edges), codes].sum(axis=1)
    return Posterior(encoding, codes, rank_scores(rewards.tolist()), SHARES)


def _value(posterior: Posterior, row: Codes, best: float) -> float:
    return float(log_expected_improvement(*posterior.predict(row[None]), best)[0])


def _live_neighbours(posterior: Posterior, row: Codes) -> list[Codes]:
    encoding, found = posterior.encoding, []
    for edge, operation in np.ndindex(encoding.edges, len(encoding.operations)):
        changed = row.copy()
        changed[edge] = operation
        if encoding.space.dead_node(encoding.genotype(changed).choices) is None:
            found.append(changed)
    return found


@EVERY_SPACE
@EVERY_START
def test_no_change_of_one_edge_improves_what_a_climb_returns(space: SearchSpace, start: int) -> None:
    """Both spaces have fewer neighbours than a step looks at, so that none is overlooked; 1e-9 is for rounding."""
    posterior = _posterior(space)
    best = float(posterior.means.max())
    found = climb(posterior, posterior.codes[start], OverBest(best), set(), posterior.encoding.possible)
    assert found is not None
    assert space.dead_node(posterior.encoding.genotype(found.row).choices) is None
    assert found.value == pytest.approx(_value(posterior, found.row, best), abs=1e-9)
    assert all(_value(posterior, row, best) <= found.value + 1e-9 for row in _live_neighbours(posterior, found.row))


@EVERY_SPACE
@EVERY_START
def test_a_climb_returns_a_live_architecture_that_is_not_taken(space: SearchSpace, start: int) -> None:
    """Each answer is taken in turn, so that the summit and more and more around it are."""
    posterior = _posterior(space)
    best, taken = float(posterior.means.max()), {row.tobytes() for row in posterior.codes}
    for _ in range(8):
        found = climb(posterior, posterior.codes[start], OverBest(best), taken, posterior.encoding.possible)
        assert found is not None
        assert found.row.tobytes() not in taken
        assert space.dead_node(posterior.encoding.genotype(found.row).choices) is None
        assert found.value == pytest.approx(_value(posterior, found.row, best), abs=1e-9)
        taken.add(found.row.tobytes())


@EVERY_START
def test_a_climb_leaves_its_start_as_it_was(start: int) -> None:
    posterior = _posterior(TINY)
    row = posterior.codes[start].copy()
    climb(posterior, row, OverBest(0.0), set(), posterior.encoding.possible)
    assert row.tolist() == posterior.codes[start].tolist()


def test_a_climb_changes_only_to_allowed_operations() -> None:
    posterior = _posterior(TINY)
    allowed = posterior.encoding.possible.copy()
    start = posterior.codes[0]
    allowed[:3] = np.arange(allowed.shape[1]) == start[:3, None]
    found = climb(posterior, start, OverBest(float(posterior.means.max())), set(), allowed)
    assert found is not None
    assert found.row[:3].tolist() == start[:3].tolist()


def test_a_climb_among_taken_architectures_alone_finds_none() -> None:
    posterior = _posterior(TINY)
    taken = {row.tobytes() for row in posterior.encoding.all_live}
    assert climb(posterior, posterior.codes[0], OverBest(0.0), taken, posterior.encoding.possible) is None


def test_the_best_candidate_is_the_first_by_expected_improvement_that_is_not_taken() -> None:
    posterior, best = _posterior(TINY), 1.0
    codes = posterior.encoding.all_live
    order = np.argsort([-_value(posterior, row, best) for row in codes], kind="stable")
    taken: set[bytes] = set()
    for index in order[:5]:
        found = best_of(posterior, codes, OverBest(best), taken)
        assert found is not None
        assert found.value == pytest.approx(_value(posterior, codes[index], best), abs=1e-9)
        taken.add(found.row.tobytes())
    assert len(taken) == 5
    assert best_of(posterior, codes, OverBest(best), {row.tobytes() for row in codes}) is None

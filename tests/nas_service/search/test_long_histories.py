"""Long histories are taken apart now and then and added on to: with the same figures, whatever was asked before.

Tolerance: covariances of up to 1,024 rows with noise 0.1 or more have condition numbers under 1e5; 1e-9 leaves a factor of a
hundred.
"""

from functools import cache

import numpy as np
import pytest

from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.evidence import expected_shares
from nas_service.search.factor import Factor, triangle
from nas_service.search.history import Sample, derived_random
from nas_service.search.picks import CAUTION, by_posterior
from nas_service.search.posterior import AT_ONCE, Covariates, Posterior, Shares, anchor, rank_scores
from nas_service.search.strategy import STRATEGIES, Strategy
from search_spaces.space import CellType, SearchSpace, connect_all
from tests.samples import random_genotype

SPACE = SearchSpace("wide", "10 edges of 5 operations", (CellType("c"),), connect_all(4, tuple("ABCDE")), cells=1)
ENCODING = Encoding(SPACE)
EXACT = 1e-9
SHARES = Shares(operations=0.3, arms=0.7, noise=0.3, drift=10.0)
SIZE = Covariates(lambda codes: codes[:, :2].astype(np.float64) / 4, np.array([0.5, -0.2]))


@cache
def _codes(count: int) -> Codes:
    return ENCODING.codes(random_genotype(SPACE, seed) for seed in range(count))


def _scores(count: int) -> Floats:
    return rank_scores(np.random.default_rng(3).random(count).tolist())


@cache
def _history(count: int) -> tuple[Sample, ...]:
    worth = np.random.default_rng(1).random((ENCODING.edges, 5))
    rows = _codes(count)
    rewards = worth[np.arange(ENCODING.edges), rows].mean(axis=1)
    genotypes = [ENCODING.genotype(row) for row in rows.tolist()]
    noise = [0.1 * derived_random(7, index).random() for index in range(count)]
    return tuple(Sample(index, genotypes[index], float(rewards[index]) + noise[index]) for index in range(count))


@pytest.mark.parametrize("first", [0, 1, 63, 64, 65, 150, 200])
def test_a_factor_in_two_blocks_is_that_of_the_whole(first: int) -> None:
    """Blocks of every size, the empty ones too, and those that are halved before they are inverted."""
    random = np.random.default_rng(first)
    root = random.standard_normal((200, 200))
    matrix = root @ root.T / 200 + np.eye(200)
    factor = Factor(triangle(matrix[:first, :first]), matrix[:first, first:], matrix[first:, first:])
    values, rows = random.standard_normal(200), random.standard_normal((7, 200))
    assert factor.solve(values) == pytest.approx(np.linalg.solve(matrix, values), abs=EXACT)
    dense = (rows * np.linalg.solve(matrix, rows.T).T).sum(axis=1)
    assert factor.quadratics(rows) == pytest.approx(dense, abs=EXACT)
    lower = triangle(matrix)
    assert (np.triu(lower, 1) == 0).all()
    assert lower @ lower.T == pytest.approx(matrix, abs=EXACT)


@pytest.mark.parametrize("first", [1, 12, 40, 59, 60])
def test_a_posterior_is_the_same_with_what_is_known_of_its_first_architectures(first: int) -> None:
    codes, scores = _codes(60), _scores(60)
    whole = Posterior(ENCODING, codes, scores, SHARES, SIZE)
    known = Posterior(ENCODING, codes[:first], scores[:first] + 1, SHARES, SIZE).leading
    added = Posterior(ENCODING, codes, scores, SHARES, SIZE, leading=known)
    assert len(added.leading) == first
    more = _codes(80)[60:]
    for one, other in zip((*whole.predict(more), *whole.effects()), (*added.predict(more), *added.effects()), strict=True):
        assert one == pytest.approx(other, abs=EXACT)
    assert added.weights == pytest.approx(whole.weights, abs=EXACT)
    assert added.scale == pytest.approx(whole.scale, abs=EXACT)
    assert added.means == pytest.approx(whole.expect(codes), abs=EXACT)
    assert added.deviations == pytest.approx(whole.predict(codes)[1], abs=EXACT)
    assert added.deviations_of(np.array([3, 59])) == pytest.approx(whole.deviations[[3, 59]], abs=EXACT)


def test_short_histories_are_taken_apart_whole_and_of_long_ones_all_but_a_twentieth() -> None:
    assert [anchor(count) for count in (0, 1, 300, AT_ONCE, AT_ONCE + 1)] == [0, 1, 300, AT_ONCE, AT_ONCE]
    anchors = [anchor(count) for count in range(AT_ONCE, 20_000)]
    assert anchors == sorted(anchors)
    for count, first in enumerate(anchors, AT_ONCE):
        assert first <= count < 1.05 * first + 1
    assert len(set(anchors)) < 100


def test_the_shares_of_a_long_history_are_those_of_samples_from_all_of_it() -> None:
    """The rewards depend on arms alone in the first half, and on nothing in the second."""
    history = _history(700)
    codes, rewards = _codes(700), np.array([sample.reward for sample in history])
    clear = expected_shares(ENCODING, codes, rank_scores(rewards.tolist()))
    rewards[350:] = np.random.default_rng(2).random(350)
    blurred = expected_shares(ENCODING, codes, rank_scores(rewards.tolist()))
    assert clear.noise < blurred.noise / 2


def _strategy() -> Strategy:
    return STRATEGIES.get("abandit-plus").from_settings(SPACE, {"samples": 700, "balanced_share": 0.1}, 0)


@pytest.mark.slow
def test_a_long_history_is_answered_alike_whatever_was_asked_before() -> None:
    """Over two anchors, 512 and 537, by one that goes along, and by one that begins there."""
    along = _strategy()
    for end in (505, 511, 512, 513, 530, 536, 537, 538, 520):
        history = _history(600)[:end]
        fresh = _strategy()
        assert along.suggest(history, 2) == fresh.suggest(history, 2)
        assert along.arms(history) == fresh.arms(history)
        assert along.rank(history, 3) == fresh.rank(history, 3)


def test_the_best_of_many_are_those_of_all_whatever_their_means_are() -> None:
    """The figure mu - sd / 2 of every sample, where the ranking works out few of them."""
    history = _history(2 * AT_ONCE)
    codes, scores = _codes(2 * AT_ONCE), rank_scores([sample.reward for sample in history])
    for noise in (0.1, 3.0):
        posterior = Posterior(ENCODING, codes, scores, Shares(operations=0.3, arms=0.7, noise=noise))
        figures = posterior.means - CAUTION * posterior.deviations
        expected = tuple(dict.fromkeys(history[index].genotype for index in np.argsort(-figures, kind="stable")))
        for count in (1, 40, 600, len(expected)):
            assert [entry.genotype for entry in by_posterior(posterior, history, count)] == list(expected[:count])

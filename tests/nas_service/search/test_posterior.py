"""The model of a history against sums by hand and against Bayesian ridge regression over explicit features.

Tolerance: the systems are 20 x 20 or 156 x 156 with condition numbers under 1 / s * 156 < 1e4, so that solving them loses
about 1e4 * 2^-53 = 1e-12; 1e-10 leaves a factor of a hundred.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import pytest

from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.evidence import GRID_ARMS, GRID_NOISE, GRID_OPERATIONS, drifts, expected_shares, fitted
from nas_service.search.history import Sample
from nas_service.search.picks import by_posterior, posterior_pick
from nas_service.search.posterior import Kernel, Neighbours, Posterior, Shares, rank_scores
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES, ZEROISE, CellType, SearchSpace, connect_all
from tests.samples import random_genotype

TINY = SPACES.get("tiny")
ONE_EDGE = SearchSpace("one-edge", "three arms on one edge", (CellType("c"),), connect_all(1, ("A", "B", "C")), cells=1)
CUTS = SearchSpace(
    "cuts", "with zeroise", (CellType("a"), CellType("b")), connect_all(2, (ZEROISE, "skip", "max-pool-3x3")), cells=2
)
EXACT = 1e-10
SHARES = (
    Shares(operations=0.0, arms=1.0, noise=0.3),
    Shares(operations=0.0, arms=0.2, noise=0.1),
    Shares(operations=0.4, arms=0.6, noise=1.0),
    Shares(operations=0.75, arms=0.9, noise=3.0),
    Shares(operations=0.4, arms=0.6, noise=0.3, drift=10.0),
)
EVERY_SHARES = pytest.mark.parametrize("shares", SHARES, ids=str)
EVERY_SPACE = pytest.mark.parametrize("space", [TINY, CUTS, ONE_EDGE], ids=lambda space: space.name)


def _random_codes(space: SearchSpace, count: int, first_seed: int = 0) -> Codes:
    return Encoding(space).codes(random_genotype(space, seed) for seed in range(first_seed, first_seed + count))


def _scores(count: int, seed: int = 3) -> Floats:
    return rank_scores(np.random.default_rng(seed).random(count).tolist())


def _posterior(space: SearchSpace, shares: Shares, count: int = 20) -> Posterior:
    return Posterior(Encoding(space), _random_codes(space, count), _scores(count), shares)


def _features(codes: Codes, shares: Shares) -> Floats:
    """Return arms, pairs of arms and operation counts of architectures of `tiny`, each times the root of its variance.

    Every edge of `tiny` has the same 3 operations: a count has mean 6 / 3 and variance 6 * 1/3 * 2/3, in all N = 4.
    """
    w, p = shares.operations, shares.arms
    rows = []
    for row in codes.tolist():
        arms = [float(row[edge] == operation) for edge in range(6) for operation in range(3)]
        pairs = [
            float(row[one] == first and row[other] == second)
            for one, other in combinations(range(6), 2)
            for first, second in product(range(3), repeat=2)
        ]
        counts = [row.count(operation) - 2.0 for operation in range(3)]
        scaled = (
            [math.sqrt((1 - w) * p / 6) * arm for arm in arms]
            + [math.sqrt(2 * (1 - w) * (1 - p) / 30) * pair for pair in pairs]  # m (m - 1) counts each pair twice
            + [math.sqrt(w / 4) * count for count in counts]
        )
        rows.append(scaled)
    return np.array(rows)


def _drift(count: int, variance: float) -> Floats:
    """Return 1, ln(1 + i), i / 100 of samples 0, 1, ..., each times the root of its variance."""
    return np.array([[math.sqrt(variance) * part for part in (1.0, math.log(1 + i), i / 100)] for i in range(count)])


def _all_features(codes: Codes, shares: Shares) -> Floats:
    """Return what a sample's score is a sum of, noise aside."""
    return np.hstack([_features(codes, shares), _drift(len(codes), shares.drift)])


@dataclass
class _Ridge:
    """Coefficients, without the drift's, given z = (features, drift) c + noise: c ~ N(0, tau2 I), noise ~ N(0, tau2 s I)."""

    mean: Floats
    covariance: Floats
    tau2: float


def _ridge(codes: Codes, scores: Floats, shares: Shares) -> _Ridge:
    """Condition in the space of the coefficients; tau2 by a dense solve over the samples."""
    features = _all_features(codes, shares)
    precision = np.eye(features.shape[1]) + features.T @ features / shares.noise
    mean = np.linalg.solve(precision, features.T @ scores / shares.noise)
    dense = features @ features.T + shares.noise * np.eye(len(codes))
    tau2 = float(scores @ np.linalg.solve(dense, scores)) / len(codes)
    covariance = tau2 * np.linalg.inv(precision)
    return _Ridge(np.asarray(mean[:-3], np.float64), np.asarray(covariance[:-3, :-3], np.float64), tau2)


def test_rank_scores_are_normal_quantiles_and_ties_have_their_average_rank() -> None:
    """Ranks 2.5, 1, 2.5, 4 of 4: shares 1/2, 1/8, 1/2, 7/8; the table's quantile of 7/8 is 1.15034938."""
    assert rank_scores([0.3, 0.1, 0.3, 0.9]) == pytest.approx([0, -1.15034938, 0, 1.15034938], abs=1e-8)


def test_the_extremes_of_rank_scores_are_symmetric() -> None:
    scores = np.sort(rank_scores([0.9, 0.05, 0.4, 0.7, 0.0]))
    assert scores + scores[::-1] == pytest.approx(np.zeros(5), abs=1e-15)
    assert scores[-1] == pytest.approx(1.2815515655446004, abs=1e-12)  # quantile of 9/10


def test_rank_scores_do_not_depend_on_the_scale_of_rewards() -> None:
    rewards = [0.2, 0.5, 0.5, 0.1, 0.8]
    assert rank_scores(rewards).tolist() == rank_scores([math.exp(9 * reward) for reward in rewards]).tolist()


def test_equal_rewards_score_zero_and_predict_zero() -> None:
    scores = rank_scores([0.4] * 7)
    codes = _random_codes(TINY, 7)
    posterior = Posterior(Encoding(TINY), codes, scores, expected_shares(Encoding(TINY), codes, scores))
    assert scores.tolist() == [0.0] * 7
    assert posterior.predict(Encoding(TINY).all_live)[0].tolist() == [0.0] * 729


@EVERY_SPACE
def test_codes_of_a_space_give_its_genotypes_back(space: SearchSpace) -> None:
    encoding = Encoding(space)
    genotypes = [random_genotype(space, seed) for seed in range(10)]
    assert [encoding.genotype(row) for row in encoding.codes(genotypes)] == genotypes


@EVERY_SPACE
def test_changes_keep_alive_what_the_space_says_is_live(space: SearchSpace) -> None:
    encoding = Encoding(space)
    for row in _random_codes(space, 10):
        allowed = encoding.keeps_inside(row)
        for edge, operation in np.ndindex(allowed.shape):
            changed = row.copy()
            changed[edge] = operation
            assert allowed[edge, operation] == (space.dead_node(encoding.genotype(changed).choices) is None)


@pytest.mark.parametrize(("space", "variance"), [(TINY, 4.0), (ONE_EDGE, 2 / 3)], ids=["tiny", "one-edge"])
def test_the_spread_is_the_variance_of_the_counts_and_the_mean_square_of_their_features_is_one(
    space: SearchSpace, variance: float
) -> None:
    """E edges of 3 alike operations: E * 3 * 1/3 * 2/3."""
    encoding = Encoding(space)
    counts = encoding.counts(encoding.all_live)
    assert encoding.spread == pytest.approx(variance, abs=1e-12)
    assert counts.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert (counts**2).sum(axis=1).mean() == pytest.approx(1.0, abs=1e-12)


@EVERY_SHARES
def test_the_kernel_is_the_product_of_the_explicit_features(shares: Shares) -> None:
    rows, columns = _random_codes(TINY, 8), _random_codes(TINY, 20, 100)
    kernel = Kernel(Encoding(TINY), shares).between(rows, columns)
    assert kernel == pytest.approx(_features(rows, shares) @ _features(columns, shares).T, abs=EXACT)


@EVERY_SHARES
def test_means_and_deviations_equal_ridge_regression_over_explicit_features(shares: Shares) -> None:
    posterior = _posterior(TINY, shares)
    ridge = _ridge(posterior.codes, posterior.scores, shares)
    everything = Encoding(TINY).all_live
    features = _features(everything, shares)
    means, deviations = posterior.predict(everything)
    assert means == pytest.approx(features @ ridge.mean, abs=EXACT)
    assert deviations**2 == pytest.approx(((features @ ridge.covariance) * features).sum(axis=1), abs=EXACT)
    own_means, own_deviations = posterior.predict(posterior.codes)
    assert posterior.means == pytest.approx(own_means, abs=EXACT)
    assert posterior.deviations == pytest.approx(own_deviations, abs=EXACT)


@EVERY_SHARES
def test_effects_equal_the_coefficients_of_arm_and_operation_together(shares: Shares) -> None:
    posterior = _posterior(TINY, shares)
    ridge = _ridge(posterior.codes, posterior.scores, shares)
    effects, deviations = posterior.effects()
    for edge, operation in np.ndindex(6, 3):
        holds = np.zeros(len(ridge.mean))
        holds[3 * edge + operation] = math.sqrt((1 - shares.operations) * shares.arms / 6)
        holds[18 + 135 + operation] = math.sqrt(shares.operations / 4)
        assert effects[edge, operation] == pytest.approx(holds @ ridge.mean, abs=EXACT)
        assert deviations[edge, operation] ** 2 == pytest.approx(holds @ ridge.covariance @ holds, abs=EXACT)


@EVERY_SHARES
def test_tau2_is_the_closed_form_and_the_likeliest_scale(shares: Shares) -> None:
    """The logarithm of the density of z falls on both sides of it."""
    posterior = _posterior(TINY, shares)
    features = _all_features(posterior.codes, shares)
    dense = features @ features.T + shares.noise * np.eye(20)

    def log_density(tau2: float) -> float:
        covariance = tau2 * dense
        quadratic = float(posterior.scores @ np.linalg.solve(covariance, posterior.scores))
        return -(quadratic + float(np.linalg.slogdet(2 * np.pi * covariance)[1])) / 2

    assert posterior.scale == pytest.approx(_ridge(posterior.codes, posterior.scores, shares).tau2, abs=EXACT)
    best = log_density(posterior.scale)
    assert best > log_density(posterior.scale * 1.01)
    assert best > log_density(posterior.scale / 1.01)


def _slow_shares(codes: Codes, scores: Floats) -> Shares:
    """Return the mean over the grid, weighted by the density of z at its likeliest scale."""
    grid = [Shares(*point) for point in product(GRID_OPERATIONS, GRID_ARMS, GRID_NOISE)]
    densities = []
    for shares in grid:
        features = _all_features(codes, shares)
        dense = features @ features.T + shares.noise * np.eye(len(codes))
        tau2 = float(scores @ np.linalg.solve(dense, scores)) / len(codes)
        sign, log_determinant = np.linalg.slogdet(2 * np.pi * tau2 * dense)
        assert sign == 1
        densities.append(math.exp(-(len(codes) + float(log_determinant)) / 2))
    total = math.fsum(densities)
    return Shares(
        math.fsum(d * s.operations for d, s in zip(densities, grid, strict=True)) / total,
        math.fsum(d * s.arms for d, s in zip(densities, grid, strict=True)) / total,
        math.exp(math.fsum(d * math.log(s.noise) for d, s in zip(densities, grid, strict=True)) / total),
    )


def _worths(codes: Codes) -> dict[str, list[float]]:
    """Return rewards that each of the kernel's parts explains, and noise."""
    by_arm, by_operation = np.random.default_rng(1).random((6, 3)), np.array([0.0, 0.5, 1.0])
    return {
        "arms": by_arm[np.arange(6), codes].sum(axis=1).tolist(),
        "operations": by_operation[codes].sum(axis=1).tolist(),
        "noise": np.random.default_rng(2).random(len(codes)).tolist(),
    }


@pytest.mark.parametrize("worth", ["arms", "operations", "noise"])
def test_expected_shares_are_means_of_the_grid_weighted_by_evidence(worth: str) -> None:
    """Relative 1e-8: the evidences, about 50 in size, differ by 1e-12 or so, and so do their weights."""
    codes = _random_codes(TINY, 20)
    scores = rank_scores(_worths(codes)[worth])
    found, slow = expected_shares(Encoding(TINY), codes, scores), _slow_shares(codes, scores)
    assert (found.operations, found.arms, found.noise) == pytest.approx((slow.operations, slow.arms, slow.noise), rel=1e-8)
    assert min(GRID_OPERATIONS) <= found.operations <= max(GRID_OPERATIONS)
    assert min(GRID_ARMS) <= found.arms <= max(GRID_ARMS)
    assert min(GRID_NOISE) <= found.noise <= max(GRID_NOISE)


def test_evidence_tells_noise_from_operations_and_arms() -> None:
    codes = _random_codes(TINY, 40)
    shares = {name: expected_shares(Encoding(TINY), codes, rank_scores(rewards)) for name, rewards in _worths(codes).items()}
    assert shares["noise"].noise > 3 * max(shares["arms"].noise, shares["operations"].noise)
    assert shares["operations"].operations > shares["arms"].operations


@EVERY_SPACE
@EVERY_SHARES
def test_neighbours_have_the_means_and_deviations_that_predict_gives(space: SearchSpace, shares: Shares) -> None:
    posterior = _posterior(space, shares)
    width = len(posterior.encoding.operations)
    for row in _random_codes(space, 3, first_seed=50):
        neighbours = Neighbours(posterior, row)
        edges, operations = np.divmod(np.arange(len(row) * width), width)
        changed = np.repeat(row[None], len(edges), axis=0)
        changed[np.arange(len(edges)), edges] = operations
        means, deviations = posterior.predict(changed)
        assert neighbours.means.ravel() == pytest.approx(means, abs=EXACT)
        assert neighbours.deviations(edges, operations) == pytest.approx(deviations, abs=EXACT)


@EVERY_SHARES
def test_believing_in_a_mean_keeps_all_means_and_shrinks_variances(shares: Shares) -> None:
    """Variances are those of a ridge regression that has seen `row` too; they do not depend on what came out."""
    posterior, everything = _posterior(TINY, shares), Encoding(TINY).all_live
    row = _random_codes(TINY, 1, first_seed=77)[0]
    more = posterior.believing(row)
    means, deviations = posterior.predict(everything)
    believed_means, believed_deviations = more.predict(everything)
    assert believed_means == pytest.approx(means, abs=EXACT)
    assert (believed_deviations <= deviations + EXACT).all()
    ridge = _ridge(np.vstack([posterior.codes, row]), np.append(posterior.scores, 0.0), shares)
    features = _features(everything, shares)
    variances = posterior.scale / ridge.tau2 * ((features @ ridge.covariance) * features).sum(axis=1)
    assert believed_deviations**2 == pytest.approx(variances, abs=EXACT)


@EVERY_SHARES
def test_what_drifts_with_time_changes_no_mean(shares: Shares) -> None:
    """A drift of nearly 11 moves means by no more than 0.08, without its features by 5 to 10; variance 10 shrinks it a little."""
    codes = np.repeat(_random_codes(TINY, 12), 2, axis=0)[np.random.default_rng(0).permutation(24)]
    drift = 3 * np.log1p(np.arange(24)) - 0.02 * np.arange(24) + 1

    def moved(variance: float) -> float:
        """Return the largest mean for scores that are nothing but drift: means are linear in scores."""
        means = Posterior(Encoding(TINY), codes, drift, replace(shares, drift=variance)).predict(codes)[0]
        return float(np.abs(means).max())

    assert moved(10.0) < 0.1
    assert moved(0.0) > 5


@pytest.mark.parametrize("seed", range(5))
def test_early_samples_tell_a_drift_and_later_ones_do_not(seed: int) -> None:
    """30 random samples, then 30 of ever better architectures: the first decide."""
    random, encoding = np.random.default_rng(seed), Encoding(TINY)
    worth = random.random((6, 3))
    early = _random_codes(TINY, 30, 100 * seed)
    late = np.array(sorted(_random_codes(TINY, 60, 1000 + 100 * seed).tolist(), key=lambda row: worth[np.arange(6), row].sum()))[
        30:
    ]
    codes = np.vstack([early, late])
    still = worth[np.arange(6), codes].sum(axis=1) + 0.1 * random.standard_normal(60)
    rising = still + 2 * np.log1p(np.arange(60))
    assert not drifts(encoding, early, rank_scores(still[:30].tolist()))
    assert drifts(encoding, early, rank_scores(rising[:30].tolist()))
    for rewards, drift in ((still, 0.0), (rising, 10.0)):
        scores = rank_scores(rewards.tolist())
        assert expected_shares(encoding, codes, scores, 30).drift == drift
        assert expected_shares(encoding, codes, scores).drift == 0.0
        history = [Sample(index, encoding.genotype(codes[index]), rewards[index]) for index in range(60)]
        assert fitted(encoding, history).shares == expected_shares(encoding, codes, scores, 20)


def test_that_operations_count_alike_everywhere_is_learned_and_refuted() -> None:
    """54 random architectures of 10 edges of 5 operations, noise a fifth of the variance: the same worths with the same names on
    every edge, and with names of their own on every edge. A grid of equal weights begins with a mean of 0.34.
    """
    space = SearchSpace("wide", "", (CellType("c"),), connect_all(4, tuple("ABCDE")), cells=1)
    encoding, edges = Encoding(space), np.arange(10)
    shares: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(8):
        random = np.random.RandomState(seed)
        worths = np.tile(random.standard_normal(5), (10, 1))
        codes, noise = random.randint(0, 5, (54, 10)), random.standard_normal(54)
        for renamed, found in shares.items():
            named = np.stack([random.permutation(row) for row in worths]) if renamed else worths
            rewards = named[edges, codes].sum(axis=1) + named.std() * (10 / 5) ** 0.5 * noise
            found.append(expected_shares(encoding, codes, rank_scores(rewards.tolist())).operations)
    assert np.mean(shares[True]) < 0.15
    assert np.mean(shares[False]) > 0.45
    assert all(refuted < learned for refuted, learned in zip(shares[True], shares[False], strict=True))


def _history(count: int) -> tuple[Sample, ...]:
    rewards = np.random.default_rng(5).random(count).tolist()
    return tuple(Sample(index, random_genotype(TINY, index % 12), reward) for index, reward in enumerate(rewards))


def test_the_pick_is_the_evaluated_architecture_with_the_largest_mean_less_half_a_deviation() -> None:
    history = _history(20)
    posterior = fitted(Encoding(TINY), history)
    means, deviations = posterior.predict(posterior.codes)
    pick = posterior_pick(TINY, history)
    assert pick.genotype == history[int((means - deviations / 2).argmax())].genotype
    rewards = [sample.reward for sample in history]
    assert min(rewards) <= pick.score <= max(rewards)


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_the_scores_of_samples_are_about_their_rewards(drift: float) -> None:
    """12 architectures twice, then the best three again and again, as a search does: scores are rewards as of the mean time."""
    random = np.random.default_rng(1)
    order = np.hstack([random.permutation(np.repeat(np.arange(12), 2)), random.permutation(np.repeat([9, 10, 11], 12))])
    rewards = 0.3 + 0.02 * order + drift * np.log1p(np.arange(60)) / 20
    history = [
        Sample(i, random_genotype(TINY, int(n)), float(reward)) for i, (n, reward) in enumerate(zip(order, rewards, strict=True))
    ]
    posterior = fitted(Encoding(TINY), history)
    assert posterior.shares.drift == (10.0 if drift else 0.0)
    level = (posterior.drift @ (posterior.drift.T @ posterior.weights)).mean()
    assert (posterior.means.mean() + level) == pytest.approx(0.0, abs=0.05)  # of rank scores
    scores = {entry.genotype: entry.score for entry in by_posterior(posterior, history, 12)}
    told = np.mean([scores[sample.genotype] for sample in history])
    assert told == pytest.approx(rewards.mean(), abs=0.02)  # a little below: they are marked down by half a deviation
    assert told <= rewards.mean()


def test_a_history_without_a_live_sample_has_no_pick() -> None:
    dead = Genotype("cuts", tuple(key for key in CUTS.arms() if key.operation == ZEROISE))
    for history in ((), (Sample(0, dead, 0.5), Sample(1, dead, 0.6))):
        with pytest.raises(InvalidFieldError, match="history"):
            posterior_pick(CUTS, history)

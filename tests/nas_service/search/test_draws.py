"""Functions drawn from a posterior against its means and covariances, and their best architectures against all 729.

Tolerance: 4,000 draws tell a mean to sd / 63 and a covariance to about 1 / 45 of the product of the deviations; six standard
errors of either leave less than one failure in a million comparisons.
"""

from itertools import product

import numpy as np
import pytest

from nas_service.search.draws import FunctionDraw, best_shares
from nas_service.search.encoding import Codes, Encoding
from nas_service.search.posterior import Covariates, Posterior, Shares, rank_scores
from search_spaces.space import SPACES, ZEROISE, CellType, SearchSpace, connect_all
from tests.samples import random_genotype

TINY = SPACES.get("tiny")
ONE_EDGE = SearchSpace("one-edge", "three arms on one edge", (CellType("c"),), connect_all(1, ("A", "B", "C")), cells=1)
CUTS = SearchSpace(
    "cuts", "with zeroise", (CellType("a"), CellType("b")), connect_all(2, (ZEROISE, "skip", "max-pool-3x3")), cells=2
)
SHARES = (
    Shares(operations=0.0, arms=0.2, noise=0.1),
    Shares(operations=0.4, arms=0.6, noise=1.0),
    Shares(operations=0.75, arms=1.0, noise=0.03),
    Shares(operations=0.4, arms=0.6, noise=0.3, drift=0.1),  # small: a large one leaves next to nothing of a draw's own drift
)
DRAWS = 4000
ERRORS = 6


def _codes(space: SearchSpace, count: int, first_seed: int) -> Codes:
    return Encoding(space).codes(random_genotype(space, seed) for seed in range(first_seed, first_seed + count))


def _posterior(space: SearchSpace, shares: Shares, count: int = 12) -> Posterior:
    """Condition on random rewards, better by one for every first operation (zeroise in `cuts`)."""
    codes = _codes(space, count, 0)
    rewards = np.random.RandomState(3).random_sample(count) + (codes == 0).sum(axis=1)
    return Posterior(Encoding(space), codes, rank_scores(rewards.tolist()), shares)


@pytest.mark.diagonal
@pytest.mark.parametrize("shares", SHARES, ids=str)
@pytest.mark.parametrize("space", [TINY, CUTS, ONE_EDGE], ids=lambda space: space.name)
def test_draws_have_the_posterior_s_means_and_covariances(space: SearchSpace, shares: Shares) -> None:
    """Covariance of x and x': tau2 (k(x, x') - k_x' M^-1 k_x'), evaluated architectures and new ones."""
    posterior, random = _posterior(space, shares), np.random.RandomState(5)
    rows = np.vstack([posterior.codes[:3], _codes(space, 5, 100)])
    values = np.stack([FunctionDraw(posterior, random).values(rows) for _ in range(DRAWS)])
    means, deviations = posterior.predict(rows)
    assert np.all(np.abs(values.mean(axis=0) - means) < ERRORS * deviations / DRAWS**0.5)
    cross = posterior.kernel.between(rows, posterior.codes)
    solved = np.stack([posterior.solve(column) for column in cross], axis=1)
    exact = posterior.scale * (posterior.kernel.between(rows, rows) - cross @ solved)
    error = ERRORS * np.sqrt(np.outer(exact.diagonal(), exact.diagonal()) + exact**2) / DRAWS**0.5
    assert np.all(np.abs(np.cov(values.T) - exact) < error)


def test_a_width_lies_between_the_mean_and_the_draw() -> None:
    """0: the mean; 1: the draw; 1/4: a quarter of the way, with the same numbers."""
    posterior, rows = _posterior(TINY, SHARES[1]), _codes(TINY, 8, 100)
    mean, part, draw = (FunctionDraw(posterior, np.random.RandomState(5), width).values(rows) for width in (0.0, 0.25, 1.0))
    assert mean == pytest.approx(posterior.predict(rows)[0], abs=1e-9)
    assert draw == pytest.approx(FunctionDraw(posterior, np.random.RandomState(5)).values(rows), abs=1e-12)
    assert part == pytest.approx(mean + (draw - mean) / 4, abs=1e-9)


def test_slopes_of_covariates_are_drawn_too_and_the_climb_knows_them() -> None:
    """A covariate that no sum over arms is."""
    sizes = Covariates(lambda codes: (codes[:, :1] + 1.0) * (codes[:, 3:4] - 0.5), np.array([0.7]))
    known = _posterior(TINY, SHARES[1])
    posterior, random = Posterior(known.encoding, known.codes, known.scores, SHARES[1], sizes), np.random.RandomState(5)
    rows = np.vstack([posterior.codes[:3], _codes(TINY, 5, 100)])
    draws = [FunctionDraw(posterior, random) for _ in range(DRAWS)]
    values = np.stack([draw.values(rows) for draw in draws])
    means, deviations = posterior.predict(rows)
    assert np.all(np.abs(values.mean(axis=0) - means) < ERRORS * deviations / DRAWS**0.5)
    assert np.all(np.abs(values.std(axis=0) - deviations) < ERRORS * deviations / (2 * DRAWS) ** 0.5)
    everything = posterior.encoding.all_live
    for draw in draws[:3]:
        best = draw.best(everything, posterior.encoding.possible)
        assert draw.values(best[None])[0] == pytest.approx(draw.values(everything).max(), abs=1e-12)


@pytest.mark.parametrize("space", [TINY, CUTS], ids=lambda space: space.name)
def test_a_climb_from_every_architecture_finds_the_best_of_all(space: SearchSpace) -> None:
    posterior, random = _posterior(space, SHARES[0]), np.random.RandomState(1)
    encoding = posterior.encoding
    for _ in range(5):
        draw = FunctionDraw(posterior, random)
        best = draw.best(encoding.all_live, encoding.possible)
        assert draw.values(best[None])[0] == pytest.approx(draw.values(encoding.all_live).max(), abs=1e-12)


def test_a_summit_is_better_than_all_live_neighbours() -> None:
    posterior, random = _posterior(CUTS, SHARES[1]), np.random.RandomState(2)
    encoding = posterior.encoding
    live = {row.tobytes() for row in encoding.all_live}
    for start in encoding.all_live[::40]:
        draw = FunctionDraw(posterior, random)
        summit = draw.best([start], encoding.possible)
        assert summit.tobytes() in live
        assert draw.values(summit[None])[0] >= draw.values(start[None])[0]
        for edge, operation in product(range(encoding.edges), range(3)):
            other = summit.copy()
            other[edge] = operation
            if other.tobytes() in live:
                assert draw.values(other[None])[0] <= draw.values(summit[None])[0] + 1e-9


def test_only_allowed_operations_are_chosen() -> None:
    posterior = _posterior(TINY, SHARES[0])
    allowed = posterior.encoding.possible.copy()
    allowed[2, 1] = allowed[5, 0] = False
    start = np.where(allowed, 1, 0).argmax(axis=1)
    shares = best_shares(posterior, 20, [start], allowed, 0)
    assert shares[~allowed].sum() == 0
    assert shares.sum(axis=1) == pytest.approx(1)


def test_shares_repeat_with_the_seed() -> None:
    posterior = _posterior(TINY, SHARES[1])
    starts = posterior.codes[:2]

    def shares(seed: int) -> list[float]:
        return best_shares(posterior, 30, starts, posterior.encoding.possible, seed).ravel().tolist()

    assert shares(1) == shares(1) != shares(2)


def test_without_pairs_an_arm_is_in_the_best_as_often_as_it_is_the_best_of_its_edge() -> None:
    """On one edge the best architecture is the best arm: its share is that of independent draws of three normals."""
    posterior, random = _posterior(ONE_EDGE, Shares(0.0, 1.0, 1.0)), np.random.RandomState(4)
    encoding = posterior.encoding
    shares = best_shares(posterior, 3000, posterior.codes[:1], encoding.possible, 0)[0]
    means, deviations = posterior.predict(encoding.all_live)
    winners = (means + deviations * random.standard_normal((200_000, 3))).argmax(axis=1)
    assert shares == pytest.approx(np.bincount(winners, minlength=3) / 200_000, abs=0.055)  # six errors of sqrt(1/4 / 3000)

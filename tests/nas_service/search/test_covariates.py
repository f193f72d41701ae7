"""Covariates of the model of a history: features beside arms whose slopes are learned, with prior means.

Tolerance: as of `test_posterior.py`; 1e-8 where a system of 190 features and one of 20 samples are compared.
"""

from dataclasses import replace

import numpy as np
import pytest

from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.posterior import Covariates, Neighbours, Posterior, Shares
from search_spaces.space import SPACES
from tests.nas_service.search.test_posterior import EVERY_SHARES, EXACT, SHARES, _features, _random_codes, _scores

TINY = SPACES.get("tiny")


def _figures(codes: Codes) -> Floats:
    """Return two covariates that no sum over arms is: a product, and a level."""
    return np.column_stack([(codes[:, 0] + 1.0) * (codes[:, 3] - 0.5), np.full(len(codes), 1.5)])


COVARIATES = Covariates(_figures, np.array([0.7, -0.2]))


@pytest.mark.parametrize("shares", SHARES[:4], ids=str)
def test_covariates_are_features_whose_slopes_have_a_prior_mean(shares: Shares) -> None:
    """As ridge regression of what the prior means leave over features and covariates side by side."""
    codes, known, everything = _random_codes(TINY, 20), _scores(20), Encoding(TINY).all_live
    posterior = Posterior(Encoding(TINY), codes, known, replace(shares, scale=1.0), COVARIATES)
    seen = np.hstack([_features(codes, shares), _figures(codes)])
    asked = np.hstack([_features(everything, shares), _figures(everything)])
    precision = np.eye(seen.shape[1]) + seen.T @ seen / shares.noise
    left = known - _figures(codes) @ COVARIATES.slopes
    mean = np.linalg.solve(precision, seen.T @ left / shares.noise)
    means, deviations = posterior.predict(everything)
    assert means == pytest.approx(asked @ mean + _figures(everything) @ COVARIATES.slopes, abs=1e-8)
    variances = ((asked @ np.linalg.inv(precision)) * asked).sum(axis=1)
    assert deviations**2 == pytest.approx(variances, abs=1e-8)
    assert posterior.slopes == pytest.approx(mean[-2:] + COVARIATES.slopes, abs=1e-8)
    assert posterior.predict(codes)[0] == pytest.approx(posterior.means, abs=EXACT)


@EVERY_SHARES
def test_neighbours_know_covariates_too(shares: Shares) -> None:
    posterior = Posterior(Encoding(TINY), _random_codes(TINY, 20), _scores(20), shares, COVARIATES)
    (row,) = _random_codes(TINY, 1, first_seed=50)
    neighbours = Neighbours(posterior, row)
    edges, operations = np.divmod(np.arange(18), 3)
    changed = np.repeat(row[None], 18, axis=0)
    changed[np.arange(18), edges] = operations
    means, deviations = posterior.predict(changed)
    assert neighbours.means.ravel() == pytest.approx(means, abs=EXACT)
    assert neighbours.deviations(edges, operations) == pytest.approx(deviations, abs=EXACT)


def test_believing_keeps_covariates_and_scale() -> None:
    posterior = Posterior(Encoding(TINY), _random_codes(TINY, 20), _scores(20), replace(SHARES[2], scale=1.0), COVARIATES)
    more = posterior.believing(_random_codes(TINY, 1, first_seed=77)[0])
    everything = Encoding(TINY).all_live
    assert more.predict(everything)[0] == pytest.approx(posterior.predict(everything)[0], abs=EXACT)
    assert more.scale == posterior.scale


def test_without_samples_the_prior_is_what_is_known() -> None:
    none = np.zeros((0, 6), np.int64)
    posterior = Posterior(Encoding(TINY), none, np.zeros(0), replace(SHARES[2], scale=1.0), COVARIATES)
    everything = Encoding(TINY).all_live
    assert posterior.predict(everything)[0] == pytest.approx(_figures(everything) @ COVARIATES.slopes, abs=EXACT)

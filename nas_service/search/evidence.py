"""Shares of the kernel by evidence: how much of a history is operations, arms, pairs, noise and drift. numpy, no torch.

The grid's means, weighted by the evidence of `posterior.py`: the likeliest shares alone change too much from fit to fit.
"""

from itertools import product

import numpy as np

from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.history import History
from nas_service.search.posterior import AT_ONCE, LEAST_VARIANCE, Kernel, Posterior, Shares, rank_scores, trend

GRID_OPERATIONS = (0.0, 0.15, 0.3, 0.5, 0.75)
GRID_ARMS = (0.2, 0.5, 0.8, 1.0)
GRID_NOISE = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
DRIFT = 10.0  # b, variance of each coefficient of the drift, in units of tau2
LEAD = 3  # one of so many samples comes before rewards have had much of a say in what is sampled
LOOKED_AT = 256  # samples of longer histories that shares are fitted to
DRIFT_LOOKED_AT = 128  # samples that tell whether rewards drift


def expected_shares(encoding: Encoding, codes: Codes, scores: Floats, lead: int = 0, known: Floats | None = None) -> Shares:
    """Return the grid's mean shares, weighted by evidence; of s, the mean of ln s.

    Args:
        encoding: Of the space.
        codes: Evaluated architectures, (n, E).
        scores: Their rank scores, (n,); less what covariates are expected to make of them.
        lead: Samples at the beginning that were not chosen for their rewards: they tell whether there is a drift. Later ones
            cannot, for a search that works finds better architectures with time. 0: no drift.
        known: Covariates of the architectures, (n, k); None: there are none.
    """
    drift = DRIFT if lead and drifts(encoding, codes[:lead], rank_scores(scores[:lead].tolist())) else 0.0
    index = _spread(len(codes), LOOKED_AT if len(codes) > AT_ONCE else AT_ONCE)
    return _weighted(encoding, codes, scores, drift, index, known)[1]


def drifts(encoding: Encoding, codes: Codes, scores: Floats) -> bool:
    """Return whether `scores` (n,) of `codes` (n, E) are likelier with a drift than without."""
    index = _spread(len(codes), DRIFT_LOOKED_AT)
    return _weighted(encoding, codes, scores, DRIFT, index)[0] > _weighted(encoding, codes, scores, 0.0, index)[0]


def _spread(count: int, most: int) -> Codes:
    """Return the indices of so many samples, or of `most` of them, evenly spread: a few shares need no more."""
    return np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.int64)


def _weighted(
    encoding: Encoding, codes: Codes, scores: Floats, drift: float, index: Codes, known: Floats | None = None
) -> tuple[float, Shares]:
    """Return the logarithm of the grid's evidence, and the mean shares, by samples of these indices, with a drift or without."""
    evidences, shares = [], []
    codes, scores, features = codes[index], scores[index], trend(index)
    drifted = drift * (features @ features.T)
    if known is not None:
        drifted += known[index] @ known[index].T
    agreement, counts = encoding.agreement(codes, codes), encoding.counts(codes) @ encoding.counts(codes).T
    for operations, arms in product(GRID_OPERATIONS, GRID_ARMS):
        kernel = Kernel(encoding, Shares(operations, arms, 0.0)).of_products(agreement, counts)
        spectrum, vectors = np.linalg.eigh(kernel + drifted)
        powers = (vectors.T @ scores) ** 2
        for noise in GRID_NOISE:
            spread = spectrum + noise
            tau2 = max(float((powers / spread).mean()), LEAST_VARIANCE)  # 0 if all rewards are equal
            evidences.append(-(len(codes) * np.log(tau2) + np.log(spread).sum()) / 2)
            shares.append((operations, arms, np.log(noise)))
    highest = max(evidences)
    weights = np.exp(np.array(evidences) - highest)
    operations, arms, noise = weights @ np.array(shares) / weights.sum()
    return highest + float(np.log(weights.sum())), Shares(float(operations), float(arms), float(np.exp(noise)), drift)


def fitted(encoding: Encoding, history: History) -> Posterior:
    """Return the posterior of a whole history, whatever strategy made it; its first third tells whether rewards drift."""
    codes = encoding.codes(sample.genotype for sample in history)
    scores = rank_scores([sample.reward for sample in history])
    return Posterior(encoding, codes, scores, expected_shares(encoding, codes, scores, len(history) // LEAD))

"""mu of a posterior as a function of arms, at a cost that does not depend on the number of samples. numpy, no torch.

The kernel of `posterior.py` is a polynomial of second degree in the arms h (one-hot, E * operations) of an architecture, so with
H the samples' arms, C their centred counts and a the weights of the posterior,

    mu(x) = b . h + h' Q h + g . c~(x) + f(x) . s
    b = (1 - w) (p / E - (1 - p) / (E (E - 1))) H' a,   Q = (1 - w) (1 - p) / (E (E - 1)) H' diag(a) H,   g = w C' a / N,

f the covariates and s the posterior means of their slopes. An operation without a number (-1) is none of the samples': it adds
nothing. Architectures that differ by one arm at most from the one in their midst, as the neighbours of one do, cost two rows of Q
each: h'Qh changes by 2 d'Qh + d'Qd.
"""

import numpy as np

from nas_service.search.encoding import Codes, Flags, Floats
from nas_service.search.posterior import Posterior


class Expectation:
    """mu of one posterior; the same as `Posterior.expect` to rounding."""

    def __init__(self, posterior: Posterior) -> None:
        """Gather the coefficients; the samples are not needed any more."""
        kernel, hot, weights = posterior.kernel, posterior.one_hot, posterior.weights
        self._encoding, self._covariates, self._slopes = posterior.encoding, posterior.covariates, posterior.slopes
        self._operations: Floats = kernel.operation * (weights @ posterior.counts)
        arms = (kernel.arm - kernel.pair) * (weights @ hot)
        pairs = (hot.T * (kernel.pair * weights)) @ hot
        self._arms: Floats = np.append(arms, 0.0)  # the last one is that of an operation without a number
        self._pairs: Floats = np.pad(pairs, (0, 1))

    def __call__(self, codes: Codes) -> Floats:
        """Return mu of architectures (rows, E)."""
        middle = np.median(codes, axis=0).astype(np.int64) if len(codes) else np.zeros(self._encoding.edges, np.int64)
        moved = codes != middle
        near = len(codes) > 0 and int(moved.sum(axis=1).max()) <= 1
        arms = self._near(codes, middle, moved) if near else self._anywhere(codes)
        counted = self._encoding.counts(codes) @ self._operations
        return np.asarray(arms + counted + self._covariates.of(codes) @ self._slopes)

    def _places(self, codes: Codes) -> Codes:
        """Return which arms architectures hold, (..., E)."""
        width = len(self._encoding.operations)
        return np.where(codes < 0, len(self._arms) - 1, np.arange(self._encoding.edges) * width + codes)

    def _anywhere(self, codes: Codes) -> Floats:
        hot = self._encoding.one_hot(codes)
        return np.asarray(hot @ self._arms[:-1] + ((hot @ self._pairs[:-1, :-1]) * hot).sum(axis=1))

    def _near(self, codes: Codes, middle: Codes, moved: Flags) -> Floats:
        """Return b . h + h' Q h of architectures that differ from `middle` by one arm at most."""
        held = self._places(middle)
        across = self._pairs[:, held].sum(axis=1)  # Q h of the middle
        means = np.full(len(codes), self._arms[held].sum() + across[held].sum())
        rows, edges = np.nonzero(moved)
        new, old = self._places(codes)[rows, edges], held[edges]
        gain = self._arms[new] - self._arms[old] + 2 * (across[new] - across[old])
        means[rows] += gain + self._pairs[new, new] - 2 * self._pairs[new, old] + self._pairs[old, old]
        return means

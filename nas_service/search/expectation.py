"""mu of a posterior as a function of arms, at a cost that does not depend on the number of samples. numpy, no torch.

The kernel of `posterior.py` is a polynomial of second degree in the arms h (one-hot, E * operations) of an architecture, so with
H the samples' arms, C their centred counts and a the weights of the posterior,

    mu(x) = b . h + h' Q h + g . c~(x) + f(x) . s
    b = (1 - w) (p / E - (1 - p) / (E (E - 1))) H' a,   Q = (1 - w) (1 - p) / (E (E - 1)) H' diag(a) H,   g = w C' a / N,

f the covariates and s the posterior means of their slopes. An operation without a number (-1) is none of the samples': it adds
nothing.
"""

import numpy as np

from nas_service.search.encoding import Codes, Floats
from nas_service.search.posterior import Posterior


class Expectation:
    """mu of one posterior; the same as `Posterior.expect` to rounding."""

    def __init__(self, posterior: Posterior) -> None:
        """Gather the coefficients; the samples are not needed any more."""
        kernel, hot, weights = posterior.kernel, posterior.one_hot, posterior.weights
        self._encoding, self._covariates, self._slopes = posterior.encoding, posterior.covariates, posterior.slopes
        self._operations: Floats = kernel.operation * (weights @ posterior.counts)
        self._arms: Floats = (kernel.arm - kernel.pair) * (weights @ hot)
        self._pairs: Floats = (hot.T * (kernel.pair * weights)) @ hot

    def __call__(self, codes: Codes) -> Floats:
        """Return mu of architectures (rows, E)."""
        hot = self._encoding.one_hot(codes)
        means = hot @ self._arms + ((hot @ self._pairs) * hot).sum(axis=1) + self._encoding.counts(codes) @ self._operations
        return np.asarray(means + self._covariates.of(codes) @ self._slopes)

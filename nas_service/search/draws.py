"""Functions drawn from a posterior, and the architecture that is best under each. numpy, no torch.

The kernel of `posterior.py` is that of a quadratic function of an architecture's arms h (one-hot, E * operations) and
centred counts c~, with independent normal coefficients:

    f(x) = g . c~(x) + b . h + sum over pairs of edges of q[arm, arm'],
    var g = tau2 w,     var b = tau2 (1 - w) p / E,     var q = 2 tau2 (1 - w) (1 - p) / (E (E - 1)).

So a function is drawn from the posterior by drawing one from the prior, with drift and noise eps, and moving it to the
samples (Matheron's rule), which changes its coefficients only:

    f*(x) = f(x) + k_x' M^-1 (z - f(X) - eps),     eps ~ N(0, tau2 (b T T' + s I)).

The slopes of covariates (`posterior.Covariates`) are drawn likewise. With all that is drawn times a `width` a in [0, 1] this is

    mu(x) + a (f*(x) - mu(x)),

between the mean (0) and the draw (1). The draw is exact, and one change of an edge costs no more than a column of q, so its best
architecture is looked for by climbing (the best of a few local maxima) instead of among a list of candidates.

References:
    Wilson et al., "Pathwise Conditioning of Gaussian Processes", JMLR 22, 2021, equation 15.
"""

from collections.abc import Iterable

import numpy as np

from nas_service.search.encoding import Codes, Flags, Floats
from nas_service.search.posterior import Posterior

_LEAST_GAIN = 1e-9  # in units of rank scores; less is rounding
_STEPS = 1000


class FunctionDraw:
    """A function drawn from a posterior.

    Attributes:
        operations: g, (operations,).
        arms: b, (E * operations,).
        pairs: q once a pair: 0 between arms of one edge and below the diagonal, (E * operations, E * operations).
        slopes: Of the covariates, (k,).
    """

    def __init__(self, posterior: Posterior, random: np.random.RandomState, width: float = 1.0) -> None:
        """Draw it; takes numbers from `random`. `width`: how far from the mean, in [0, 1]."""
        self._covariates = posterior.covariates
        self._encoding, kernel = posterior.encoding, posterior.kernel
        number, edges = len(self._encoding.operations), self._encoding.edges
        root = width * np.sqrt(posterior.scale)
        self.operations: Floats = random.standard_normal(number) * root * np.sqrt(kernel.operation)
        self.arms: Floats = random.standard_normal(edges * number) * root * np.sqrt(kernel.arm)
        mask = self._encoding.apart
        self.pairs: Floats = random.standard_normal(mask.shape) * mask * (root * np.sqrt(2 * kernel.pair))
        noise = random.standard_normal(len(posterior.codes)) * root * np.sqrt(posterior.shares.noise)
        noise += posterior.drift @ random.standard_normal(posterior.drift.shape[1]) * root
        deviation = random.standard_normal(len(posterior.slopes)) * root
        self.slopes: Floats = posterior.covariates.slopes + deviation
        self._move(posterior, posterior.solve(posterior.scores - self.values(posterior.codes) - noise))
        self._couplings = self.pairs + self.pairs.T

    def _move(self, posterior: Posterior, weights: Floats) -> None:
        """Add sum_i weights_i k(x, x_i), covariates in it."""
        kernel, hot = posterior.kernel, posterior.one_hot
        self.operations += kernel.operation * (weights @ posterior.counts)
        self.arms += kernel.arm * (weights @ hot)
        self.slopes += posterior.known.T @ weights
        self.pairs += (hot.T * (2 * kernel.pair * weights)) @ hot * self._encoding.apart

    def values(self, codes: Codes) -> Floats:
        """Return f of architectures (rows, E)."""
        hot = self._encoding.one_hot(codes)
        pairs = ((hot @ self.pairs) * hot).sum(axis=1)
        known = self._covariates.of(codes) @ self.slopes
        return np.asarray(self._encoding.counts(codes) @ self.operations + hot @ self.arms + pairs + known)

    def best(self, starts: Iterable[Codes], allowed: Flags) -> Codes:
        """Return the best of the local maxima above `starts`.

        Args:
            starts: Live architectures of allowed operations, (E,) each.
            allowed: Operations that may be chosen, (E, operations).
        """
        rows = np.stack([self._summit(start, allowed) for start in starts])
        row: Codes = rows[int(self.values(rows).argmax())]
        return row

    def _summit(self, start: Codes, allowed: Flags) -> Codes:
        row, edges = start.copy(), np.arange(self._encoding.edges)
        first = edges * len(self._encoding.operations)  # index of the first arm of an edge
        pooled = np.tile(self.operations / np.sqrt(self._encoding.spread), len(edges))
        worth = self.arms + pooled + self._couplings[:, first + row].sum(axis=1)  # of each arm, beside those of other edges
        for _ in range(_STEPS):
            gains = worth.reshape(allowed.shape) - worth[first + row][:, None] + self._known(row, allowed.shape)
            gains[~(allowed & self._encoding.keeps_inside(row))] = -np.inf
            if (change := self._encoding.best_change(row, gains, _LEAST_GAIN)) is None:
                break
            edge, operation = change
            worth += self._couplings[:, first[edge] + operation] - self._couplings[:, first[edge] + row[edge]]
            row[edge] = operation
        return row

    def _known(self, row: Codes, shape: tuple[int, ...]) -> Floats:
        """Return what every change of an edge adds by covariates, of this shape (E, operations)."""
        if not len(self.slopes):
            return np.zeros(shape)
        rows = np.repeat(row[None], shape[0] * shape[1], axis=0)
        places, operations = np.divmod(np.arange(len(rows)), shape[1])
        rows[np.arange(len(rows)), places] = operations
        return np.asarray((self._covariates.of(rows) @ self.slopes).reshape(shape) - self._covariates.of(row[None]) @ self.slopes)


def best_shares(posterior: Posterior, draws: int, starts: Iterable[Codes], allowed: Flags, seed: int) -> Floats:
    """Return how probably the best architecture holds an arm, as the share of draws whose best one does, (E, operations)."""
    random, begins = np.random.RandomState(seed), tuple(starts)
    rows = np.stack([FunctionDraw(posterior, random).best(begins, allowed) for _ in range(draws)])
    return np.asarray(posterior.encoding.one_hot(rows).mean(axis=0).reshape(allowed.shape))

"""A Bayesian model of a history: Gaussian over operations, arms and pairs of arms. numpy, no torch.

Rewards become rank scores, so that dead architectures and curved scales of accuracy do not dominate: with average ranks
for ties and n samples

    z_i = Phi^-1((rank(y_i) - 1/2) / n),     z ~ N(0, tau2 (K + b T T' + s I)).

Shared weights improve while they are searched, so that a late sample is better than an early one of the same architecture.
T (n, 3) holds 1, ln(1 + i) and i / 100 of sample i: a drift whose coefficients are nearly free (b = 10). It explains what
time explains and is no part of an architecture's figures, all of which are told as of one and the same time. Whether there
is a drift (b = 10) or none (b = 0) is decided by the evidence of samples that were not chosen for their rewards.

With m the number of edges (E in all) on which two architectures agree, and c~ the centred counts of each operation in an
architecture (c_o minus its mean over random architectures; N = sum of their variances),

    k(x, x') = (1 - w) (p m / E + (1 - p) m (m - 1) / (E (E - 1))) + w c~(x) . c~(x') / N

is Bayesian ridge regression over one-hot arms (share (1 - w) p of the variance), pairs of arms (share (1 - w) (1 - p)) and
operations whatever their edge (share w: an operation that is good on one edge tends to be good on others). With one edge
there are no pairs and p = 1. Shares w, p and noise s are means over a grid, weighted by evidence (the likeliest ones alone
change too much from fit to fit); tau2 is in closed form. With M = K + b T T' + s I:

    tau2 = z' M^-1 z / n,     evidence = -(n ln tau2 + ln |M|) / 2     (+ constant)
    mu(x) = k_x' a,  a = M^-1 z,     sd2(x) = tau2 (k(x, x) - k_x' M^-1 k_x).

The effect of an arm (edge e, operation o) is that of its arm and its operation together: with q its covariance with the
samples, q_i = (1 - w) p / E [x_i holds the arm] + w c~_o(x_i) / N, and v = (1 - w) p / E + w / N,

    effect = q' a,     variance = tau2 (v - q' M^-1 q).

Covariates f(x) (k,), such as the logarithm of the number of parameters, enter with slopes that are learned: f(x)' f(x') joins k,
and f(x)' m, the slopes' prior means m, is taken off z and put back onto mu. Effects are what arms add beside them.

All figures are in units of z. Linear algebra is LAPACK's: the same machine gives the same bits, others the same to
rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from nas_service.search.encoding import Codes, Encoding, Floats, Numbers
from nas_service.search.factor import Factor, triangle

AT_ONCE = 512  # samples that are taken apart anew with every one that comes
_PART = 64  # rows of a covariance matrix that are worked out at once
LEAST_VARIANCE = 1e-12


def trend(index: Codes) -> Floats:
    """Return T of the samples of these indices (n,), (n, 3)."""
    return np.stack([np.ones(len(index)), np.log1p(index), index / 100], axis=1)


def rank_scores(rewards: Sequence[float]) -> Floats:
    """Return Phi^-1((rank - 1/2) / n) of every reward, equal rewards with their average rank."""
    values = np.asarray(rewards, np.float64)
    ordered = np.sort(values)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    shares = (below + up_to) / 2 / len(values)  # the average rank less 1/2 is (below + up_to) / 2
    return np.array([NormalDist().inv_cdf(share) for share in shares])


@dataclass(frozen=True)
class Shares:
    """What the kernel is made of.

    Attributes:
        operations: w, share of operations whatever their edge.
        arms: p, share of arms in the rest; pairs of arms have what is left.
        noise: s, variance of the noise over that of the rewards.
        drift: b, variance of each coefficient of the drift; 0 for none.
        scale: tau2; None: in closed form.
    """

    operations: float
    arms: float
    noise: float
    drift: float = 0.0
    scale: float | None = None


class Kernel:
    """k(x, x') for given shares, and its parts; the noise is not in it."""

    def __init__(self, encoding: Encoding, shares: Shares) -> None:
        """Take the shares apart; a space of one edge has no pairs."""
        self.encoding, edges = encoding, encoding.edges
        self.operation = shares.operations
        self.arm = (1 - shares.operations) * (shares.arms if edges > 1 else 1.0) / edges
        self.pair = (1 - shares.operations) * (1 - shares.arms) / (edges * (edges - 1)) if edges > 1 else 0.0

    def of_agreement(self, agreement: Floats | float) -> Floats:
        """Return the part of arms and pairs, from numbers of edges agreed on."""
        return np.asarray(agreement * (self.arm + self.pair * (agreement - 1)))

    def between(self, rows: Codes, columns: Codes) -> Floats:
        """Return k of every row with every column."""
        return self.of_products(
            self.encoding.agreement(rows, columns), self.encoding.counts(rows) @ self.encoding.counts(columns).T
        )

    def of_products(self, agreement: Numbers, counts: Floats) -> Floats:
        """Return k from numbers of edges agreed on and products of counts, (rows, columns) each."""
        found = np.multiply(counts, self.operation)
        for part in range(0, len(found), _PART):  # what fits a cache is not written to memory in between
            found[part : part + _PART] += self.of_agreement(agreement[part : part + _PART].astype(np.float64))
        return found

    def own(self, counts: Floats) -> Floats:
        """Return k(x, x) of architectures with `counts` (rows, operations)."""
        whole = self.of_agreement(float(self.encoding.edges))
        return np.asarray(whole + self.operation * (counts**2).sum(axis=1))


def anchor(count: int) -> int:
    """Return how many of the first samples a long history is taken apart by: the rest is at most a twentieth of them."""
    if count <= AT_ONCE:
        return count
    found = AT_ONCE
    while (further := found + found // 20) <= count:
        found = further
    return found


@dataclass(frozen=True)
class Covariates:
    """What is known of architectures beside their arms.

    Attributes:
        of: From architectures (rows, E) to figures (rows, k), each in units of its slope's prior standard deviation.
        slopes: Prior means of the slopes, m, (k,).
        names: Of those that people are told of, the first ones.
    """

    of: Callable[[Codes], Floats]
    slopes: Floats
    names: tuple[str, ...] = ()


def _nothing(codes: Codes) -> Floats:
    return np.zeros((len(codes), 0))


NO_COVARIATES = Covariates(_nothing, np.zeros(0))


class Posterior:
    """mu, sd and effects given evaluated architectures, for given shares.

    Attributes:
        codes: The evaluated architectures, (n, E).
        weights: a = M^-1 z, (n,).
        scale: tau2.
        means: mu of the evaluated architectures, (n,).
        drift: T sqrt(b), (n, 3).
    """

    def __init__(
        self,
        encoding: Encoding,
        codes: Codes,
        scores: Floats,
        shares: Shares,
        covariates: Covariates = NO_COVARIATES,
        leading: Floats | None = None,
    ) -> None:
        """Condition on `scores` (n,) of `codes` (n, E).

        Args:
            encoding: Of the space.
            codes: The evaluated architectures.
            scores: Of them.
            shares: What the kernel is made of.
            covariates: What else is known of architectures.
            leading: That of a posterior of the first architectures, of the same shares and covariates; None: none is known.
        """
        self.encoding, self.codes, self.scores, self.shares = encoding, codes, scores, shares
        self.kernel, self.covariates = Kernel(encoding, shares), covariates
        self.one_hot, self.counts, self.known = encoding.one_hot(codes), encoding.counts(codes), covariates.of(codes)
        expected = self.known @ covariates.slopes
        self.drift = np.sqrt(shares.drift) * trend(np.arange(len(codes)))
        first = slice(len(codes) if leading is None else len(leading))
        rest = slice(first.stop, None)
        whole = triangle(self._covariance(first, first)) if leading is None else leading
        self._factor = Factor(whole, self._covariance(first, rest), self._covariance(rest, rest))
        self.weights: Floats = self._factor.solve(scores - expected)
        given = shares.scale
        self.scale: float = (
            max(float((scores - expected) @ self.weights) / len(codes), LEAST_VARIANCE) if given is None else given
        )
        self.means: Floats = scores - self.drift @ (self.drift.T @ self.weights) - shares.noise * self.weights  # K a, as M a = z

    def _covariance(self, rows: slice, columns: slice) -> Floats:
        """Return a block of M."""
        first = self.codes[rows]
        found = self.kernel.between(first, first if rows == columns else self.codes[columns])
        if self.known.shape[1]:
            found += self.known[rows] @ self.known[columns].T
        if self.shares.drift:
            found += self.drift[rows] @ self.drift[columns].T
        if rows == columns:
            found[np.diag_indices(len(found))] += self.shares.noise
        return found

    @property
    def leading(self) -> Floats:
        """What M's leading block was taken apart into, with which posteriors of more architectures cost less."""
        return self._factor.leading

    @property
    def deviations(self) -> Floats:
        """Standard deviations sd of the evaluated architectures, (n,)."""
        return self.deviations_of(np.arange(len(self.codes)))

    def deviations_of(self, index: Codes) -> Floats:
        """Return sd of the evaluated architectures of these indices, (rows,)."""
        kernel = self.kernel.between(self.codes[index], self.codes) + self.known[index] @ self.known.T
        return self.deviation(kernel, self.counts[index], self.known[index])

    @property
    def slopes(self) -> Floats:
        """Posterior means of the covariates' slopes, (k,)."""
        return np.asarray(self.covariates.slopes + self.known.T @ self.weights)

    @property
    def slope_deviations(self) -> Floats:
        """Standard deviations of the covariates' slopes, (k,)."""
        variance = self.scale * (1 - self._factor.quadratics(self.known.T))
        return np.asarray(np.sqrt(np.maximum(variance, LEAST_VARIANCE)))

    def predict(self, codes: Codes) -> tuple[Floats, Floats]:
        """Return mu and sd of architectures (rows, E)."""
        kernel, known = self._beside(codes)
        return self._means(kernel, known), self.deviation(kernel, self.encoding.counts(codes), known)

    def expect(self, codes: Codes) -> Floats:
        """Return mu of architectures (rows, E), which costs less than both figures."""
        return self._means(*self._beside(codes))

    def _beside(self, codes: Codes) -> tuple[Floats, Floats]:
        """Return covariances with the samples (rows, n), and covariates (rows, k)."""
        known = self.covariates.of(codes)
        return self.kernel.between(codes, self.codes) + known @ self.known.T, known

    def _means(self, kernel: Floats, known: Floats) -> Floats:
        return np.asarray(kernel @ self.weights + known @ self.covariates.slopes)

    def deviation(self, kernel: Floats, counts: Floats, known: Floats) -> Floats:
        """Return sd of architectures from their covariances with the samples (rows, n), their counts (rows, operations) and their
        covariates (rows, k).
        """
        own = self.kernel.own(counts) + (known**2).sum(axis=1)
        variance = self.scale * (own - self._factor.quadratics(kernel))
        return np.asarray(np.sqrt(np.maximum(variance, LEAST_VARIANCE)))

    def solve(self, values: Floats) -> Floats:
        """Return M^-1 values, (n,)."""
        return self._factor.solve(values)

    def effects(self) -> tuple[Floats, Floats]:
        """Return effect and standard deviation of every arm, (E, operations) each."""
        shape = (self.encoding.edges, len(self.encoding.operations))
        pooled = self.kernel.operation / np.sqrt(self.encoding.spread)
        arms = self.kernel.arm * self.one_hot.T + pooled * np.tile(self.counts.T, (shape[0], 1))
        prior = self.kernel.arm + self.kernel.operation / self.encoding.spread
        variance = self.scale * (prior - self._factor.quadratics(arms))
        return (arms @ self.weights).reshape(shape), np.sqrt(np.maximum(variance, LEAST_VARIANCE)).reshape(shape)

    def believing(self, row: Codes) -> "Posterior":
        """Return the posterior that would be if `row` came next and came out as expected: means stay, sd shrinks."""
        drifted = np.sqrt(self.shares.drift) * trend(np.array([len(self.codes)]))[0] @ (self.drift.T @ self.weights)
        mean = self.predict(row[None])[0] + drifted
        codes, scores = np.vstack([self.codes, row]), np.append(self.scores, mean)
        shares = replace(self.shares, scale=self.scale)
        return Posterior(self.encoding, codes, scores, shares, self.covariates, self.leading)


def rewards_at(figures: Floats, rewards: Sequence[float]) -> Floats:
    """Return the rewards that stand among `rewards` where `figures` stand among their rank scores, linear between samples."""
    shares = [NormalDist().cdf(figure) for figure in figures.tolist()]
    steps = (np.arange(len(rewards)) + 0.5) / len(rewards)
    return np.asarray(np.interp(shares, steps, np.sort(rewards)))


class Neighbours:
    """The architectures that differ from one on one edge, named by (edge, operation); the one itself is every (e, x_e).

    A change moves the agreement with a sample by +1, 0 or -1, so that all E * operations means cost one product with
    the samples' arms.

    Attributes:
        means: mu, (E, operations).
    """

    def __init__(self, posterior: Posterior, row: Codes) -> None:
        """Work out all means."""
        model, edges = posterior, np.arange(posterior.encoding.edges)
        self._posterior, self._row = model, row
        self._equal = (model.codes == row).T.astype(np.float64)
        agreement = self._equal.sum(axis=0)
        base = model.kernel.of_agreement(agreement)
        self._gain = model.kernel.of_agreement(agreement + 1) - base
        self._loss = model.kernel.of_agreement(agreement - 1) - base
        share, spread = model.kernel.operation, np.sqrt(model.encoding.spread)
        self._own_counts = model.encoding.counts(row[None])[0]
        self._per_operation = share / spread * model.counts  # what one more of an operation adds to k, (n, operations)
        self._base = base + share * (model.counts @ self._own_counts)
        weights = model.weights
        pooled = weights @ self._per_operation
        gains = (model.one_hot.T @ (weights * self._gain)).reshape(len(edges), -1)
        losses = self._equal @ (weights * self._loss)
        self.means: Floats = self._base @ weights + gains + pooled + (losses - pooled[row])[:, None]
        self.means[edges, row] = self._base @ weights
        if model.known.shape[1]:
            rows = np.repeat(row[None], self.means.size, axis=0)
            places, operations = np.divmod(np.arange(self.means.size), self.means.shape[1])
            rows[np.arange(len(rows)), places] = operations
            self.means += (model.covariates.of(rows) @ model.slopes).reshape(self.means.shape)

    def deviations(self, edges: Codes, operations: Codes) -> Floats:
        """Return sd of some neighbours, (number of them,)."""
        model, old = self._posterior, self._row[edges]
        moved = operations != old
        width = len(model.encoding.operations)
        change = self._gain * model.one_hot[:, edges * width + operations].T + self._loss * self._equal[edges]
        change += (self._per_operation[:, operations] - self._per_operation[:, old]).T
        counts = np.repeat(self._own_counts[None], len(edges), axis=0)
        steps = np.arange(len(edges))
        counts[steps, operations] += moved / np.sqrt(model.encoding.spread)
        counts[steps, old] -= moved / np.sqrt(model.encoding.spread)
        rows = np.repeat(self._row[None], len(edges), axis=0)
        rows[steps, edges] = operations
        known = model.covariates.of(rows)
        return model.deviation(self._base + change * moved[:, None] + known @ model.known.T, counts, known)

"""Expected improvement, and where in a space it is largest. numpy, no torch.

With u = (mu - b) / sd, phi and Phi density and distribution function of N(0, 1), the expected improvement over b is

    EI = E max(z - b, 0) = sd (u Phi(u) + phi(u)).

Its logarithm orders alike and still tells hopeless candidates apart, where EI itself is 0 in floating point.

In a space of a few thousand architectures all are candidates. In a larger one a climb starts from a given architecture
and goes to the best neighbour on one edge until none is better: first by mu, which costs next to nothing
(`posterior.Neighbours`), then by EI among the neighbours with the largest mu. An additive model of 60 edges and 9
operations has its optimum many standard deviations above anything that random candidates reach.

References:
    Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box Functions", Journal of Global
    Optimization 13, 1998, equation 15.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nas_service.search.encoding import TRIED, Codes, Flags, Floats
from nas_service.search.posterior import Neighbours, Posterior

_FAR = -25.0  # below, u Phi(u) + phi(u) loses too many digits and its series takes over
_WIDTH = 32  # neighbours whose EI is worked out in a step
_STEPS = 200


def log_expected_improvement(means: Floats, deviations: Floats, best: float | Floats) -> Floats:
    """Return ln EI over `best`; all three of shapes that go together.

    For u < -25 by u Phi(u) + phi(u) = phi(u) / u^2 (1 - 3 / u^2 + 15 / u^4 - ...).
    """
    from scipy.special import erfc  # noqa: PLC0415 - what only makes a strategy starts faster

    units = (means - best) / deviations
    far = units < _FAR
    square = np.where(far, units * units, 1.0)
    log_density = -(units * units) / 2 - math.log(2 * math.pi) / 2
    near = np.where(far, 1.0, units * erfc(-units / math.sqrt(2)) / 2 + np.exp(log_density))
    tail = log_density - np.log(square) + np.log1p(-3 / square + 15 / square**2)
    return np.asarray(np.where(far, tail, np.log(near)) + np.log(deviations))


class Gain(ABC):
    """What an architecture is expected to add to what was found.

    Attributes:
        by_mean: Whether the architecture with the largest mu gains most where all sd are alike. Else (`fronts.py`) a climb goes
            by the gain alone, among all neighbours.
    """

    by_mean: bool

    @abstractmethod
    def of(self, codes: Codes, means: Floats, deviations: Floats) -> Floats:
        """Return ln of the expected gain of architectures (rows, E) with these mu and sd, (rows,)."""


@dataclass(frozen=True)
class OverBest(Gain):
    """Improvement over the best, in units of z."""

    best: float
    by_mean = True

    def of(self, codes: Codes, means: Floats, deviations: Floats) -> Floats:
        """Return ln EI."""
        del codes
        return log_expected_improvement(means, deviations, self.best)


@dataclass(frozen=True)
class Proposal:
    """A candidate and the logarithm of its expected gain."""

    row: Codes
    value: float


def best_of(posterior: Posterior, codes: Codes, gain: Gain, taken: set[bytes]) -> Proposal | None:
    """Return the candidate with the largest expected gain among rows of `codes` that are not taken."""
    free = [index for index, row in enumerate(codes) if row.tobytes() not in taken]
    if not free:
        return None
    means, deviations = posterior.predict(codes[free])
    values = gain.of(codes[free], means, deviations)
    top = int(values.argmax())
    return Proposal(codes[free[top]], float(values[top]))


def climb(posterior: Posterior, start: Codes, gain: Gain, taken: set[bytes], allowed: Flags) -> Proposal | None:
    """Climb from `start` and return the best architecture met that is not taken.

    Args:
        posterior: The model.
        start: A live architecture, (E,).
        gain: What is to be large.
        taken: Bytes of rows that may be walked over but not proposed.
        allowed: Operations that may be chosen, (E, operations).
    """
    row = _summit(posterior, start, allowed) if gain.by_mean else start
    found: Proposal | None = None
    here = -math.inf
    for _ in range(_STEPS):
        step = None
        for proposal in _ascending(posterior, row, gain, allowed):
            if step is None:
                step = proposal
            if proposal.row.tobytes() not in taken:
                if found is None or proposal.value > found.value:
                    found = proposal
                break
        if step is None or step.value <= here or (step.row == row).all():
            break
        row, here = step.row, step.value
    return found


def _summit(posterior: Posterior, start: Codes, allowed: Flags) -> Codes:
    """Return the local maximum of mu above `start`."""
    row = start.copy()
    for _ in range(_STEPS):
        means = Neighbours(posterior, row).means
        here = means[0, row[0]]
        means[~(allowed & posterior.encoding.keeps_inside(row))] = -np.inf
        if (change := posterior.encoding.best_change(row, means, here)) is None:
            break
        edge, operation = change
        row[edge] = operation
    return row


def _ascending(posterior: Posterior, row: Codes, gain: Gain, allowed: Flags) -> Iterator[Proposal]:
    """Yield `row` and its neighbours, those with the largest mu where that decides, by expected gain, the best first.

    Neighbours that break a limit on whole architectures are left out, and after a few of them all that are left.
    """
    neighbours = Neighbours(posterior, row)
    means = neighbours.means.copy()
    means[~(allowed & posterior.encoding.keeps_inside(row))] = -np.inf
    means[np.arange(len(row)), row] = -np.inf
    means[0, row[0]] = neighbours.means[0, row[0]]
    order = np.argsort(-means, axis=None, kind="stable")[: _WIDTH if gain.by_mean else means.size]
    order = np.append(order, row[0]) if row[0] not in order else order
    edges, operations = np.divmod(order[np.isfinite(means.ravel()[order])], means.shape[1])
    changed = np.repeat(row[None], len(edges), axis=0)
    changed[np.arange(len(edges)), edges] = operations
    values = gain.of(changed, means[edges, operations], neighbours.deviations(edges, operations))
    beyond = 0
    for index in np.argsort(-values, kind="stable"):
        is_here = bool((changed[index] == row).all())
        if is_here or (beyond < TRIED and posterior.encoding.fits(changed[index])):
            yield Proposal(changed[index], float(values[index]))
        else:
            beyond += 1

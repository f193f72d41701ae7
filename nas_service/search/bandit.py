"""Formulas of the anti-bandit: confidence bounds, sampling probability, update, abandonment. Plain Python.

Equation numbers are those of Zhang et al., "Binary Neural Networks", CRC Press, section 4.2; the algorithm is that of
Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, arXiv 2008.00698.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.genotype import Choice


@dataclass(frozen=True)
class Arm:
    """The statistics of one arm.

    Attributes:
        key: Cell type, edge and operation.
        pulls: n, how often the arm was sampled.
        mean: m, the running performance; None before the first pull.
        lower: s_L, the lower confidence bound; None before the first pull.
        upper: s_U, the upper confidence bound; None before the first pull.
        abandoned_round: Round (from 1) after which the arm was dropped, 0 if no live genotype of the space holds it; None
            while it lives.
        best_probability: How probably the best architecture holds the arm, when it was last asked about; None where a
            strategy does not abandon by probability, and before its first decision.
    """

    key: Choice
    pulls: int = 0
    mean: float | None = None
    lower: float | None = None
    upper: float | None = None
    abandoned_round: int | None = None
    best_probability: float | None = None

    @property
    def is_possible(self) -> bool:
        """Whether some architecture that may be searched holds it."""
        return self.abandoned_round != 0


def width(total: int, pulls: int, coefficient: float = 1.0) -> float:
    """Return the confidence width, coefficient * sqrt(2 ln N / n) (equations 4.3 and 4.8)."""
    return coefficient * math.sqrt(2 * math.log(total) / pulls)


def updated_mean(mean: float | None, reward: float, momentum: float) -> float:
    """Return m <- (1 - lambda) m + lambda a (equation 4.11); the first reward is m itself."""
    return reward if mean is None else (1 - momentum) * mean + momentum * reward


def sampling_probabilities(lower_bounds: Sequence[float]) -> list[float]:
    """Return p_k = exp(-s_L(k)) / sum_m exp(-s_L(m)) (equation 4.10): the less sure an arm, the likelier.

    The smallest bound is subtracted first; the probabilities do not change and nothing overflows.
    """
    smallest = min(lower_bounds)
    weights = [math.exp(smallest - bound) for bound in lower_bounds]
    total = sum(weights)
    return [weight / total for weight in weights]


def pick(probabilities: Sequence[float], uniform: float) -> int:
    """Return the index that a number in [0, 1) falls on."""
    cumulative = 0.0
    for index, probability in enumerate(probabilities):
        cumulative += probability
        if uniform < cumulative:
            return index
    return len(probabilities) - 1


def worst(upper_bounds: Sequence[float]) -> int:
    """Return argmin_k s_U(k) (equation 4.13); the first of equals."""
    return min(range(len(upper_bounds)), key=upper_bounds.__getitem__)

"""Pareto sets under a posterior: what is expected to add to one, and what is returned. numpy, no torch.

What is to be improved on is the hypervolume (`aims.py`) of what was evaluated, at its posterior means and at its costs, which are
known. Its costs cut the costs that there are into boxes. Over a box there is a highest mean b among what costs no more; an
architecture that costs no more than v of the box gains v max(z - b, 0) there. So the expected gain is exactly

    sum over boxes  v EI(b)          (boxes with the same b are taken together)

References:
    Emmerich, Deutz and Klinkenberg, "Hypervolume-based expected improvement: Monotonicity properties and exact computation", CEC
    2011; here one objective is uncertain, and the others are known.
"""

from itertools import product

import numpy as np

from nas_service.search.acquisition import Gain, OverBest, log_expected_improvement
from nas_service.search.aims import END, Aims, spread_out, undominated
from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.history import History
from nas_service.search.picks import CAUTION, by_posterior
from nas_service.search.posterior import Posterior, rewards_at
from nas_service.search.strategy import Ranked
from search_spaces.genotype import Genotype

LOWEST = -2.0  # z of the hypervolume's reference: two standard deviations below what is usual
STARTS = 2  # members of the set that climbs start from


class Costs:
    """The traded costs of architectures as rows of codes."""

    def __init__(self, encoding: Encoding, aims: Aims) -> None:
        """Lay out the arms' costs as a table."""
        self._table = encoding.figures(aims.costs, len(aims.base))
        self._least, most = np.array(aims.ends).T
        self._span = most - self._least
        self._base = np.array(aims.base)

    def of(self, codes: Codes) -> Floats:
        """Return the costs of architectures (rows, E), from 0 to 1, (rows, k)."""
        sums = self._table[:, np.arange(codes.shape[1]), codes].sum(axis=2)
        return np.asarray((self._base[:, None] + sums - self._least[:, None]) / self._span[:, None]).T


class OverFront(Gain):
    """Growth of the hypervolume of a Pareto set, in units of z times shares of the costs' spans."""

    by_mean = False

    def __init__(self, costs: Costs, codes: Codes, means: Floats) -> None:
        """Cut the costs into boxes by what was evaluated: architectures (n, E) and their mu (n,)."""
        self._costs = costs
        known = costs.of(codes)
        self._edges = [np.unique(np.append(column, (0.0, END))) for column in known.T]
        levels = [
            means[(known <= np.array(corner)).all(axis=1)].max(initial=LOWEST)
            for corner in product(*(edges[:-1] for edges in self._edges))
        ]
        self._levels, self._level_of = np.unique(levels, return_inverse=True)

    def of(self, codes: Codes, means: Floats, deviations: Floats) -> Floats:
        """Return ln of the expected growth."""
        volumes = np.ones((len(codes), 1))
        for edges, costs in zip(self._edges, self._costs.of(codes).T, strict=True):
            lengths = np.maximum(edges[1:] - np.maximum(edges[:-1], costs[:, None]), 0)
            volumes = (volumes[:, :, None] * lengths[:, None, :]).reshape(len(codes), -1)
        shared = np.zeros((len(self._levels), len(codes)))
        np.add.at(shared, self._level_of, volumes.T)
        with np.errstate(divide="ignore"):  # no box of a level is above what costs that much
            logarithms = np.log(shared)
        logarithms += log_expected_improvement(means, deviations, self._levels[:, None])
        return np.asarray(np.logaddexp.reduce(logarithms, axis=0))


def gain_over(encoding: Encoding, aims: Aims | None, posterior: Posterior, nothing: float) -> Gain:
    """Return the gain over what a posterior knows of: over its best mean, or over its Pareto set.

    Args:
        encoding: Of the space.
        aims: Costs that are traded; None: there are none.
        posterior: Of what was evaluated.
        nothing: The best mean where nothing was evaluated.
    """
    if aims is None:
        return OverBest(float(posterior.means.max(initial=nothing)))
    costs = Costs(encoding, aims)
    front = _members(costs.of(posterior.codes), posterior.means)
    return OverFront(costs, posterior.codes[front], posterior.means[front])


def starts(encoding: Encoding, aims: Aims, posterior: Posterior, draws: list[float]) -> Codes:
    """Return as many members of the Pareto set at posterior means as there are draws from [0, 1), where there are any."""
    front = _members(Costs(encoding, aims).of(posterior.codes), posterior.means)
    return posterior.codes[[front[int(draw * len(front))] for draw in draws if front]]


def _members(costs: Floats, means: Floats) -> list[int]:
    return undominated([(mean, *(-cost for cost in row)) for mean, row in zip(means.tolist(), costs.tolist(), strict=True)])


def ranked(posterior: Posterior, history: History, count: int, aims: Aims | None) -> tuple[Ranked, ...]:
    """Return the evaluated live genotypes as `picks.by_posterior` does; with `aims` the Pareto set of mu - sd / 2 and the costs.

    Of that set the first adds most to the hypervolume, the next most to that of the first, and so on (`aims.spread_out`).
    """
    if aims is None:
        return by_posterior(posterior, history, count)
    figures = dict[Genotype, float]()
    space, cautious = posterior.encoding.space, posterior.means - CAUTION * posterior.deviations
    for sample, figure in zip(history, cautious.tolist(), strict=True):
        if space.dead_node(sample.genotype.choices) is None:
            figures[sample.genotype] = max(figure, figures.get(sample.genotype, figure))
    genotypes = list(figures)
    points = aims.points(list(figures.values()), [genotype.choices for genotype in genotypes], LOWEST)
    chosen = spread_out(points, count)
    level = float((posterior.drift @ (posterior.drift.T @ posterior.weights)).mean()) if len(history) else 0.0
    told = np.array([figures[genotypes[place]] for place in chosen]) + level
    scores = rewards_at(told, [sample.reward for sample in history])
    return tuple(Ranked(genotypes[place], float(score)) for place, score in zip(chosen, scores, strict=True))

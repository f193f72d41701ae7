"""Pareto sets under a posterior: what is expected to add to one, and what is returned. numpy, no torch.

What is to be improved on is the hypervolume (`aims.py`) of what was evaluated, at its posterior means and at its costs, which are
known. Its costs cut the costs that there are into boxes. Over a box there is a highest mean b among what costs no more; an
architecture that costs no more than v of the box gains v max(z - b, 0) there. So the expected gain is exactly

    sum over boxes  v EI(b)          (boxes with the same b are taken together)

Where accuracy under attack is an aim, it has a posterior of its own, independent of that of rewards, and cuts boxes like a
cost: into strips between what was reached. Of the strip from c to d an architecture reaches E max(z' - c, 0) - E max(z' - d, 0),
which is EI(c) - EI(d): the box's length there. So that is exact as well.

References:
    Emmerich, Deutz and Klinkenberg, "Hypervolume-based expected improvement: Monotonicity properties and exact computation", CEC
    2011; here one or two objectives are uncertain and independent, and the others are known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from nas_service.search.acquisition import Gain, OverBest, log_expected_improvement
from nas_service.search.aims import END, Aims, spread_out, undominated
from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.history import History, under_attack
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
        self._least, most = np.array(aims.ends).reshape(-1, 2).T
        self._span = most - self._least
        self._base = np.array(aims.base)

    def of(self, codes: Codes) -> Floats:
        """Return the costs of architectures (rows, E), from 0 to 1, (rows, k)."""
        sums = self._table[:, np.arange(codes.shape[1]), codes].sum(axis=2)
        return np.asarray((self._base[:, None] + sums - self._least[:, None]) / self._span[:, None]).T


@dataclass(frozen=True)
class Reached:
    """Accuracies under attack that a Pareto set reached.

    Attributes:
        posterior: Of accuracies under attack.
        means: Its mu of the members, (n,).
    """

    posterior: Posterior
    means: Floats

    @property
    def missing(self) -> Floats:
        """How far the members stay below the best there could be, from -mu on; no more than the reference, (n,)."""
        return np.minimum(-self.means, -LOWEST)

    def lengths(self, edges: Floats, codes: Codes) -> Floats:
        """Return what architectures (rows, E) are expected to reach of the strips between `edges` of what is missing."""
        means, deviations = self.posterior.predict(codes)
        reached = np.exp(log_expected_improvement(means, deviations, -edges[1:, None])).T
        return np.maximum(np.diff(reached, axis=1, prepend=0.0), 0.0)


class OverFront(Gain):
    """Growth of the hypervolume of a Pareto set, in units of z times shares of the costs' spans."""

    by_mean = False

    def __init__(self, costs: Costs, codes: Codes, means: Floats, reached: Reached | None = None) -> None:
        """Cut what is traded into boxes by what was evaluated: architectures (n, E), their mu (n,), what they stand."""
        self._costs, self._reached = costs, reached
        known = costs.of(codes)
        self._edges = [np.unique(np.append(column, (0.0, END))) for column in known.T]
        if reached is not None:
            known = np.column_stack([known, reached.missing])
            self._edges.append(np.unique(np.append(reached.missing, (-np.inf, -LOWEST))))
        levels = [
            means[(known <= np.array(corner)).all(axis=1)].max(initial=LOWEST)
            for corner in product(*(edges[:-1] for edges in self._edges))
        ]
        self._levels, self._level_of = np.unique(levels, return_inverse=True)

    def of(self, codes: Codes, means: Floats, deviations: Floats) -> Floats:
        """Return ln of the expected growth."""
        volumes = np.ones((len(codes), 1))
        for lengths in self._lengths(codes):
            volumes = (volumes[:, :, None] * lengths[:, None, :]).reshape(len(codes), -1)
        shared = np.zeros((len(self._levels), len(codes)))
        np.add.at(shared, self._level_of, volumes.T)
        with np.errstate(divide="ignore"):  # no box of a level is above what costs that much
            logarithms = np.log(shared)
        logarithms += log_expected_improvement(means, deviations, self._levels[:, None])
        return np.asarray(np.logaddexp.reduce(logarithms, axis=0))

    def _lengths(self, codes: Codes) -> Iterator[Floats]:
        """Yield, of each thing that is traded, how far architectures reach into every interval, (rows, intervals)."""
        costs = self._costs.of(codes).T
        for edges, column in zip(self._edges[: len(costs)], costs, strict=True):
            yield np.maximum(edges[1:] - np.maximum(edges[:-1], column[:, None]), 0)
        if self._reached is not None:
            yield self._reached.lengths(self._edges[-1], codes)


def gain_over(encoding: Encoding, aims: Aims | None, models: Sequence[Posterior], nothing: float) -> Gain:
    """Return the gain over what posteriors know of: over the best mean, or over their Pareto set.

    Args:
        encoding: Of the space.
        aims: What is traded; None: nothing.
        models: Posteriors of the rewards of what was evaluated, and of its accuracies under attack where these are an aim.
        nothing: The best mean where nothing was evaluated.
    """
    posterior = models[0]
    if aims is None:
        return OverBest(float(posterior.means.max(initial=nothing)))
    costs, front = Costs(encoding, aims), _members(encoding, aims, models)
    reached = [Reached(model, model.means[front]) for model in models[1:]]
    return OverFront(costs, posterior.codes[front], posterior.means[front], *reached)


def starts(encoding: Encoding, aims: Aims, models: Sequence[Posterior], draws: list[float]) -> Codes:
    """Return as many members of the Pareto set at posterior means as there are draws from [0, 1), where there are any."""
    front = _members(encoding, aims, models)
    return models[0].codes[[front[int(draw * len(front))] for draw in draws if front]]


def _members(encoding: Encoding, aims: Aims, models: Sequence[Posterior]) -> list[int]:
    costs = Costs(encoding, aims).of(models[0].codes)
    return undominated([tuple(row) for row in np.column_stack([*(model.means for model in models), -costs]).tolist()])


def ranked(models: Sequence[Posterior], history: History, count: int, aims: Aims | None) -> tuple[Ranked, ...]:
    """Return the evaluated live genotypes as `picks.by_posterior` does; with `aims` the Pareto set of mu - sd / 2 and the costs.

    Of that set the first adds most to the hypervolume, the next most to that of the first, and so on (`aims.spread_out`).
    `models` are as of `gain_over`.
    """
    if aims is None:
        return by_posterior(models[0], history, count)
    told = [_cautious(model, history) for model in models]
    genotypes = list(told[0])
    points = aims.points([list(each.values()) for each in told], [genotype.choices for genotype in genotypes], LOWEST)
    chosen = [genotypes[place] for place in spread_out(points, count)]
    seen = [history, under_attack(history)] if aims.attacked else [history]
    scores = [_scores(*each, chosen) for each in zip(models, told, seen, strict=True)]
    return tuple(Ranked(genotype, *figures) for genotype, *figures in zip(chosen, *scores, strict=True))


def _cautious(posterior: Posterior, history: History) -> dict[Genotype, float]:
    """Return mu - sd / 2 of every live genotype."""
    figures = dict[Genotype, float]()
    space, cautious = posterior.encoding.space, posterior.means - CAUTION * posterior.deviations
    for sample, figure in zip(history, cautious.tolist(), strict=True):
        if space.dead_node(sample.genotype.choices) is None:
            figures[sample.genotype] = max(figure, figures.get(sample.genotype, figure))
    return figures


def _scores(posterior: Posterior, figures: dict[Genotype, float], history: History, chosen: list[Genotype]) -> list[float]:
    """Return rewards that stand where the figures of the chosen stand."""
    level = float((posterior.drift @ (posterior.drift.T @ posterior.weights)).mean()) if len(history) else 0.0
    told = np.array([figures[genotype] for genotype in chosen]) + level
    scores: list[float] = rewards_at(told, [sample.reward for sample in history]).tolist()
    return scores

"""What is picked of a history under its posterior: what is likely good, not what was lucky. numpy, no torch."""

import numpy as np

from nas_service.search.encoding import Encoding, Floats
from nas_service.search.evidence import fitted
from nas_service.search.history import History
from nas_service.search.posterior import AT_ONCE, Posterior, rewards_at
from nas_service.search.strategy import Ranked
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace

CAUTION = 0.5  # standard deviations that a pick is marked down by


def by_posterior(posterior: Posterior, history: History, count: int) -> tuple[Ranked, ...]:
    """Return the evaluated live genotypes by mu - sd / 2, the earlier of equals first, without repeats.

    The best observed reward is that of the luckiest; the model takes the luck out. A score is the reward that stands in
    the history where mu - sd / 2 stands among the rank scores (linear between samples); with a drift, mu as of the mean time.
    """
    rewards = [sample.reward for sample in history]
    level = float((posterior.drift @ (posterior.drift.T @ posterior.weights)).mean())
    order, ranked = np.argsort(-posterior.means, kind="stable"), {}
    figures = np.full(len(history), -np.inf)
    for start in range(0, len(order), AT_ONCE):  # mu is an upper bound: few of many need their sd
        rows = order[start : start + AT_ONCE]
        figures[rows] = posterior.means[rows] - CAUTION * posterior.deviations_of(rows)
        ranked = _first_of_each(posterior, history, figures)
        beyond = order[start + AT_ONCE :]
        certain = [index for index in ranked.values() if not len(beyond) or figures[index] >= posterior.means[beyond[0]]]
        if len(certain) >= count:
            break
    taken = list(ranked.items())[:count]
    scores = rewards_at(figures[[index for _, index in taken]] + level, rewards)
    return tuple(Ranked(genotype, float(score)) for (genotype, _), score in zip(taken, scores, strict=True))


def _first_of_each(posterior: Posterior, history: History, figures: Floats) -> dict[Genotype, int]:
    """Return the live genotypes with a figure and the index of the best sample of each, the best first, the earlier of equals."""
    found: dict[Genotype, int] = {}
    for index in np.argsort(-figures, kind="stable")[: int(np.isfinite(figures).sum())].tolist():
        genotype = history[index].genotype
        if genotype not in found and posterior.encoding.space.dead_node(genotype.choices) is None:
            found[genotype] = index
    return found


def posterior_pick(space: SearchSpace, history: History) -> Ranked:
    """Return the first of `by_posterior`, whatever strategy made the history.

    Raises:
        InvalidFieldError: If the history holds no live genotype.
    """
    ranked = by_posterior(fitted(Encoding(space), history), history, 1) if history else ()
    if not ranked:
        raise InvalidFieldError("history", len(history), "one live sample or more")
    return ranked[0]

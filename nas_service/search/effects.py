"""Arms told by their effects under a posterior, and covariates by their slopes: what strategies with such a model share."""

from collections import Counter
from collections.abc import Callable

from nas_service.search.bandit import Arm
from nas_service.search.beliefs import Belief
from nas_service.search.encoding import Encoding
from nas_service.search.history import History
from nas_service.search.liveness import places
from nas_service.search.posterior import Posterior

BOUND = 2.0  # standard deviations


def effect_arms(encoding: Encoding, history: History, model: Callable[[History], Posterior]) -> tuple[Arm, ...]:
    """Return every arm of a space in its order, with its effect in units of rank scores and bounds of two standard deviations.

    An arm that no sample held has no figures; one that no live genotype can hold is abandoned in round 0.

    Args:
        encoding: Of the space.
        history: Whose samples count as pulls.
        model: Gives the posterior; not asked before there are samples.
    """
    possible = {key for keys in encoding.possible_arms for key in keys}
    pulls = Counter(key for sample in history for key in sample.genotype.choices)
    effects, deviations = model(history).effects() if history else (None, None)
    arms = []
    for place, keys in enumerate(places(encoding.space)):
        for key in keys:
            abandoned = None if key in possible else 0
            if effects is None or deviations is None or not pulls[key]:
                arms.append(Arm(key, abandoned_round=abandoned))
                continue
            number = encoding.operations.index(key.operation)
            effect, width = float(effects[place, number]), BOUND * float(deviations[place, number])
            arms.append(Arm(key, pulls[key], effect, effect - width, effect + width, abandoned))
    return tuple(arms)


def beliefs_of(model: str, posterior: Posterior) -> tuple[Belief, ...]:
    """Return the slopes of the covariates that have a name."""
    expected, slopes, deviations = posterior.covariates.slopes, posterior.slopes, posterior.slope_deviations
    return tuple(
        Belief(model, name, float(expected[place]), float(slopes[place]), float(deviations[place]))
        for place, name in enumerate(posterior.covariates.names)
    )

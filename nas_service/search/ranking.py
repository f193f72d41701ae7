"""What strategies share in telling results: samples by reward, plain means of arms."""

from collections.abc import Iterable
from dataclasses import dataclass

from nas_service.search.aims import Aims, spread_out
from nas_service.search.bandit import Arm, width
from nas_service.search.history import History, Sample, under_attack
from nas_service.search.limits import Arms
from nas_service.search.replay import Replay
from nas_service.search.strategy import Ranked
from search_spaces.genotype import Choice
from search_spaces.space import SearchSpace


def by_reward(space: SearchSpace, history: History, count: int, first: Iterable[Ranked] = ()) -> tuple[Ranked, ...]:
    """Return `first` and then the live samples by reward, the earlier of equals first, without repeats, `count` in all."""
    ranked = {entry.genotype: entry.score for entry in first}
    for sample in sorted(history, key=lambda sample: -sample.reward):
        if sample.genotype not in ranked and space.dead_node(sample.genotype.choices) is None:
            ranked[sample.genotype] = sample.reward
    return tuple(Ranked(genotype, score) for genotype, score in list(ranked.items())[:count])


def front_of(space: SearchSpace, history: History, count: int, aims: Aims) -> tuple[Ranked, ...]:
    """Return the Pareto set of what was told: the live genotypes, at their best, that add most to the hypervolume first.

    The hypervolume's reference is a reward, and an accuracy under attack, of 0.
    """
    best = by_reward(space, history, len(history))
    if aims.attacked:
        stood = {entry.genotype: entry.score for entry in by_reward(space, under_attack(history), len(history))}
        best = tuple(Ranked(entry.genotype, entry.score, stood[entry.genotype]) for entry in best)
    figures = [[entry.score for entry in best], *([[entry.attacked or 0.0 for entry in best]] if aims.attacked else [])]
    points = aims.points(figures, [entry.genotype.choices for entry in best], 0.0)
    return tuple(best[place] for place in spread_out(points, count))


class MeanArms:
    """Plain means with the bounds of equations 4.9 and 4.12; an impossible arm is abandoned in round 0."""

    def __init__(self, space: SearchSpace, possible_arms: Arms) -> None:
        """Look up the arms; `possible_arms` may be held, at every place."""
        possible = {key for keys in possible_arms for key in keys}
        self._arms = tuple(Arm(key, abandoned_round=None if key in possible else 0) for key in space.arms())
        self._replay: Replay[dict[Choice, _Sum]] = Replay(dict, _add)

    def after(self, history: History) -> tuple[Arm, ...]:
        """Return every arm in the space's order."""
        sums = self._replay.after(history)
        return tuple(self._told(arm, sums[arm.key], len(history)) if arm.key in sums else arm for arm in self._arms)

    def _told(self, arm: Arm, seen: "_Sum", samples: int) -> Arm:
        mean, delta = seen.total / seen.count, width(samples, seen.count)
        return Arm(arm.key, seen.count, mean, mean - delta, mean + delta, arm.abandoned_round)


@dataclass
class _Sum:
    """The rewards of an arm, added up in their order."""

    total: float = 0.0
    count: int = 0


def _add(sums: dict[Choice, _Sum], sample: Sample) -> None:
    for key in sample.genotype.choices:
        seen = sums.setdefault(key, _Sum())
        seen.total += sample.reward
        seen.count += 1

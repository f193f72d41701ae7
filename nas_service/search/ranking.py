"""What strategies share in telling results: samples by reward, plain means of arms."""

from collections.abc import Iterable

from nas_service.search.bandit import Arm, width
from nas_service.search.history import History
from nas_service.search.liveness import possible_arms
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


def mean_arms(space: SearchSpace, history: History) -> tuple[Arm, ...]:
    """Return plain means with the bounds of equations 4.9 and 4.12; an impossible arm is abandoned in round 0."""
    rewards: dict[Choice, list[float]] = {}
    for sample in history:
        for key in sample.genotype.choices:
            rewards.setdefault(key, []).append(sample.reward)
    possible = {key for keys in possible_arms(space) for key in keys}
    arms = []
    for key in space.arms():
        seen = rewards.get(key, [])
        abandoned = None if key in possible else 0
        if not seen:
            arms.append(Arm(key, abandoned_round=abandoned))
            continue
        mean, delta = sum(seen) / len(seen), width(len(history), len(seen))
        arms.append(Arm(key, len(seen), mean, mean - delta, mean + delta, abandoned))
    return tuple(arms)

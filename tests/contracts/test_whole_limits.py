"""Every search strategy by discovery, under limits on figures of whole architectures, which are no sums over arms."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from nas_service.arm_costs import arm_costs, format_of
from nas_service.constraints import CountedImage
from nas_service.search.history import Sample
from nas_service.search.limits import Limits, Whole
from nas_service.search.liveness import draw_uniform, live_genotypes, possible_arms, region_of, settled
from nas_service.search.loop import Evaluation, run_search
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.search.witness import closest
from search_spaces.cost import Precision
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES, ZEROISE, SearchSpace, connect_all

IMAGE = format_of(CountedImage(channels=3, height=16, width=16, classes=10))
BINARY = Precision(weight_bits=1, activation_bits=1, scales_per_output=1)
CUT = replace(SPACES.get("tiny"), edges=connect_all(nodes=2, operations=(ZEROISE, "skip", "max-pool-3x3", "dilated-conv-3x3")))
LARGE = SPACES.get("nas-bnn")
TINY = SPACES.get("tiny")
SEARCHED = {"with zeroise": CUT, "large": LARGE}
EVERY_STRATEGY = pytest.mark.parametrize("name", STRATEGIES.names())
EVERY_SPACE = pytest.mark.parametrize("space", SEARCHED.values(), ids=SEARCHED)
SETTINGS: dict[str, dict[str, float]] = {
    "abandit-plus": {"samples": 14},
    "screen-and-train": {"trainings": 5, "fidelity": 0.5},
    "random": {"samples": 12},
    "evolution": {"samples": 12, "population": 6},
}


@lru_cache(maxsize=100_000)
def _unrest(choices: tuple[Choice, ...]) -> tuple[float, ...]:
    """Return a figure that no sum tells: the largest of neighbouring products, and as a second how many kinds there are."""
    sizes = [len(key.operation) * (3 if "conv" in key.operation else 1) for key in choices]
    pairs = [a * b for a, b in pairwise(sizes)]
    return float(max(pairs) + sum(sizes)), float(len({key.operation for key in choices}))


def _limits(space: SearchSpace, share: float, sums: dict[str, float] | None = None) -> Limits:
    region, arms = region_of(space), possible_arms(space)
    drawn = [_unrest(draw_uniform(region, arms, 7, (number,)))[0] for number in range(300)]
    most = float(np.quantile(drawn, share))
    limits = arm_costs(space, IMAGE, BINARY).limits(sums or {})
    return replace(limits, whole=Whole(("unrest", "kinds"), _unrest, (most, 100.0)))


def _strategy(name: str, space: SearchSpace, limits: Limits, seed: int = 0) -> Strategy:
    return STRATEGIES.get(name).from_settings(space, SETTINGS.get(name, {}), seed, None, limits)


class _Bench:
    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> list[Evaluation]:
        """Larger is better, so that every strategy wants what it may not have."""
        del first_index
        rewards = [0.5 + 0.4 * sum("conv" in key.operation for key in each.choices) / len(each.choices) for each in genotypes]
        return [Evaluation(reward, 1.0, diverged=False, seconds=0.0, parent_reward=reward) for reward in rewards]


def _begun(strategy: Strategy, most: int) -> tuple[Sample, ...]:
    """Run a search, or its first samples."""
    if strategy.total <= most:
        return tuple(run_search(strategy, _Bench(), (), 3, lambda _: None))
    history: tuple[Sample, ...] = ()
    while len(history) < most:
        genotypes = strategy.suggest(history, 4)
        told = zip(genotypes, _Bench().evaluate(0, genotypes), strict=True)
        history += tuple(Sample(len(history) + n, genotype, e.reward, e.reward) for n, (genotype, e) in enumerate(told))
    return history


@EVERY_STRATEGY
@EVERY_SPACE
def test_nothing_that_breaks_a_limit_is_suggested_or_ranked(name: str, space: SearchSpace) -> None:
    limits = _limits(space, 0.03)
    strategy = _strategy(name, space, limits)
    history = _begun(strategy, 16)
    assert [sample.index for sample in history if not limits.fits(sample.genotype.choices)] == []
    ranked = strategy.rank(history, 5)
    assert ranked
    assert all(limits.fits(entry.genotype.choices) for entry in ranked)
    half = history[: len(history) // 2]
    assert _strategy(name, space, limits).suggest(half, 2) == strategy.suggest(half, 2)  # as after a restart


@EVERY_STRATEGY
def test_limits_that_everything_keeps_change_nothing(name: str) -> None:
    limits = arm_costs(CUT, IMAGE, BINARY).limits({})
    loose = replace(limits, whole=Whole(("unrest", "kinds"), _unrest, (1e9, 1e9)))
    assert _begun(_strategy(name, CUT, loose), 30) == _begun(_strategy(name, CUT, limits), 30)


def test_sums_and_whole_figures_hold_together() -> None:
    costs = arm_costs(LARGE, IMAGE, BINARY)
    least, most = costs.span(LARGE, "packed_bytes")
    limits = _limits(LARGE, 0.2, {"packed_bytes": least + 0.45 * (most - least)})
    history = _begun(_strategy("random", LARGE, limits), 12)
    assert all(limits.fits(sample.genotype.choices) and limits.keeps_sums(sample.genotype.choices) for sample in history)


def test_of_a_small_space_the_arms_are_those_that_something_within_the_limits_holds() -> None:
    limits = _limits(TINY, 0.02)
    held = {key for genotype in live_genotypes(TINY, limits) for key in genotype.choices}
    assert {key for keys in possible_arms(TINY, limits) for key in keys} == held
    assert len(held) < len(TINY.arms())


@pytest.mark.parametrize("share", [0.01, 0.05])
@pytest.mark.parametrize("space", [TINY, CUT], ids=["tiny", "with zeroise"])
def test_abandit_keeps_every_arm_that_something_within_the_limits_holds(space: SearchSpace, share: float) -> None:
    limits = _limits(space, share)
    held = {key for genotype in live_genotypes(space, limits) for key in genotype.choices}
    arms = _strategy("abandit", space, limits).arms(())
    assert {arm.key for arm in arms if arm.abandoned_round is None} == held


@pytest.mark.parametrize("limited", [0, 1])
def test_what_has_no_figures_is_no_nearer_to_limits_than_what_has(limited: int) -> None:
    """An operation without a form in C has infinite figures, also of what is not limited."""
    none = possible_arms(TINY)[0][0]

    def of(choices: tuple[Choice, ...]) -> tuple[float, ...]:
        return (math.inf, math.inf) if choices[0] == none else (5.0, 7.0)

    most = tuple(10.0 if place == limited else math.inf for place in range(2))
    limits = replace(arm_costs(TINY, IMAGE, BINARY).limits({}), whole=Whole(("a", "b"), of, most))
    assert none not in possible_arms(TINY, limits)[0]
    assert closest(region_of(TINY), limits, possible_arms(TINY)).excess.is_none


PAIRS = replace(TINY, edges=connect_all(nodes=4, operations=("skip", "dilated-conv-3x3")))  # 2**20 genotypes


def _likeness(choices: tuple[Choice, ...]) -> tuple[float, ...]:
    """Return a figure by which one of two is within 1 that only leads to each other: all the first operation, or all the second.

    Whoever begins with the first operation at the first place comes down to where all others are the second, and has to change
    that place last: an arm there is needed for the way to the architecture without it.
    """
    alike = sum(key.operation == choices[0].operation for key in choices)
    return (1.0,) if alike == len(choices) else (9.0 + alike,)


@pytest.mark.parametrize(("name", "seed"), [("abandit", 1), ("abandit-scaled", 1), ("cp-nas", 0)])
def test_an_arm_stays_where_nothing_is_found_without_it(name: str, seed: int) -> None:
    limits = replace(arm_costs(PAIRS, IMAGE, BINARY).limits({}), whole=Whole(("likeness",), _likeness, (1.0,)))
    arms = possible_arms(PAIRS, limits)
    assert arms == possible_arms(PAIRS)
    for key in arms[0]:
        with pytest.raises(InvalidFieldError, match="some architecture keeps"):
            settled(region_of(PAIRS, limits), [[key], *arms[1:]])
    strategy = _strategy(name, PAIRS, limits, seed)
    assert all(arm.abandoned_round is None for arm in strategy.arms(()))
    history = _begun(strategy, strategy.total)
    assert all(limits.fits(sample.genotype.choices) for sample in history)
    assert all(limits.fits(entry.genotype.choices) for entry in strategy.rank(history, 2))
    assert limits.fits(tuple(arm.key for arm in strategy.arms(history) if arm.abandoned_round is None))


@EVERY_SPACE
def test_limits_that_nothing_keeps_are_refused(space: SearchSpace) -> None:
    with pytest.raises(InvalidFieldError, match="some architecture keeps"):
        possible_arms(space, replace(_limits(space, 0.5), whole=Whole(("kinds",), lambda choices: _unrest(choices)[1:], (0.5,))))

"""Every strategy that trades, by discovery: it returns the Pareto set, repeats itself, and keeps limits beside."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nas_service.arm_costs import arm_costs, format_of
from nas_service.constraints import CountedImage, Objective
from nas_service.search.aims import Aims, hypervolume
from nas_service.search.history import Sample
from nas_service.search.limits import Limits
from nas_service.search.loop import Evaluation, Wave, run_search
from nas_service.search.strategy import STRATEGIES, Strategy
from search_spaces.cost import Precision
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES, SearchSpace

IMAGE = format_of(CountedImage(channels=3, height=16, width=16, classes=10))
BINARY = Precision(weight_bits=1, activation_bits=1, scales_per_output=1)
TRADING = [name for name in STRATEGIES.names() if STRATEGIES.get(name).trades]
LARGE = SPACES.get("abandit-general")
EVERY_STRATEGY = pytest.mark.parametrize("name", TRADING)
EVERY_SPACE = pytest.mark.parametrize("space", [SPACES.get("tiny"), LARGE], ids=["tiny", "abandit-general"])
NAMES: tuple[tuple[Objective, ...], ...] = (("ops",), ("packed_bytes", "ops"))
EVERY_NAMES = pytest.mark.parametrize("names", NAMES, ids=["one", "two"])
ATTACKED: tuple[tuple[Objective, ...], ...] = (("attacked_accuracy",), ("attacked_accuracy", "ops"))
SETTINGS: dict[str, dict[str, float]] = {
    "screen-and-train": {"trainings": 14, "fidelity": 0.2},
    "abandit-plus": {"samples": 30},
    "random": {"samples": 30},
}


def _aims(space: SearchSpace, names: Sequence[Objective], limits: Limits | None = None) -> Aims:
    return arm_costs(space, IMAGE, BINARY).aims(space, names, limits)


def _strategy(name: str, space: SearchSpace, aims: Aims, limits: Limits | None = None) -> Strategy:
    return STRATEGIES.get(name).from_settings(space, SETTINGS[name], 0, None, limits, aims)


class _Bench:
    """Rewards that no cost explains, and accuracies under attack that neither does, the same whenever they are asked for."""

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> list[Evaluation]:
        del first_index
        figures = [[int(genotype.digest[place : place + 8], 16) / 2**32 for place in (0, 8)] for genotype in genotypes]
        return [Evaluation(reward, 1.0, diverged=False, seconds=0.0, attacked_accuracy=attacked) for reward, attacked in figures]


def _run(strategy: Strategy) -> tuple[Sample, ...]:
    return tuple(run_search(strategy, _Bench(), (), 1, lambda _: None))


@pytest.mark.diagonal
@EVERY_STRATEGY
@EVERY_SPACE
@EVERY_NAMES
def test_what_is_returned_was_sampled_and_none_costs_more_without_being_better(
    name: str, space: SearchSpace, names: tuple[Objective, ...]
) -> None:
    aims = _aims(space, names)
    strategy = _strategy(name, space, aims)
    history = _run(strategy)
    assert len(history) == strategy.total
    _check_told(strategy, history, aims)


@EVERY_STRATEGY
@pytest.mark.parametrize("names", ATTACKED, ids=["alone", "with OPs"])
def test_accuracy_under_attack_is_traded_and_a_restart_goes_on_as_if_nothing_had_happened(
    name: str, names: tuple[Objective, ...]
) -> None:
    space, waves = SPACES.get("tiny"), list[Wave]()
    aims = _aims(space, names)
    history = run_search(_strategy(name, space, aims), _Bench(), (), 3, waves.append)
    _check_told(_strategy(name, space, aims), history, aims)
    assert run_search(_strategy(name, space, aims), _Bench(), waves[-2].history, 3, lambda _: None) == history


def _check_told(strategy: Strategy, history: Sequence[Sample], aims: Aims) -> None:
    """Check that what is told was trained whole, and that no other of it is as cheap, stands as much and scores higher."""
    told = strategy.rank(history, 50)
    whole = {sample.genotype for sample in history if sample.fidelity == 1}
    assert {entry.genotype for entry in told} <= whole
    assert {entry.attacked is not None for entry in told} == {aims.attacked}
    lacks = [-entry.attacked if entry.attacked is not None else 0.0 for entry in told]
    costs = [(*aims.of(entry.genotype.choices), lack) for entry, lack in zip(told, lacks, strict=True)]
    for entry, cost in zip(told, costs, strict=True):
        cheaper = [o for o, c in zip(told, costs, strict=True) if c != cost and all(a <= b for a, b in zip(c, cost, strict=True))]
        assert all(other.score <= entry.score for other in cheaper)
    assert strategy.rank(history, 2) == told[:2]


@pytest.mark.few(2)
@EVERY_STRATEGY
@EVERY_SPACE
def test_a_restart_goes_on_as_if_nothing_had_happened(name: str, space: SearchSpace) -> None:
    aims, waves = _aims(space, ("ops",)), list[Wave]()
    history = run_search(_strategy(name, space, aims), _Bench(), (), 3, waves.append)
    for wave in (waves[1], waves[-2]):
        assert run_search(_strategy(name, space, aims), _Bench(), wave.history, 3, lambda _: None) == history


@EVERY_STRATEGY
def test_accuracy_under_attack_is_known_from_attacks_alone(name: str) -> None:
    tiny = SPACES.get("tiny")
    strategy = _strategy(name, tiny, _aims(tiny, ("attacked_accuracy",)))
    history = _run(_strategy("random", tiny, _aims(tiny, ("attacked_accuracy",))))
    with pytest.raises(InvalidFieldError, match=r"history\.3\.attacked"):
        strategy.rank((*history[:3], replace(history[3], attacked=None)), 5)


@pytest.mark.few(1)
@EVERY_STRATEGY
def test_limits_hold_beside(name: str) -> None:
    costs = arm_costs(LARGE, IMAGE, BINARY)
    least, most = costs.span(LARGE, "packed_bytes")
    limits = costs.limits({"packed_bytes": (least + most) / 2})
    aims = _aims(LARGE, ("ops",), limits)
    strategy = _strategy(name, LARGE, aims, limits)
    history = _run(strategy)
    assert all(limits.fits(sample.genotype.choices) for sample in history)
    assert all(0 <= cost <= 1 for sample in history for cost in aims.of(sample.genotype.choices))


def test_the_posterior_spreads_over_the_costs_more_than_one_that_seeks_the_best() -> None:
    """Larger is better here, so whoever seeks the best never looks at what is small."""

    class Larger(_Bench):
        def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> list[Evaluation]:
            del first_index
            rewards = [0.2 + 0.6 * aims.of(genotype.choices)[0] for genotype in genotypes]
            return [Evaluation(reward, 1.0, diverged=False, seconds=0.0) for reward in rewards]

    aims, kind = _aims(LARGE, ("ops",)), STRATEGIES.get("abandit-plus")
    had = []
    for sought in (aims, None):
        strategy = kind.from_settings(LARGE, SETTINGS["abandit-plus"], 0, None, None, sought)
        history = run_search(strategy, Larger(), (), 1, lambda _: None)
        rewards, choices = [sample.reward for sample in history], [sample.genotype.choices for sample in history]
        had.append(hypervolume(aims.points([rewards], choices, 0.2)))
    assert had[0] > had[1]

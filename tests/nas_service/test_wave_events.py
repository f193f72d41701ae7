"""What a wave changed is told small enough, and makes of the arms before the wave those after it."""

import json
import random

import pytest

from nas_service.job_events import AbandonedTold, BestTold, RoundTold, WaveTold
from nas_service.search.bandit import Arm
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.rounds import leading
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.wave_events import thousandths, told_of_wave
from search_spaces.space import SPACES

LARGEST = "abandit"  # the space, of 540 arms


def _strategy(name: str, space: str) -> Strategy:
    return STRATEGIES.get(name).from_settings(SPACES.get(space), {}, 0)


def _waves(strategy: Strategy, waves: int, size: int) -> list[tuple[Wave, tuple[Arm, ...], tuple[Arm, ...]]]:
    """Return waves of a search with made-up rewards, each with the arms before and after it."""
    draw = random.Random(0)
    history: tuple[Sample, ...] = ()
    before: tuple[Arm, ...] = ()
    found = []
    for _ in range(waves):
        genotypes = strategy.suggest(history, size)
        if not genotypes:
            break
        samples = tuple(
            Sample(len(history) + place, genotype, draw.random(), draw.random() if strategy.needs_parent else None)
            for place, genotype in enumerate(genotypes)
        )
        history = (*history, *samples)
        evaluations = tuple(Evaluation(s.reward, 1.0, diverged=False, seconds=draw.random() * 100) for s in samples)
        after = strategy.arms(history)
        found.append((Wave(samples, evaluations, history), before, after))
        before = after
    return found


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_a_wave_of_the_largest_space_takes_3_kb_at_most(name: str) -> None:
    """4 kB with `abandit-scaled`: every sample changes all its means, and they have four digits."""
    strategy = _strategy(name, LARGEST)
    worst = 0
    for wave, before, after in _waves(strategy, 60, 1):
        told = next(told_of_wave(wave, before, after))
        worst = max(worst, len(json.dumps(told.to_data(), separators=(",", ":"))))
    assert len(strategy.arms(())) == 540
    assert worst <= (4000 if name == "abandit-scaled" else 3000), worst


@pytest.mark.parametrize("name", STRATEGIES.names())
@pytest.mark.parametrize("size", [1, 3])
def test_what_is_told_of_waves_adds_up_to_the_arms_after_them(name: str, size: int) -> None:
    shown: dict[int, int | None] = {}
    leaders: dict[int, int | None] = {}
    dropped: dict[int, int] = {}
    best = -1.0
    for wave, before, after in _waves(_strategy(name, "tiny"), 200, size):
        told = list(told_of_wave(wave, before, after))
        assert isinstance(told[0], WaveTold)
        positions = {arm.key: position for position, arm in enumerate(after)}
        assert [list(row) for row in told[0].pulled] == [[positions[key] for key in s.genotype.choices] for s in wave.samples]
        shown |= dict(told[0].means or enumerate(told[0].all_means or ()))
        assert [shown.get(position) for position in range(len(after))] == [thousandths(arm.mean) for arm in after]
        leaders |= dict(told[0].leading)
        assert tuple(leaders.get(place) for place in range(len(leading(after)))) == leading(after)
        dropped |= {arm.position: event.round for event in told if isinstance(event, AbandonedTold) for arm in event.arms}
        now = {position: arm.abandoned_round for position, arm in enumerate(after) if arm.abandoned_round}
        assert dropped == now
        new_best = max(sample.reward for sample in wave.samples)
        bests = [event.reward for event in told if isinstance(event, BestTold)]
        assert bests == ([new_best] if new_best > best else [])
        best = max(best, new_best)
    if name == "abandit":
        assert set(dropped.values()) == {1, 2}


def test_a_round_that_ends_is_told_before_what_it_dropped() -> None:
    told = [event for entry in _waves(_strategy("abandit", "tiny"), 200, 1) for event in told_of_wave(*entry)]
    ends = [(type(event), event.round) for event in told if isinstance(event, RoundTold | AbandonedTold)]
    assert ends == [(RoundTold, 1), (AbandonedTold, 1), (RoundTold, 2), (AbandonedTold, 2)]


def test_the_best_is_of_the_longest_trainings_and_short_ones_are_told_as_such() -> None:
    """A whole training below the best short one is the best all the same: scores of short ones are their own."""
    strategy = STRATEGIES.get("random").from_settings(SPACES.get("tiny"), {}, 0)
    genotypes, arms = strategy.suggest((), 4), strategy.arms(())
    figures = [(0.1, 0.9), (0.1, 0.8), (1.0, 0.4), (1.0, 0.3)]
    samples = tuple(
        Sample(index, genotype, reward, None, fidelity)
        for index, (genotype, (fidelity, reward)) in enumerate(zip(genotypes, figures, strict=True))
    )
    evaluations = tuple(Evaluation(sample.reward, 1.0, diverged=False, seconds=1.0) for sample in samples)
    told = [
        list(told_of_wave(Wave(samples[index : index + 1], evaluations[index : index + 1], samples[: index + 1]), arms, arms))
        for index in range(4)
    ]
    assert [each[0].fidelities for each in told if isinstance(each[0], WaveTold)] == [(0.1,), (0.1,), None, None]
    assert [[event.index for event in each if isinstance(event, BestTold)] for each in told] == [[], [], [2], []]

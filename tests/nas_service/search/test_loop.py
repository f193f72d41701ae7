"""The loop of a search."""

from collections.abc import Sequence

import pytest

from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave, run_search
from nas_service.search.strategy import STRATEGIES
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES

STRATEGY = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0)


class _Counting:
    """Rewards depend on the sample's index alone; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        self.asked.append((first_index, len(genotypes)))
        return [
            Evaluation(reward=(first_index + offset) % 7 / 7, loss=1.0, diverged=False, seconds=0.0)
            for offset in range(len(genotypes))
        ]


def test_every_wave_is_committed_with_the_history_that_ends_with_it() -> None:
    waves: list[Wave] = []
    history = run_search(STRATEGY, _Counting(), (), 4, waves.append)
    assert tuple(sample for wave in waves for sample in wave.samples) == history
    assert all(wave.history[-len(wave.samples) :] == wave.samples for wave in waves)
    assert waves[-1].history == history


def test_waves_end_with_the_rounds() -> None:
    """Coverage of 3, then rounds of 9 and 6, in waves of at most 4."""
    evaluator = _Counting()
    run_search(STRATEGY, evaluator, (), 4, lambda _: None)
    assert evaluator.asked == [(0, 3), (3, 4), (7, 4), (11, 1), (12, 4), (16, 2)]


class _StopError(Exception):
    pass


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_a_search_goes_on_from_any_committed_wave_as_if_it_had_never_stopped(stop_after: int) -> None:
    whole = run_search(STRATEGY, _Counting(), (), 4, lambda _: None)
    committed: tuple[Sample, ...] = ()
    count = 0

    def commit(wave: Wave) -> None:
        nonlocal committed, count
        committed = tuple(wave.history)
        count += 1
        if count == stop_after:
            raise _StopError

    with pytest.raises(_StopError):
        run_search(STRATEGY, _Counting(), (), 4, commit)
    assert run_search(STRATEGY, _Counting(), committed, 4, lambda _: None) == whole

"""screen-and-train: what its budget buys, what it believes, and that misleading short trainings are refuted by whole ones."""

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pytest

from nas_service.catalogue import build_strategy, count_parameters
from nas_service.search.history import Sample, derived_random
from nas_service.search.strategies.screen_and_train import LEAST_WHOLE, ScreenAndTrain, ScreenAndTrainSettings
from nas_service.specs import Component
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES, SearchSpace
from tests.samples import random_genotype

MINI = SPACES.get("abandit-mini")
GENERAL = SPACES.get("abandit-general")


def _strategy(space: SearchSpace = MINI, seed: int = 0, **settings: Any) -> ScreenAndTrain:  # noqa: ANN401 - settings
    return ScreenAndTrain(space, ScreenAndTrainSettings.model_validate(settings), seed, partial(count_parameters, space))


def _worth(genotype: Genotype) -> float:
    """Return what an architecture is worth here: something of every arm, drawn once, in [0, 1]."""
    drawn = [derived_random(7, *choice).random() for choice in genotype.choices]
    return sum(drawn) / len(drawn)


def _search(strategy: ScreenAndTrain, short: float = 1.0, noise: float = 0.05, wave: int = 1) -> tuple[Sample, ...]:
    """Search; a short training tells `short` times the worth of an architecture, both kinds with noise."""
    history: tuple[Sample, ...] = ()
    while suggested := strategy.suggest(history, wave):
        for genotype in suggested:
            index = len(history)
            fidelity = strategy.fidelity(index)
            drawn = sum(derived_random(strategy.seed, "noise", index, part).random() for part in range(12)) - 6
            worth = _worth(genotype) * (1.0 if fidelity == 1 else short) + noise * drawn
            history = (*history, Sample(index, genotype, worth, None, fidelity))
    return history


@pytest.mark.parametrize(
    ("settings", "short", "whole"),
    [
        ({}, 48, 4),
        ({"trainings": 6}, 24, 4),
        ({"trainings": 12}, 72, 6),
        ({"trainings": 5}, 12, 4),
        ({"trainings": 20, "screening_share": 0.25, "fidelity": 0.5}, 10, 15),
        ({"trainings": 10, "screening_share": 0.95}, 72, 4),
    ],
)
def test_a_budget_buys_short_trainings_and_whole_ones_and_is_kept(settings: dict[str, Any], short: int, whole: int) -> None:
    strategy = _strategy(**settings)
    assert (strategy.screened, strategy.total) == (short, short + whole)
    fidelities = [strategy.fidelity(index) for index in range(strategy.total)]
    assert sum(fidelities) <= strategy.settings.trainings + 1e-9
    assert fidelities.count(1.0) == whole >= LEAST_WHOLE


def test_short_trainings_try_all_arms_alike() -> None:
    strategy = _strategy()
    bags = [genotype for first in range(0, 45, 9) for genotype in strategy.suggest(_prefix(strategy, first), 9)]
    assert set(Counter(choice for genotype in bags for choice in genotype.choices).values()) == {5}


def _prefix(strategy: ScreenAndTrain, count: int) -> tuple[Sample, ...]:
    history: tuple[Sample, ...] = ()
    while len(history) < count:
        suggested = strategy.suggest(history, count - len(history))
        history += tuple(
            Sample(len(history) + place, each, _worth(each), None, strategy.fidelity(len(history) + place))
            for place, each in enumerate(suggested)
        )
    return history


def test_a_wave_ends_with_the_screening_and_whole_trainings_are_of_architectures_of_their_own() -> None:
    strategy = _strategy()
    assert len(strategy.suggest(_prefix(strategy, 40), 20)) == 8
    wave = strategy.suggest(_prefix(strategy, 48), 20)
    assert len(set(wave)) == len(wave) == 4
    assert strategy.suggest(_prefix(strategy, 52), 20) == ()


@pytest.mark.parametrize("space", ["abandit-mini", "tiny", "abandit-general", "bnas"])
def test_the_parameters_of_an_architecture_are_the_sum_of_its_arms(space: str) -> None:
    """So that a table of arms serves for every architecture."""
    known = SPACES.get(space)
    strategy = _strategy(known)
    genotypes = [random_genotype(known, seed) for seed in range(20)]
    told = np.exp(strategy._log_parameters(strategy._encoding.codes(genotypes)))
    assert told == pytest.approx([count_parameters(known, genotype) for genotype in genotypes], rel=1e-9)


def _rank(genotype: Genotype) -> float:
    """Return the share of the space that is worth less."""
    worths = np.array([_worth(other) for other in ALL])
    return float((worths < _worth(genotype)).mean())


ALL = [_strategy()._encoding.genotype(row) for row in _strategy()._encoding.all_live]


def test_it_finds_what_is_good_and_returns_what_was_trained_whole() -> None:
    ranks = []
    for seed in range(8):
        strategy = _strategy(seed=seed)
        history = _search(strategy)
        (best, *_) = strategy.rank(history, 9)
        assert best.genotype in {sample.genotype for sample in history[48:]}
        ranks.append(_rank(best.genotype))
    assert np.mean(ranks) > 0.95


def test_short_trainings_that_are_upside_down_are_refuted_by_whole_ones() -> None:
    """Random search with as many whole trainings, 18, stands at 18 / 19 without noise."""
    ranks, slopes = [], []
    for seed in range(8):
        strategy = _strategy(seed=seed, trainings=18)
        history = _search(strategy, short=-1.0)
        ranks.append(_rank(strategy.rank(history, 1)[0].genotype))
        slopes.append(strategy.whole_model(history).slopes[-2])
    assert np.mean(slopes) < 0
    assert np.mean(ranks) > 0.9


def test_without_anybody_who_counts_parameters_it_works_too() -> None:
    strategy = ScreenAndTrain(MINI, ScreenAndTrainSettings.model_validate({}), 0)
    history = _search(strategy)
    assert strategy.whole_model(history).slopes.shape == (2,)
    assert _rank(strategy.rank(history, 1)[0].genotype) > 0.8


def test_the_service_gives_it_what_counts_parameters() -> None:
    strategy = build_strategy(Component(name="screen-and-train"), MINI, 0)
    assert strategy.parameters is not None
    assert strategy.parameters(ALL[0]) == count_parameters(MINI, ALL[0])


def test_more_than_was_trained_whole_is_filled_up_with_what_promises_most() -> None:
    strategy = _strategy()
    history = _search(strategy)
    ranked = strategy.rank(history, 20)
    assert len(ranked) == 20 == len({entry.genotype for entry in ranked})
    assert {entry.genotype for entry in ranked[:4]} == {sample.genotype for sample in history[48:]}
    assert {entry.genotype for entry in ranked[4:]} <= {sample.genotype for sample in history[:48]}
    expected = strategy.whole_model(history).expect(strategy._encoding.codes(entry.genotype for entry in ranked[4:]))
    assert np.corrcoef(expected, range(16))[0, 1] < -0.9


def test_the_rounds_are_the_screening_and_the_whole_trainings() -> None:
    assert [_strategy().round_ends(samples) for samples in (47, 48, 51, 52)] == [(), (48,), (48,), (48, 52)]


def test_a_score_is_one_of_short_trainings_until_something_was_trained_whole() -> None:
    strategy = _strategy()
    assert [strategy.score_unit(samples).value for samples in (1, 48, 49)] == ["short-score", "short-score", "accuracy"]


def test_a_large_space_is_climbed() -> None:
    """Of sixty edges with seven operations nobody lists all architectures; what is trained whole is no draw like the others."""
    strategy = _strategy(GENERAL, trainings=8)
    history = _search(strategy, noise=0.02)
    screened, whole = ([_worth(sample.genotype) for sample in part] for part in (history[:48], history[48:]))
    assert max(whole) > max(screened)
    assert np.mean([whole[0], *whole[2:]]) > np.quantile(screened, 0.9)  # beside the contrast


@pytest.mark.parametrize("space", [MINI, GENERAL], ids=lambda space: space.name)
def test_the_second_whole_training_is_a_contrast(space: SearchSpace) -> None:
    """What would promise most if the screening told the opposite: short ones tell little of it, alone or in a wave."""
    strategy = _strategy(space, trainings=8)
    history = _search(strategy, noise=0.0)
    first, second = (sample.genotype for sample in history[48:50])
    told = strategy._known(strategy.short_model(history)).of(strategy._encoding.codes([first, second]))
    place = strategy._known(strategy.short_model(history)).names.index("screening")
    assert told[0, place] > 1.5
    assert told[1, place] < -1.5
    assert strategy.suggest(history[:48], 4)[:2] == (first, second)
    assert strategy.suggest(history[:49], 1) == (second,)


def test_the_screenings_covariate_leaves_size_to_its_own() -> None:
    """Short trainings whose reward is the size alone tell nothing else."""
    strategy = _strategy()
    sizes = {one: count_parameters(MINI, one) for one in ALL}
    bags = strategy.suggest((), 48)
    history = tuple(Sample(index, one, sizes[one] / 1e6, None, 1 / 12) for index, one in enumerate(bags))
    screening = strategy.short_model(history)
    codes = strategy._encoding.all_live
    of_size = strategy._size.of(codes)[:, 0]
    mean = screening.expect(codes)
    left = mean - of_size * screening.slopes[0]
    told = strategy._known(screening).of(codes)[:, 1]
    assert np.corrcoef(mean, of_size)[0, 1] > 0.9
    assert told == pytest.approx((left - left.mean()) / left.std(), abs=1e-9)

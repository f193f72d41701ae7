"""Regularised evolution."""

import pytest

from nas_service.search.history import Sample
from nas_service.search.strategies.evolution import Evolution
from nas_service.search.strategy import STRATEGIES
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES, CellType, SearchSpace, connect_all

TINY, GENERAL = SPACES.get("tiny"), SPACES.get("abandit-general")


def _evolution(seed: int = 0, space: SearchSpace = TINY, **settings: object) -> Evolution:
    strategy = STRATEGIES.get("evolution").from_settings(space, settings, seed)
    assert isinstance(strategy, Evolution)
    return strategy


def _distance(first: Genotype, second: Genotype) -> int:
    return sum(a != b for a, b in zip(first.choices, second.choices, strict=True))


def _random_history(count: int, best: int) -> tuple[Sample, ...]:
    """Return random genotypes of 60 edges, far apart; the one at `best` alone has a reward above 0."""
    genotypes = STRATEGIES.get("random").from_settings(GENERAL, {"samples": count}, 5).suggest((), count)
    return tuple(Sample(index, genotype, float(index == best)) for index, genotype in enumerate(genotypes))


def test_a_child_differs_from_the_winner_on_one_edge() -> None:
    """A tournament of 500 out of 10 holds the best but for a chance of 0.9 ** 500."""
    history = _random_history(10, best=4)
    for seed in range(20):
        (child,) = _evolution(seed, GENERAL, population=10, tournament=500).suggest(history, 1)
        assert _distance(child, history[4].genotype) == 1


def test_the_best_has_no_children_once_it_is_older_than_the_population() -> None:
    """The same history, the same best: it is the sixth youngest of ten."""
    history = _random_history(10, best=4)
    parent = history[4].genotype
    for seed in range(10):
        (child,) = _evolution(seed, GENERAL, population=6, tournament=500).suggest(history, 1)
        (orphan,) = _evolution(seed, GENERAL, population=5, tournament=500).suggest(history, 1)
        assert _distance(child, parent) == 1
        assert _distance(orphan, parent) > 20


def test_the_first_samples_are_random_until_the_population_is_full() -> None:
    history = _random_history(10, best=4)
    strategy = _evolution(0, GENERAL, population=11, tournament=500)
    assert _distance(strategy.suggest(history, 1)[0], history[4].genotype) > 20
    assert strategy.suggest(history, 1) == strategy.suggest(tuple(Sample(s.index, s.genotype, 0.5) for s in history), 1)


def test_nothing_is_evaluated_twice_within_and_between_waves() -> None:
    strategy = _evolution(samples=300, population=10)
    history: tuple[Sample, ...] = ()
    while genotypes := strategy.suggest(history, 7):
        rewards = [sum(choice.operation == "skip" for choice in genotype.choices) / 6 for genotype in genotypes]
        history += tuple(Sample(len(history) + i, g, r) for i, (g, r) in enumerate(zip(genotypes, rewards, strict=True)))
    assert len({sample.genotype for sample in history}) == 300


def test_a_space_that_is_used_up_repeats_itself() -> None:
    space = SearchSpace("two", "", (CellType("c"),), connect_all(1, ("skip", "max-pool-3x3")), cells=1)
    strategy = _evolution(space=space, samples=5, population=2)
    history: tuple[Sample, ...] = ()
    while genotypes := strategy.suggest(history, 1):
        history = (*history, Sample(len(history), genotypes[0], 0.5))
    assert len(history) == 5
    assert len({sample.genotype for sample in history[:2]}) == 2


def test_it_finds_the_best_of_an_easy_space_sooner_than_chance() -> None:
    """729 genotypes, reward = share of skips: random search of 141 holds the best with probability 0.19."""
    found = 0
    for seed in range(20):
        strategy = _evolution(seed, samples=141)
        history: tuple[Sample, ...] = ()
        while genotypes := strategy.suggest(history, 1):
            reward = sum(choice.operation == "skip" for choice in genotypes[0].choices) / 6
            history = (*history, Sample(len(history), genotypes[0], reward))
        found += strategy.rank(history, 1)[0].score == 1
    assert found >= 15


@pytest.mark.parametrize(("name", "value"), [("samples", 0), ("population", 0), ("tournament", 0), ("mutations", 2)])
def test_settings_out_of_range_are_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        STRATEGIES.get("evolution").from_settings(TINY, {name: value}, 0)

"""Every search strategy by discovery: valid, pure, replayable, bounded, live. A new file is tested by being there."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nas_service.search.earlier import PriorSearch
from nas_service.search.history import Sample, derived_random
from nas_service.search.loop import Evaluation, Wave, run_search
from nas_service.search.rounds import ended_rounds, total_rounds
from nas_service.search.strategy import STRATEGIES, Strategy
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES, ZEROISE, CellType, Edge, SearchSpace, connect_all

EVERY_STRATEGY = pytest.mark.parametrize("name", STRATEGIES.names())
SPACE = SPACES.get("tiny")


CELLS = (CellType("a"), CellType("b"))
WITH_ZEROISE = (
    replace(SPACE, edges=connect_all(nodes=2, operations=(ZEROISE, "skip", "max-pool-3x3", "dilated-conv-3x3"))),
    SearchSpace("cuts", "half of the arms cut", CELLS, connect_all(nodes=3, operations=(ZEROISE, "skip")), cells=2),
    SearchSpace(
        "mixed",
        "edges with one, two and four arms; an edge that always cuts",
        CELLS,
        (
            Edge(0, 2, (ZEROISE,)),
            Edge(1, 2, ("skip", ZEROISE)),
            Edge(0, 3, ("skip", ZEROISE)),
            Edge(1, 3, (ZEROISE, "max-pool-3x3")),
            Edge(2, 3, (ZEROISE, "skip", "max-pool-3x3", "dilated-conv-3x3")),
        ),
        cells=2,
        inputs=2,
    ),
)
EVERY_ZEROISE = pytest.mark.parametrize("space", WITH_ZEROISE, ids=lambda space: space.name)


def _strategy(name: str, seed: int = 0, space: SearchSpace = SPACE) -> Strategy:
    return STRATEGIES.get(name).from_settings(space, {}, seed)


def _reward(genotype: Genotype) -> float:
    """Return a made-up accuracy: each operation has its worth, plus noise that depends on the genotype."""
    worth = {"skip": 0.2, "max-pool-3x3": 0.4, "dilated-conv-3x3": 0.9, ZEROISE: 0.5}
    mean = sum(worth[choice.operation] for choice in genotype.choices) / len(genotype.choices)
    return 0.9 * mean + 0.1 * derived_random(1, genotype.digest).random()


class _Table:
    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> list[Evaluation]:
        del first_index
        return [
            Evaluation(_reward(genotype), 1.0, diverged=False, seconds=0.0, parent_reward=_reward(genotype) ** 0.5)
            for genotype in genotypes
        ]


def _run(strategy: Strategy, wave: int = 1) -> tuple[Sample, ...]:
    waves: list[Wave] = []
    return tuple(run_search(strategy, _Table(), (), wave, waves.append))


@EVERY_STRATEGY
def test_it_says_whether_it_is_published_or_ours_and_names_a_page_that_has_its_figures(name: str) -> None:
    kind = STRATEGIES.get(name)
    assert kind.reference.startswith(("as published (", "ours"))
    assert name in (Path(__file__).parents[2] / kind.figures).read_text()


@EVERY_STRATEGY
def test_suggestions_are_genotypes_of_the_space(name: str) -> None:
    for sample in _run(_strategy(name)):
        assert SPACE.parse(sample.genotype.to_dict()) == sample.genotype


@EVERY_STRATEGY
@pytest.mark.parametrize("wave", [1, 2, 5, 64])
def test_a_search_ends_after_its_total(name: str, wave: int) -> None:
    strategy = _strategy(name)
    history = _run(strategy, wave)
    assert len(history) == strategy.total
    assert [sample.index for sample in history] == list(range(strategy.total))
    assert strategy.suggest(history, 3) == ()


@EVERY_STRATEGY
def test_the_same_history_gives_the_same_answers_from_a_fresh_object(name: str) -> None:
    """So a restart replays the history and goes on; nothing is kept between calls."""
    history = _run(_strategy(name))
    for length in range(0, len(history), 3):
        asked_before = _strategy(name)
        asked_before.suggest(history[: length // 2], 3)
        asked_before.arms(history)
        fresh = _strategy(name)
        assert fresh.suggest(history[:length], 2) == asked_before.suggest(history[:length], 2)
        assert fresh.arms(history[:length]) == asked_before.arms(history[:length])
        assert fresh.rank(history[:length], 3) == asked_before.rank(history[:length], 3)


@EVERY_STRATEGY
def test_another_seed_searches_otherwise(name: str) -> None:
    assert _run(_strategy(name, 1)) != _run(_strategy(name, 2))


@EVERY_STRATEGY
def test_asking_for_more_starts_with_what_asking_for_fewer_gives(name: str) -> None:
    history = _run(_strategy(name))[:5]
    strategy = _strategy(name)
    assert strategy.suggest(history, 3)[:1] == strategy.suggest(history, 1)


@EVERY_STRATEGY
def test_the_arm_table_has_every_arm_in_order_and_counts_every_sample(name: str) -> None:
    strategy = _strategy(name)
    history = _run(strategy)
    arms = strategy.arms(history)
    assert tuple(arm.key for arm in arms) == SPACE.arms()
    edges = len(SPACE.cell_types) * len(SPACE.edges)
    assert sum(arm.pulls for arm in arms) == len(history) * edges
    for arm in arms:
        if arm.mean is not None:
            assert arm.lower is not None
            assert arm.upper is not None
            assert arm.lower <= arm.mean <= arm.upper


@EVERY_STRATEGY
def test_required_cells_hold_no_skip_and_their_skips_count_as_abandoned(name: str) -> None:
    """Layers of which the first may not be left out and the second may."""
    space = replace(SPACE, cell_types=(CellType("a", required=True), CellType("b")))
    strategy = _strategy(name, space=space)
    history = _run(strategy)
    assert len(history) == strategy.total
    assert all(space.parse(sample.genotype.to_dict()) == sample.genotype for sample in history)
    assert all(space.parse(entry.genotype.to_dict()) == entry.genotype for entry in strategy.rank(history, 5))
    assert any(choice.operation == "skip" for sample in history for choice in sample.genotype.choices)
    for arm in strategy.arms(history):
        if (arm.key.cell, arm.key.operation) == ("a", "skip"):
            assert (arm.pulls, arm.mean, arm.abandoned_round) == (0, None, 0)


@EVERY_STRATEGY
def test_arms_before_the_first_sample_are_empty(name: str) -> None:
    assert all(arm.pulls == 0 and arm.mean is None for arm in _strategy(name).arms(()))


@EVERY_STRATEGY
def test_ranks_are_distinct_and_as_many_as_asked_for(name: str) -> None:
    strategy = _strategy(name)
    ranked = strategy.rank(_run(strategy), 4)
    assert len(ranked) == len({entry.genotype for entry in ranked}) == 4


@EVERY_STRATEGY
def test_samples_that_failed_do_not_stop_a_search(name: str) -> None:
    """A path whose training diverged has reward 0."""
    strategy = _strategy(name)
    history: tuple[Sample, ...] = ()
    while genotypes := strategy.suggest(history, 1):
        history = (*history, Sample(len(history), genotypes[0], 0.0, 0.0))
    assert len(history) == strategy.total
    assert strategy.rank(history, 1)


@EVERY_STRATEGY
@EVERY_ZEROISE
@pytest.mark.parametrize("wave", [1, 7])
def test_only_live_genotypes_are_suggested_and_ranked(name: str, space: SearchSpace, wave: int) -> None:
    """`space.parse` refuses dead ones, and `run_search` ends only when the strategy has no more to suggest."""
    for seed in range(5):
        strategy = _strategy(name, seed, space)
        history = _run(strategy, wave)
        assert len(history) == strategy.total
        for length in (1, len(history) // 2, len(history)):
            for entry in strategy.rank(history[:length], 5):
                assert space.parse(entry.genotype.to_dict()) == entry.genotype
        for sample in history:
            assert space.parse(sample.genotype.to_dict()) == sample.genotype


@EVERY_STRATEGY
@EVERY_ZEROISE
def test_an_arm_that_no_live_genotype_holds_is_never_pulled_and_counts_as_abandoned(name: str, space: SearchSpace) -> None:
    strategy = _strategy(name, 0, space)
    single = {edge.name for edge in space.edges if sum(other.target == edge.target for other in space.edges) == 1}
    if space.name == "mixed":
        single = {"1-2"}  # beside it there is only an edge that always cuts
    for arm in strategy.arms(_run(strategy)):
        if arm.key.operation == ZEROISE and arm.key.edge in single:
            assert (arm.pulls, arm.mean, arm.abandoned_round) == (0, None, 0)
        else:
            assert arm.abandoned_round != 0


@EVERY_STRATEGY
def test_a_space_without_a_live_genotype_is_refused(name: str) -> None:
    space = SearchSpace("dead", "", CELLS, connect_all(nodes=1, operations=(ZEROISE,)), cells=2)
    with pytest.raises(InvalidFieldError, match="operations"):
        _strategy(name, 0, space)


@EVERY_STRATEGY
def test_no_wave_is_larger_than_the_largest(name: str) -> None:
    strategy = _strategy(name)
    if (largest := strategy.largest_wave) is not None:
        sizes: list[int] = []
        run_search(strategy, _Table(), (), 10_000, lambda wave: sizes.append(len(wave.samples)))
        assert max(sizes) == largest


@EVERY_STRATEGY
def test_a_history_without_parents_is_enough_unless_parents_are_asked_for(name: str) -> None:
    strategy = _strategy(name)
    history = tuple(replace(sample, parent_reward=None) for sample in _run(strategy))
    if strategy.needs_parent:
        with pytest.raises(InvalidFieldError, match="parent_reward"):
            strategy.suggest(history[:4], 1)
    else:
        assert strategy.arms(history) == strategy.arms(_run(strategy))


@EVERY_STRATEGY
@pytest.mark.parametrize("wave", [1, 3])
def test_arms_are_dropped_where_rounds_end_and_nowhere_else(name: str, wave: int) -> None:
    settings = {"abandon_below": 0.05} if name == "abandit-plus" else {}
    for seed in range(3):
        strategy = STRATEGIES.get(name).from_settings(SPACE, settings, seed)
        history = _run(strategy, wave)
        was = {arm.key: arm.abandoned_round for arm in strategy.arms(())}
        ended = {ended.samples: ended.number for ended in ended_rounds(strategy, 0, len(history))}
        for count in range(1, len(history) + 1):
            now = {arm.key: arm.abandoned_round for arm in strategy.arms(history[:count])}
            dropped = {now[key] for key in now if now[key] != was[key]}
            assert dropped <= {ended.get(count)}, (seed, count)
            was = now
        halves = [ended_rounds(strategy, 0, len(history) // 2), ended_rounds(strategy, len(history) // 2, len(history))]
        assert (*halves[0], *halves[1]) == ended_rounds(strategy, 0, len(history))
        assert (total_rounds(strategy) or 0) >= len(ended)


@EVERY_STRATEGY
def test_a_strategy_says_what_its_arms_figures_mean(name: str) -> None:
    facts = STRATEGIES.get(name).arm_facts
    assert facts.meaning.endswith(".")
    assert facts.higher_is_better


@EVERY_STRATEGY
def test_another_searchs_samples_are_taken_or_refused(name: str) -> None:
    """Taken, they change what is thought, and are all that a fresh object needs beside the history; never ignored."""
    kind, prior = STRATEGIES.get(name), PriorSearch(SPACE, _run(_strategy("random", seed=9)))
    if not kind.takes_prior:
        with pytest.raises(InvalidFieldError, match="no model"):
            _strategy(name).warmed(prior)
        return
    history = _run(_strategy(name).warmed(prior))
    assert "prior search" in {belief.covariate for belief in _strategy(name).warmed(prior).beliefs(history)}
    assert _strategy(name).warmed(prior).arms(history) != _strategy(name).arms(history)
    assert _run(_strategy(name).warmed(prior)) == history
    for length in (len(history) // 2, len(history) - 1):
        assert _strategy(name).warmed(prior).suggest(history[:length], 1) == (history[length].genotype,)

"""Abandoning by probability: thresholds, the likeliest arm, live survivors, rounds."""

import numpy as np
import pytest

from nas_service.search.abandonment import ends, likely
from nas_service.search.encoding import Encoding
from nas_service.search.history import Sample, derived_random
from nas_service.search.liveness import incoming
from nas_service.search.strategy import STRATEGIES, Strategy
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES, ZEROISE, CellType, SearchSpace, connect_all

TINY = SPACES.get("tiny")
CUTS = SearchSpace("cuts", "", (CellType("c"),), connect_all(2, (ZEROISE, "skip", "max-pool-3x3")), cells=1)
SEEDS = range(4)


def _strategy(space: SearchSpace = TINY, seed: int = 0, **settings: object) -> Strategy:
    return STRATEGIES.get("abandit-plus").from_settings(space, settings, seed)


def _worth(key: Choice) -> float:
    """Return 0.1 for the last operation of an edge, 0 for the others."""
    return 0.1 * (key.operation == TINY.edges[0].operations[-1])


def _run(strategy: Strategy, wave: int = 1, noise: float = 0.01) -> tuple[Sample, ...]:
    history: tuple[Sample, ...] = ()
    while genotypes := strategy.suggest(history, wave):
        for genotype in genotypes:
            luck = noise * derived_random(strategy.seed, "luck", len(history)).random()
            reward = sum(_worth(key) for key in genotype.choices) + luck
            history = (*history, Sample(len(history), genotype, reward))
    return history


def _probabilities(strategy: Strategy, history: tuple[Sample, ...]) -> list[float | None]:
    return [arm.best_probability for arm in strategy.arms(history)]


def test_arms_below_the_threshold_go_and_the_likeliest_stays() -> None:
    encoding = Encoding(TINY)
    shares = np.tile([0.04, 0.06, 0.9], (6, 1))
    shares[0], shares[1], shares[2] = (0.05, 0.05, 0.9), (0.3, 0.4, 0.3), (0.2, 0.2, 0.6)
    kept = likely(encoding, incoming(TINY), encoding.possible, shares, 0.05)
    assert kept.tolist() == [[True] * 3] * 3 + [[False, True, True]] * 3
    kept = likely(encoding, incoming(TINY), encoding.possible, shares, 0.5)
    assert kept[1].tolist() == [False, True, False]  # none reaches a half


def test_what_was_abandoned_stays_so() -> None:
    encoding = Encoding(TINY)
    allowed = encoding.possible.copy()
    allowed[:, 0] = False
    assert not likely(encoding, incoming(TINY), allowed, np.full((6, 3), 1 / 3), 0.1)[:, 0].any()


def test_a_node_whose_edges_would_all_be_cut_keeps_its_arms() -> None:
    """Edges 0-2 and 1-2 lead to node 2: each is cut in most draws and never in the same ones."""
    encoding, nodes = Encoding(CUTS), incoming(CUTS)
    shares = np.array([[0.0, 0.5, 0.5], [0.6, 0.2, 0.2], [0.6, 0.2, 0.2]])
    kept = likely(encoding, nodes, encoding.possible, shares, 0.3)
    assert kept[1:].all()
    shares[1:, 1:] = (0.3, 0.1)  # enough to stay
    kept = likely(encoding, nodes, encoding.possible, shares, 0.2)
    assert kept[1:].tolist() == [[True, True, False]] * 2
    shares[1] = (0.1, 0.1, 0.8)
    assert likely(encoding, nodes, encoding.possible, shares, 0.3)[1:].tolist() == [[False, False, True], [True, True, False]]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_good_arms_of_an_easy_problem_survive_and_the_search_ends_early(seed: int) -> None:
    strategy = _strategy(seed=seed, samples=90, abandon_below=0.05)
    history = _run(strategy)
    arms = strategy.arms(history)
    left = tuple(arm.key for arm in arms if arm.abandoned_round is None)
    assert [key.operation for key in left] == [TINY.edges[0].operations[-1]] * 6
    assert len(history) < 90
    assert strategy.suggest(history, 1) == ()
    assert strategy.rank(history, 1)[0].genotype == Genotype("tiny", left)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("wave", [1, 4])
def test_no_abandoned_arm_is_sampled_again(seed: int, wave: int) -> None:
    strategy = _strategy(seed=seed, samples=40, abandon_below=0.1)
    history = _run(strategy, wave)
    gone: set[Choice] = set()
    for length in range(wave, len(history), wave):
        gone |= {arm.key for arm in strategy.arms(history[:length]) if arm.abandoned_round is not None}
        for genotype in strategy.suggest(history[:length], wave):
            assert not gone & set(genotype.choices)
    assert gone


def test_rounds_end_after_the_bags_and_then_when_there_are_a_quarter_more_and_k_at_least() -> None:
    assert ends(12, 3, 41) == (12, 15, 18, 22, 27, 33, 41)
    assert ends(12, 3, 40) == (12, 15, 18, 22, 27, 33)
    assert ends(45, 9, 149) == (45, 56, 70, 87, 108, 135)
    assert ends(1500, 9, 5000) == (1500, 1875, 2343, 2928, 3660, 4575)
    assert ends(12, 3, 11) == ()


def test_decisions_are_made_when_rounds_end() -> None:
    """3 arms an edge, 12 balanced samples: after 12, 15, 18, 22, 27, 33; before the first nobody was asked about."""
    strategy = _strategy(samples=40, abandon_below=0.02)
    history = _run(strategy, noise=0.3)
    before = strategy.arms(history[:11])
    assert {arm.best_probability for arm in before} == {None}
    assert {arm.abandoned_round for arm in before} == {None}
    asked = {length: _probabilities(strategy, history[:length]) for length in range(12, len(history) + 1)}
    for length, probabilities in asked.items():
        assert None not in probabilities
        assert (probabilities != asked.get(length - 1)) == (length in strategy.round_ends(length))
        rounds = {arm.abandoned_round for arm in strategy.arms(history[:length])} - {None}
        assert rounds <= set(range(1, len(strategy.round_ends(length)) + 1))
    first = strategy.arms(history[:12])
    for arm in first:
        assert arm.best_probability is not None
        if arm.best_probability >= 0.02:
            assert arm.abandoned_round is None
    for edge in {(arm.key.cell, arm.key.edge) for arm in first}:
        assert sum(arm.best_probability or 0.0 for arm in first if (arm.key.cell, arm.key.edge) == edge) == pytest.approx(1)


def test_a_fresh_object_decides_the_same() -> None:
    history = _run(_strategy(samples=40, abandon_below=0.1))
    asked_before = _strategy(samples=40, abandon_below=0.1)
    for length in (13, 5, 30, 20, len(history)):
        fresh = _strategy(samples=40, abandon_below=0.1)
        assert fresh.arms(history[:length]) == asked_before.arms(history[:length])
        assert fresh.suggest(history[:length], 2) == asked_before.suggest(history[:length], 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_survivors_are_live(seed: int) -> None:
    strategy = _strategy(CUTS, seed, samples=40, abandon_below=0.3)
    history: tuple[Sample, ...] = ()
    while genotypes := strategy.suggest(history, 1):
        assert CUTS.parse(genotypes[0].to_dict()) == genotypes[0]
        cuts = sum(key.operation == ZEROISE for key in genotypes[0].choices)
        history = (*history, Sample(len(history), genotypes[0], 0.1 * cuts))
    arms = strategy.arms(history)
    assert CUTS.dead_node(strategy.rank(history, 1)[0].genotype.choices) is None
    assert {(arm.key.edge) for arm in arms if arm.abandoned_round is None} == {edge.name for edge in CUTS.edges}


@pytest.mark.parametrize("wave", [1, 4])
def test_the_last_architecture_is_evaluated_once_whatever_the_wave(wave: int) -> None:
    strategy = _strategy(samples=90, abandon_below=0.5)
    history = _run(strategy, wave)
    left = tuple(arm.key for arm in strategy.arms(history) if arm.abandoned_round is None)
    assert len(left) == 6
    assert len(history) < 90
    decided = next(n for n in range(len(history) + 1) if sum(a.abandoned_round is None for a in strategy.arms(history[:n])) == 6)
    after = [sample.genotype.choices for sample in history[decided + wave - 1 :]]
    assert after.count(left) <= 1
    assert strategy.suggest(history, wave) == ()


def test_what_is_abandoned_takes_arms_with_it_that_no_live_architecture_holds_any_more() -> None:
    """Where edge 0-2 keeps nothing but zeroise, zeroise of 1-2 goes, though it was in a share of the draws."""
    strategy = _strategy(CUTS, samples=40, abandon_below=0.3)
    history: tuple[Sample, ...] = ()
    while genotypes := strategy.suggest(history, 1):
        kinds = [key.operation for key in genotypes[0].choices]
        reward = (kinds[1] == ZEROISE) + 0.2 * (kinds[2] == "skip") + 0.01 * derived_random(3, len(history)).random()
        history = (*history, Sample(len(history), genotypes[0], reward))
    arms = strategy.arms(history)
    left = [
        [arm.key.operation for arm in arms if arm.key.edge == edge and arm.abandoned_round is None] for edge in ("0-2", "1-2")
    ]
    assert left[0] == [ZEROISE]
    assert ZEROISE not in left[1]


def test_in_a_space_too_large_to_enumerate_no_abandoned_arm_is_sampled_again() -> None:
    """10 edges of 3 arms: 59,049 genotypes, so that candidates are found by climbing, from starts that hold no abandoned arm."""
    space = SearchSpace("large", "", (CellType("c"),), connect_all(4, ("A", "B", "C")), cells=1)
    strategy = _strategy(space, samples=60, abandon_below=0.1)
    history: tuple[Sample, ...] = ()
    gone: set[Choice] = set()
    while genotypes := strategy.suggest(history, 4):
        for genotype in genotypes:
            assert not gone & set(genotype.choices)
            reward = sum(ord(key.operation) * (1 + ord(key.edge[0]) % 2) for key in genotype.choices) % 7 / 7
            history = (*history, Sample(len(history), genotype, reward))
        gone |= {arm.key for arm in strategy.arms(history) if arm.abandoned_round is not None}
    assert gone


def test_without_a_threshold_nothing_is_abandoned_or_asked_about() -> None:
    strategy = _strategy(samples=30)
    for arm in strategy.arms(_run(strategy)):
        assert (arm.abandoned_round, arm.best_probability) == (None, None)

"""CP-NAS: the measure, equal trials, what is dropped."""

from collections import Counter

import pytest

from nas_service.search.history import Sample
from nas_service.search.strategies.cp_nas import CpNas
from nas_service.search.strategy import STRATEGIES
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES, CellType, SearchSpace, connect_all

EIGHT = SearchSpace("eight", "", (CellType("c"),), connect_all(2, tuple("abcdefgh"), inputs=2), cells=1, inputs=2)
ONE_EDGE = SearchSpace("one-edge", "three arms on one edge", (CellType("c"),), connect_all(1, ("A", "B", "C")), cells=1)


def _cp_nas(space: SearchSpace = ONE_EDGE, seed: int = 0, **settings: object) -> CpNas:
    strategy = STRATEGIES.get("cp-nas").from_settings(space, settings, seed)
    assert isinstance(strategy, CpNas)
    return strategy


def _history(*pulls: tuple[str, float, float]) -> tuple[Sample, ...]:
    return tuple(
        Sample(index, Genotype("one-edge", (Choice("c", "0-1", operation),)), child, parent)
        for index, (operation, child, parent) in enumerate(pulls)
    )


# T = 2, K = 3: a stage of 6 samples, then one of 4. Child and parent accuracies disagree on purpose.
STAGE_1 = (("B", 0.6, 0.7), ("A", 0.5, 0.9), ("C", 0.4, 0.95), ("C", 0.5, 0.95), ("A", 0.5, 0.8), ("B", 0.6, 0.8))


@pytest.mark.parametrize(
    ("weight", "means", "dropped"),
    [
        (0.0, {"A": 0.5, "B": 0.6, "C": 0.45}, "C"),  # the child alone
        (0.4, {"A": 0.64, "B": 0.66, "C": 0.65}, "A"),  # 0.4 A_P + 0.6 A_C
        (1.0, {"A": 0.85, "B": 0.75, "C": 0.95}, "B"),  # the parent alone
        (2.0, {"A": 1.2, "B": 0.9, "C": 1.45}, "B"),  # 2 A_P - A_C
    ],
)
def test_the_measure_and_what_it_drops(weight: float, means: dict[str, float], dropped: str) -> None:
    arms = _cp_nas(samples_per_arm=2, parent_weight=weight).arms(_history(*STAGE_1))
    assert {arm.key.operation: arm.mean for arm in arms} == pytest.approx(means, abs=1e-12)
    assert [arm.key.operation for arm in arms if arm.abandoned_round == 1] == [dropped]


def test_means_start_anew_with_every_stage() -> None:
    """B was worst of the first stage; in the second A does worse than C, and C stays."""
    second = (("A", 0.1, 0.2), ("C", 0.9, 0.9), ("C", 0.9, 0.9), ("A", 0.1, 0.2))
    strategy = _cp_nas(samples_per_arm=2, parent_weight=1)
    history = _history(*STAGE_1, *second)
    arms = {arm.key.operation: arm for arm in strategy.arms(history)}
    assert {name: (arm.pulls, arm.abandoned_round) for name, arm in arms.items()} == {"A": (4, 2), "B": (2, 1), "C": (4, None)}
    assert {name: arm.mean for name, arm in arms.items()} == pytest.approx({"A": 0.2, "B": 0.75, "C": 0.9}, abs=1e-12)
    assert strategy.rank(history, 1)[0].genotype.choices[0].operation == "C"
    assert strategy.rank(history, 1)[0].score == pytest.approx(0.9, abs=1e-12)


def test_every_round_tries_every_arm_of_every_edge_once() -> None:
    strategy = _cp_nas(EIGHT, samples_per_arm=3, parent_weight=0)
    history: tuple[Sample, ...] = ()
    while genotypes := strategy.suggest(history, 5):
        history += tuple(Sample(len(history) + i, g, len(history) % 7 / 7) for i, g in enumerate(genotypes))
    start = 0
    for arms in range(8, 1, -1):
        for _ in range(3):
            for place in range(len(EIGHT.edges)):
                tried = Counter(sample.genotype.choices[place] for sample in history[start : start + arms])
                assert sorted(tried.values()) == [1] * arms
            start += arms
    assert start == len(history) == 35 * 3


@pytest.mark.parametrize(("space", "k"), [("abandit-general", 7), ("tiny", 3)])
@pytest.mark.parametrize("t", [1, 3])
def test_the_budget_is_t_times_the_sum_of_k_down_to_two(space: str, k: int, t: int) -> None:
    assert _cp_nas(SPACES.get(space), samples_per_arm=t).total == t * sum(range(2, k + 1))


def test_a_suggestion_stops_at_the_end_of_a_stage() -> None:
    strategy = _cp_nas(samples_per_arm=2)
    assert len(strategy.suggest((), 10)) == 6
    assert len(strategy.suggest(_history(*STAGE_1), 10)) == 4
    assert strategy.largest_wave == 6


def test_parents_are_trained_if_their_accuracy_counts() -> None:
    assert _cp_nas().needs_parent
    assert _cp_nas(parent_weight=2).needs_parent
    assert not _cp_nas(parent_weight=0).needs_parent


def test_a_history_without_parents_is_refused_by_sample() -> None:
    history = (*_history(*STAGE_1[:2]), Sample(2, Genotype("one-edge", (Choice("c", "0-1", "C"),)), 0.5))
    strategy = _cp_nas()
    for ask in (lambda: strategy.suggest(history, 1), lambda: strategy.arms(history)):
        with pytest.raises(InvalidFieldError, match=r"history\.2\.parent_reward"):
            ask()
    assert _cp_nas(parent_weight=0).suggest(history, 1)


@pytest.mark.parametrize(("name", "value"), [("samples_per_arm", 0), ("parent_weight", -0.1), ("beta", 1)])
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        STRATEGIES.get("cp-nas").from_settings(ONE_EDGE, {name: value}, 0)

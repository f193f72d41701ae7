"""ABanditNAS: a worked example, the budget, and what the settings change."""

import pytest

from nas_service.search.bandit import Arm
from nas_service.search.history import Sample
from nas_service.search.strategies.abandit import Abandit
from nas_service.search.strategy import STRATEGIES
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES, CellType, SearchSpace, connect_all

ONE_EDGE = SearchSpace("one-edge", "three arms on one edge", (CellType("c"),), connect_all(1, ("A", "B", "C")), cells=1)
EXACT = 1e-12


def _abandit(space: SearchSpace = ONE_EDGE, seed: int = 0, **settings: object) -> Abandit:
    strategy = STRATEGIES.get("abandit").from_settings(space, settings, seed)
    assert isinstance(strategy, Abandit)
    return strategy


def _history(*pulls: tuple[str, float]) -> tuple[Sample, ...]:
    return tuple(
        Sample(index, Genotype("one-edge", (Choice("c", "0-1", operation),)), reward)
        for index, (operation, reward) in enumerate(pulls)
    )


# T = 1 and K = 3: three samples of coverage, a round of three, a round of two. The expected figures were worked out by
# hand with 40 decimal digits from equations 4.8 to 4.13: delta = sqrt(2 ln N / n), lambda = 0.7.
COVERAGE = (("A", 0.5), ("B", 0.6), ("C", 0.7))
ROUND_1 = (("A", 0.4), ("C", 0.8), ("C", 0.9))
ROUND_2 = (("B", 0.65), ("C", 0.6))


def _by_name(arms: tuple[Arm, ...]) -> dict[str, Arm]:
    return {arm.key.operation: arm for arm in arms}


def _probabilities(history: tuple[Sample, ...]) -> dict[str, float]:
    return {key.operation: value for key, value in _abandit(samples_per_arm=1).probabilities(history).items()}


def test_probabilities_after_coverage() -> None:
    expected = {"A": 0.36716540111092546, "B": 0.33222499353334724, "C": 0.30060960535572728}
    assert _probabilities(_history(*COVERAGE)) == pytest.approx(expected, abs=EXACT)


def test_probabilities_and_updates_within_round_one() -> None:
    history = _history(*COVERAGE, *ROUND_1)
    assert _probabilities(history[:4]) == pytest.approx(
        {"A": 0.27645876510408031, "B": 0.37984408960316877, "C": 0.34369714529275091}, abs=EXACT
    )
    assert _probabilities(history[:5]) == pytest.approx(
        {"A": 0.31860885180933448, "B": 0.45461482290331102, "C": 0.22677632528735449}, abs=EXACT
    )
    arms = _by_name(_abandit(samples_per_arm=1).arms(history[:5]))
    assert (arms["A"].pulls, arms["B"].pulls, arms["C"].pulls) == (2, 1, 2)
    assert arms["C"].mean == pytest.approx(0.77, abs=EXACT)
    assert arms["A"].lower == pytest.approx(-0.8386362411795196, abs=EXACT)
    assert arms["B"].upper == pytest.approx(2.39412257799410148, abs=EXACT)


def test_round_one_abandons_the_lowest_upper_bound() -> None:
    """Upper bounds A 1.768..., B 2.493..., C 1.953...: A goes, and the others share the probability."""
    history = _history(*COVERAGE, *ROUND_1)
    arms = _by_name(_abandit(samples_per_arm=1).arms(history))
    assert {name: arm.abandoned_round for name, arm in arms.items()} == {"A": 1, "B": None, "C": None}
    expected = {"A": 1.76856619904585032, "B": 2.49301847282484541, "C": 1.95393472486635876}
    assert {name: arm.upper for name, arm in arms.items()} == pytest.approx(expected, abs=EXACT)
    assert {name: arm.mean for name, arm in arms.items()} == pytest.approx({"A": 0.43, "B": 0.6, "C": 0.861}, abs=EXACT)
    assert _probabilities(history) == pytest.approx({"B": 0.74289759646767356, "C": 0.25710240353232643}, abs=EXACT)


def test_round_two_leaves_one_arm_and_ends_the_search() -> None:
    """C has the higher mean (0.6783 against 0.635) and goes all the same: counts rule, as the reference warns."""
    history = _history(*COVERAGE, *ROUND_1, *ROUND_2)
    strategy = _abandit(samples_per_arm=1)
    arms = _by_name(strategy.arms(history))
    assert arms["B"].upper == pytest.approx(2.07702688660088301, abs=EXACT)
    assert arms["C"].upper == pytest.approx(1.69796699016880896, abs=EXACT)
    assert {name: arm.abandoned_round for name, arm in arms.items()} == {"A": 1, "B": None, "C": 2}
    assert strategy.suggest(history, 5) == ()
    assert strategy.rank(history, 1)[0].genotype.operation("c", "0-1") == "B"


def test_within_round_two_the_abandoned_arm_has_no_probability() -> None:
    history = _history(*COVERAGE, *ROUND_1, ROUND_2[0])
    assert _probabilities(history) == pytest.approx({"B": 0.61821524666422398, "C": 0.38178475333577601}, abs=EXACT)


@pytest.mark.parametrize(("space", "k"), [("abandit-general", 7), ("tiny", 3)])
@pytest.mark.parametrize("t", [1, 3, 5])
def test_the_budget_is_coverage_plus_t_times_the_sum_of_k_down_to_two(space: str, k: int, t: int) -> None:
    strategy = _abandit(SPACES.get(space), samples_per_arm=t)
    assert strategy.total == k + t * sum(range(2, k + 1))


def test_the_published_space_takes_132_samples_after_coverage() -> None:
    nine = SearchSpace("nine", "", (CellType("c"),), connect_all(1, tuple("abcdefghi")), cells=1)
    assert _abandit(nine).total - 9 == 132


def test_coverage_samples_every_arm_of_every_edge_once() -> None:
    space = SPACES.get("abandit-general")
    genotypes = _abandit(space).suggest((), 100)
    assert len(genotypes) == 7
    assert {choice for genotype in genotypes for choice in genotype.choices} == set(space.arms())


def test_a_suggestion_stops_at_the_end_of_a_round() -> None:
    """Its last sample decides what is abandoned, so nothing may be sampled beyond it."""
    strategy = _abandit(samples_per_arm=1)
    assert len(strategy.suggest(_history(*COVERAGE), 10)) == 3
    assert len(strategy.suggest(_history(*COVERAGE, *ROUND_1), 10)) == 2


def test_samples_follow_the_probabilities() -> None:
    """4,000 seeds, each frequency within 4 standard errors (about 2 false alarms in 10,000 for three arms; seeds fixed)."""
    history = _history(*COVERAGE, *ROUND_1[:2])
    count = 4000
    drawn = [_abandit(seed=seed, samples_per_arm=1).suggest(history, 1)[0].operation("c", "0-1") for seed in range(count)]
    for name, probability in _probabilities(history).items():
        standard_error = (probability * (1 - probability) / count) ** 0.5
        assert abs(drawn.count(name) / count - probability) <= 4 * standard_error


def test_a_reward_scale_multiplies_the_means_but_not_the_score() -> None:
    history = _history(*COVERAGE, *ROUND_1, *ROUND_2)
    arms = _by_name(_abandit(samples_per_arm=1, reward_scale=100).arms(history))
    assert arms["A"].mean == pytest.approx(43, abs=1e-10)
    ranked = _abandit(samples_per_arm=1, reward_scale=100).rank(history, 1)
    assert 0 < ranked[0].score < 1


def test_in_per_cent_the_mean_decides() -> None:
    """With rewards of 0 to 100 the width is small against the gaps, and C survives."""
    history = _history(*COVERAGE, *ROUND_1, *ROUND_2)
    ranked = _abandit(samples_per_arm=1, reward_scale=100).rank(history, 1)
    assert ranked[0].genotype.operation("c", "0-1") == "C"


def test_a_width_coefficient_of_zero_leaves_the_means_alone() -> None:
    arms = _by_name(_abandit(samples_per_arm=1, width_coefficient=0).arms(_history(*COVERAGE)))
    assert all(arm.lower == arm.mean == arm.upper for arm in arms.values())


def test_counts_that_are_reset_start_the_next_round_as_after_coverage() -> None:
    """N = 1 and N = 2: the widths of the two live arms agree again, sqrt(2 ln 2)."""
    strategy = _abandit(samples_per_arm=1, counts_after_round="reset")
    arms = _by_name(strategy.arms(_history(*COVERAGE, *ROUND_1)))
    for name in ("B", "C"):
        mean, upper = arms[name].mean, arms[name].upper
        assert mean is not None
        assert upper is not None
        assert upper - mean == pytest.approx((2 * 0.6931471805599453) ** 0.5, abs=EXACT)
    assert arms["C"].pulls == 3  # what was really pulled is still told


def test_the_winner_comes_first_and_samples_follow_by_reward() -> None:
    history = _history(*COVERAGE, *ROUND_1, *ROUND_2)
    ranked = _abandit(samples_per_arm=1).rank(history, 5)
    assert [entry.genotype.operation("c", "0-1") for entry in ranked] == ["B", "C", "A"]
    assert ranked[1].score == 0.9


def test_an_unfinished_search_ranks_what_it_sampled() -> None:
    ranked = _abandit(samples_per_arm=1).rank(_history(*COVERAGE), 2)
    assert [entry.genotype.operation("c", "0-1") for entry in ranked] == ["C", "B"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples_per_arm", 0),
        ("samples_per_arm", -3),
        ("momentum", 0),
        ("momentum", 1.1),
        ("width_coefficient", -1),
        ("nothing", 1),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        STRATEGIES.get("abandit").from_settings(ONE_EDGE, {name: value}, 0)

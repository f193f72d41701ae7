"""Comparing candidates: means, spreads, ranks and rank correlation, against figures worked out by hand."""

from dataclasses import replace

import pytest

from nas_service.comparison import best, compare, rank_correlation
from nas_service.reports import CandidateMetrics, ClassFigures
from nas_service.search.control import Control
from nas_service.terms import Quantity, method_label
from nas_service.trained import TrainedCandidate
from tests.reports import class_figures, epoch_report, even, metrics, trained


def _candidate(architecture: str, score: float, method: str, test: float, seed: int = 0) -> TrainedCandidate:
    return trained(metrics(validation=test - 0.1, test=test), method, architecture, score=score, seed=seed)


def test_means_spreads_and_ranks_are_those_worked_out_by_hand() -> None:
    """Sample standard deviation of 0.8 and 0.9: 0.1 / sqrt(2)."""
    pairs, methods = compare(
        [_candidate("a", 0.5, "bnn", 0.8), _candidate("a", 0.5, "bnn", 0.9, seed=1), _candidate("a", 0.5, "mcn", 0.95)]
    )
    assert [(pair.method, pair.rank, pair.seeds) for pair in pairs] == [("mcn", 1, 1), ("bnn", 2, 2)]
    assert pairs[1].test_mean == pytest.approx(0.85)
    assert pairs[1].test_spread == pytest.approx(0.1 / 2**0.5)
    assert pairs[0].test_spread is None
    assert [method.method for method in methods] == ["mcn", "bnn"]


def _of_classes(method: str, architecture: str, figures: ClassFigures, seed: int = 0) -> TrainedCandidate:
    return trained(CandidateMetrics.of(epoch_report(), even(900), figures, None), method, architecture, seed=seed)


def test_balanced_accuracies_and_worst_classes_are_those_worked_out_by_hand() -> None:
    """Seeds: (1 + 0) / 2 and (0.9 + 0.5) / 2 on two classes, of a third there are no images. Sample spread 0.2 / sqrt(2)."""
    names = ("common", "rare", "none")
    first = class_figures(names, [[10, 0, 0], [2, 0, 0], [0, 0, 0]])
    second = class_figures(names, [[9, 0, 1], [0, 1, 1], [0, 0, 0]])
    other = class_figures(names, [[5, 5, 0], [0, 2, 0], [0, 0, 0]])
    pairs, methods = compare([_of_classes("bnn", "a", first), _of_classes("bnn", "a", second, 1), _of_classes("mcn", "a", other)])
    assert [pair.method for pair in pairs] == ["bnn", "mcn"]
    assert pairs[0].balanced_mean == pytest.approx(0.6)
    assert pairs[0].balanced_spread == pytest.approx(0.2 / 2**0.5)
    assert (pairs[0].worst_class, pairs[0].worst_class_mean) == ("rare", 0.25)
    assert (pairs[1].balanced_mean, pairs[1].balanced_spread) == (0.75, None)
    assert (pairs[1].worst_class, pairs[1].worst_class_mean) == ("common", 0.5)
    assert [method.balanced_mean for method in methods] == [pytest.approx(0.6), 0.75]


def test_a_method_s_balanced_accuracy_is_the_mean_over_its_architectures() -> None:
    names = ("a", "b")
    half, whole = class_figures(names, [[4, 0], [1, 0]]), class_figures(names, [[4, 0], [0, 1]])
    _, (method,) = compare([_of_classes("bnn", "one", half), _of_classes("bnn", "two", whole)])
    assert method.balanced_mean == 0.75


def test_where_an_earlier_version_trained_one_candidate_nothing_is_said_of_classes() -> None:
    known = _candidate("a", 0.5, "bnn", 0.8)
    classes = {"test_balanced_accuracy": None, "test_classes": None}
    earlier = replace(known, seed=1, metrics=known.metrics.model_copy(update=classes))
    (pair,), (method,) = compare([known, earlier])
    assert (pair.balanced_mean, pair.balanced_spread, pair.worst_class, pair.worst_class_mean) == (None,) * 4
    assert method.balanced_mean is None
    assert pair.test_mean == pytest.approx(0.8)
    _, (both,) = compare([known, replace(earlier, found=replace(earlier.found, id="b"))])
    assert both.balanced_mean is None


def _validated(name: str, matrix: list[list[int]]) -> TrainedCandidate:
    known = CandidateMetrics.of(epoch_report(), class_figures(("a", "b"), matrix), even(800), None)
    return trained(known, key=name)


def test_which_is_best_does_not_depend_on_the_size_of_classes() -> None:
    """By accuracy the first is better on validation images, by balanced accuracy the second."""
    found = best([_validated("plain", [[90, 0], [10, 0]]), _validated("even", [[60, 30], [0, 10]])])
    assert found is not None
    assert (found.candidate, found.value) == ("plain", 0.9)


def test_equal_means_share_their_rank() -> None:
    pairs, _ = compare([_candidate("a", 0.5, "bnn", 0.9), _candidate("a", 0.5, "mcn", 0.9), _candidate("a", 0.5, "pcnn", 0.8)])
    assert [pair.rank for pair in pairs] == [1.5, 1.5, 3]


def test_the_searchs_score_is_correlated_by_rank_with_what_was_trained() -> None:
    """Scores in the order of the accuracies give 1, in the other order -1; two architectures say nothing."""
    scores = {"a": 0.1, "b": 0.2, "c": 0.9}
    rising = [_candidate(key, score, "bnn", 0.5 + score / 10) for key, score in scores.items()]
    falling = [_candidate(key, score, "mcn", 0.9 - score / 10) for key, score in scores.items()]
    _, methods = compare(rising + falling)
    assert {method.method: method.score_correlation for method in methods} == {"bnn": pytest.approx(1), "mcn": pytest.approx(-1)}
    assert compare(rising[:2])[1][0].score_correlation is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_one_method_with_two_settings_is_two_methods() -> None:
    assert method_label({"name": "pcnn", "settings": {"planes": 4}, "recipe": {"epochs": 3}}) == "pcnn(planes=4, recipe.epochs=3)"
    assert method_label({"name": "bnn", "settings": {}, "recipe": {}}) == "bnn"


def _trained(name: str, validation: float, pgd_20: float | None = None, eps: float = 0.1) -> TrainedCandidate:
    known = metrics(validation=validation, pgd_20=pgd_20, eps=eps)
    return trained(known, key=name)


def test_where_all_were_attacked_alike_the_best_is_the_most_robust() -> None:
    found = best([_trained("clean", 0.97, 0.4), _trained("robust", 0.9, 0.7)])
    assert found is not None
    assert (found.candidate, found.quantity, found.value) == ("robust", Quantity.VALIDATION_PGD_20, 0.7)


@pytest.mark.parametrize("other", [{"pgd_20": None}, {"pgd_20": 0.95, "eps": 0.2}])
def test_a_clean_and_an_attacked_accuracy_are_never_compared_nor_two_sizes_of_attack(other: dict[str, float]) -> None:
    found = best([_trained("attacked", 0.96, 0.4), _trained("other", 0.95, **other)])
    assert found is not None
    assert (found.candidate, found.quantity) == ("attacked", Quantity.VALIDATION_ACCURACY)


def test_of_equal_candidates_the_first_is_best_and_of_none_there_is_none() -> None:
    found = best([_trained("first", 0.9), _trained("second", 0.9)])
    assert found is not None
    assert found.candidate == "first"
    assert best([]) is None


def test_the_best_is_judged_by_its_mean_over_seeds_and_stands_for_it_with_its_best_seed() -> None:
    """Validation: `lucky` 0.95 and 0.75, `steady` 0.88 and 0.9: the single best run is not of the best."""
    rows = [("lucky", 0.95), ("lucky", 0.75), ("steady", 0.88), ("steady", 0.9)]
    entries = [
        trained(metrics(value, 0.5), "bnn", name, key=f"{name}-{place}", seed=place % 2)
        for place, (name, value) in enumerate(rows)
    ]
    found = best(entries)
    assert found is not None
    assert (found.candidate, found.architecture, found.value, found.seeds) == ("steady-3", "steady", 0.9, 2)
    assert found.mean == pytest.approx(0.89)
    assert found.spread == pytest.approx(0.02 / 2**0.5)


def test_what_early_stopping_left_of_an_architecture_is_not_compared_with_whole_ones() -> None:
    """One seed of three was let go on because it did well; in another training of one seed there is nothing to hide."""
    left = [trained(metrics(0.95, 0.5), "bnn", "left", key="left")]
    whole = [trained(metrics(0.9, 0.5), "bnn", "whole", key=f"whole-{seed}", seed=seed) for seed in range(3)]
    found = best([*left, *whole])
    assert found is not None
    assert found.candidate == "whole-0"
    other = [replace(left[0], training="another")]
    found = best([*whole, *other])
    assert found is not None
    assert found.candidate == "left"


def test_a_control_is_never_the_best_and_no_method_counts_it() -> None:
    """It is a pair like others, without a score."""
    control = trained(metrics(0.99, 0.99), "bnn", "drawn", key="drawn", control=Control.UNIFORM)
    known = trained(metrics(0.8, 0.7), "bnn", "found", key="found")
    found = best([control, known])
    assert found is not None
    assert found.candidate == "found"
    assert best([control]) is None
    pairs, (method,) = compare([control, known])
    assert [(pair.control, pair.architecture_score) for pair in pairs] == [(Control.UNIFORM, None), (None, 0.5)]
    assert method.test_mean == pytest.approx(0.7)

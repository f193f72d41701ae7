"""Figures by class, against confusion matrices counted by hand."""

import json
from typing import Any

import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from nas_service.reports import MATRIX_CLASSES, CandidateMetrics, ClassFigures
from tests.reports import class_figures, epoch_report, even, metrics


def test_images_are_counted_by_true_and_predicted_class() -> None:
    """Two cats of three are right, the third is a dog; one dog of two is a cat; the eel is right."""
    found = ClassFigures.count(("cat", "dog", "eel"), [0, 1, 0, 2, 0, 1], [0, 1, 1, 2, 0, 0])
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (0, 0, 1))
    assert (found.images, found.correct) == ((3, 2, 1), (2, 1, 1))
    assert found.accuracies == (2 / 3, 1 / 2, 1.0)
    assert (found.confused_with, found.confused) == ((1, 0, None), (1, 1, 0))
    assert (found.covered, found.missing, found.worst) == (3, (), (1, 0, 2))
    assert found.accuracy == 4 / 6
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2 + 1) / 3, abs=1e-15)


def test_a_network_that_never_says_the_rare_class_is_half_right() -> None:
    found = class_figures(("common", "rare"), [[200, 0], [1, 0]])
    assert found.accuracy == 200 / 201 > 0.995
    assert found.balanced_accuracy == 0.5
    assert found.worst[0] == 1
    assert (found.confused_with[1], found.confused[1]) == (0, 1)


def test_of_a_class_without_images_nothing_is_known() -> None:
    """It has no accuracy, and the balanced one is the mean over the others: (1 + 1/2) / 2."""
    found = class_figures(("cat", "dog", "eel"), [[2, 0, 0], [0, 1, 1], [0, 0, 0]])
    assert json.loads(found.model_dump_json())["accuracies"] == [1.0, 0.5, None]
    assert (found.covered, found.missing, found.worst) == (2, ("eel",), (1, 0))
    assert found.balanced_accuracy == 0.75
    assert found.confused_with == (None, 2, None)


def test_of_classes_that_are_confused_alike_the_first_is_named() -> None:
    found = class_figures(("a", "b", "c", "d"), [[0, 1, 2, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert (found.confused_with[0], found.confused[0]) == (2, 2)


def test_with_classes_of_one_size_both_accuracies_are_one() -> None:
    found = even(801)
    assert found.balanced_accuracy == pytest.approx(found.accuracy, abs=1e-15)
    assert found.accuracy == 0.801


@pytest.mark.parametrize(("classes", "kept"), [(MATRIX_CLASSES, True), (MATRIX_CLASSES + 1, False), (1000, False)])
def test_beyond_a_hundred_classes_the_counts_by_class_stay_without_the_matrix(classes: int, kept: bool) -> None:  # noqa: FBT001
    """Every class has two images, of which one is taken for the next class."""
    labels = [label for label in range(classes) for _ in range(2)]
    predicted = [(label + turn) % classes for label in range(classes) for turn in range(2)]
    found = ClassFigures.count([f"class {label}" for label in range(classes)], labels, predicted)
    assert (found.confusion is not None) == kept
    assert found.confused_with[classes - 1] == 0
    assert (found.covered, found.accuracy, found.balanced_accuracy) == (classes, 0.5, 0.5)
    assert len(found.model_dump_json()) < 100_000


def test_the_figures_are_those_that_scikit_learn_counts() -> None:
    """Squares modulo 7 are 0, 1, 2 and 4, cubes 0, 1 and 6: three classes have no images, and one of them is predicted."""
    labels, predicted = [place**2 % 7 for place in range(300)], [place**3 % 7 for place in range(300)]
    found = ClassFigures.count([str(place) for place in range(7)], labels, predicted)
    assert found.confusion is not None
    assert [list(row) for row in found.confusion] == confusion_matrix(labels, predicted, labels=list(range(7))).tolist()
    assert found.missing == ("3", "5", "6")
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = balanced_accuracy_score(labels, predicted)
    assert found.balanced_accuracy == pytest.approx(expected, abs=1e-15)


def test_what_is_known_of_a_candidate_says_both_accuracies() -> None:
    test = class_figures(("common", "rare"), [[200, 0], [1, 0]])
    known = CandidateMetrics.of(epoch_report(), class_figures(("common", "rare"), [[1, 1], [1, 3]]), test, None)
    assert (known.validation_correct, known.validation_images, known.validation_accuracy) == (4, 6, 4 / 6)
    assert known.validation_balanced_accuracy == (1 / 2 + 3 / 4) / 2
    assert (known.test_correct, known.test_images, known.test_balanced_accuracy) == (200, 201, 0.5)
    assert known.test_classes == test


def test_stored_figures_are_read_back_and_those_of_an_earlier_version_lack_the_classes() -> None:
    stored: dict[str, Any] = json.loads(json.dumps(metrics().model_dump(mode="json", exclude_none=True)))
    assert CandidateMetrics.model_validate(stored) == metrics()
    new = ("validation_balanced_accuracy", "test_balanced_accuracy", "test_classes")
    earlier = CandidateMetrics.model_validate({key: value for key, value in stored.items() if key not in new})
    assert [getattr(earlier, name) for name in new] == [None, None, None]
    assert earlier.test_accuracy == 0.8

"""Figures stand beside their like: data by images, classes and split; methods by what they were trained with."""

from dataclasses import replace
from typing import Any

import pytest

from nas_service.comparison import compare
from nas_service.correlation import correlate
from nas_service.likeness import planned_epochs, require_same_data, told_apart
from nas_service.trained import TrainedCandidate, TrainingFacts
from search_spaces.errors import InvalidFieldError
from tests.reports import metrics, trained


def _training(key: str, dataset: object = "digits", digest: str | None = None, **spec: Any) -> TrainingFacts:  # noqa: ANN401 - fields of a spec
    named = {"name": dataset, "settings": {}} if isinstance(dataset, str) else dataset
    return TrainingFacts(key, {"dataset": named, "recipe": {"epochs": 5}, **spec}, digest)


def test_trainings_on_other_images_are_refused_by_name() -> None:
    with pytest.raises(InvalidFieldError, match="a is on digits; b is on other") as caught:
        require_same_data([_training("a"), _training("b", "other")])
    assert (caught.value.field, caught.value.given) == ("training", ["a", "b"])


def test_a_digest_says_more_than_a_name() -> None:
    """The same name may stand for other files later, and two names for the same ones."""
    moved = {"name": "image-folder", "settings": {"path": "moved"}}
    require_same_data([_training("a", digest="1"), _training("b", moved, digest="1")])
    require_same_data([_training("a", digest="1"), _training("b")])  # has not read them yet, or an earlier version did
    with pytest.raises(InvalidFieldError, match="same images, classes and split"):
        require_same_data([_training("a", digest="1"), _training("b", digest="2")])
    with pytest.raises(InvalidFieldError, match="digits\\(split=1\\)"):
        require_same_data([_training("a"), _training("b", {"name": "digits", "settings": {"split": 1}})])


def test_labels_name_what_trainings_do_not_have_in_common() -> None:
    trainings = [_training("a"), _training("b", recipe={"epochs": 9})]
    found = told_apart([trained(metrics(), training="a"), trained(metrics(), training="b")], trainings)
    assert [entry.label for entry in found] == ["bnn(recipe.epochs=5)", "bnn(recipe.epochs=9)"]
    alike = told_apart([trained(metrics(), training="a"), trained(metrics(), training="b")], [_training("a"), _training("b")])
    assert [entry.label for entry in alike] == ["bnn", "bnn"]


def test_labels_name_the_revision_of_an_arithmetic_that_has_changed() -> None:
    """Also within one training, which an upgrade may have cut in two."""
    new = metrics().model_copy(update={"method_revision": 2})
    rows = [trained(metrics(), training="a"), trained(new, training="a", seed=1), trained(new, training="b", key="other")]
    found = told_apart(rows, [_training("a"), _training("b")])
    assert [entry.label for entry in found] == ["bnn(revision=1)", "bnn(revision=2)", "bnn(revision=2)"]
    assert [entry.label for entry in told_apart(rows[1:], [_training("a"), _training("b")])] == ["bnn", "bnn"]


def test_labels_name_what_tells_two_networks_of_one_architecture_apart() -> None:
    """An architecture that was trained in two templates is two networks; settings of other architectures' spaces say nothing."""

    def row(training: str, architecture: str, **settings: object) -> TrainedCandidate:
        entry = trained(metrics(), training=training, architecture=architecture, key=training)
        return replace(entry, space={"name": "tiny", "settings": settings})

    rows = [row("a", "1", template="shortcut"), row("b", "1", template="plain", channels=4), row("c", "2", template="bi-real")]
    found = told_apart(rows, [_training(key) for key in "abc"])
    assert [entry.label for entry in found] == [
        'bnn(space.channels=8, space.template="shortcut")',
        'bnn(space.channels=4, space.template="plain")',
        "bnn",
    ]
    assert len(compare(found)[0]) == 3
    assert [entry.label for entry in told_apart(rows[:1], [_training("a")])] == ["bnn"]


def test_a_recipe_that_a_method_sets_itself_is_the_same_everywhere() -> None:
    """Its own epochs hide that the shared ones differ."""
    own = {"name": "bnn", "settings": {}, "recipe": {"epochs": 2}}
    trainings = [_training("a"), _training("b", recipe={"epochs": 9})]
    rows = [
        trained(metrics(), training=key).__class__(**{**vars(trained(metrics(), training=key)), "method": own}) for key in "ab"
    ]
    assert {entry.label for entry in told_apart(rows, trainings)} == {"bnn(recipe.epochs=2)"}
    assert [planned_epochs(training, own) for training in trainings] == [2, 2]


def test_a_teacher_tells_methods_apart_that_learn_from_one_and_no_others() -> None:
    trainings = [_training("a", teacher="first"), _training("b", teacher="second")]
    rows = [trained(metrics(), method, training=key) for method in ("bnn", "rbcn") for key in "ab"]
    labels = [entry.label for entry in told_apart(rows, trainings)]
    assert labels == ["bnn", "bnn", 'rbcn(teacher="first")', 'rbcn(teacher="second")']


def test_a_seed_that_was_trained_twice_alike_counts_once() -> None:
    """Else it would make the spread look small."""
    first, again = (trained(metrics(test=0.8), key=key, training=key, seed=3) for key in ("1", "2"))
    (pair,), _ = compare([again, first, trained(metrics(test=0.9), key="3", seed=1)])
    assert (pair.seeds, [(run.seed, run.candidate) for run in pair.runs]) == (2, [(1, "3"), (3, "2")])


def test_epochs_are_known_of_any_method_that_a_spec_names() -> None:
    assert planned_epochs(_training("a"), {"name": "bnn"}) == 5
    assert planned_epochs(_training("a"), {"name": "gone", "recipe": {"epochs": 3}}) == 3
    assert planned_epochs(TrainingFacts("a", {}, None), {"name": "bnn"}) is None


def test_scores_are_correlated_by_method_and_by_data() -> None:
    trainings = [_training("a", digest="x" * 20), _training("b", "other")]
    rows = [
        trained(metrics(test=0.5 + sign * place / 10), architecture=f"{place}", training=key, score=place)
        for key, sign in (("a", 1), ("b", -1))
        for place in range(4)
    ]
    points, methods = correlate(rows, trainings)
    assert [(row.dataset, row.method, row.n) for row in methods] == [("digits", "bnn", 4), ("other", "bnn", 4)]
    assert [row.rho for row in methods] == pytest.approx([1, -1])
    assert [(point.architecture, point.dataset) for point in points] == [
        (f"{n}", name) for name in ("digits", "other") for n in range(4)
    ]
    assert correlate([], []) == ([], [])

"""Trainings of their own in a spec: what is meant where nothing is said, and what is refused by its field."""

from pathlib import Path
from typing import Any

import pytest

from nas_service.binarization.method import METHODS
from nas_service.capacity import Capacity
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.specs import Place, check_search
from nas_service.errors import InvalidInputError
from nas_service.recipes.recipe import OwnTrainings, Recipe
from nas_service.specs import SearchSpec

HERE = Place(Capacity(cpus=2, gpus=0), DatasetSource(Path(), {}))


def _checked(**given: Any) -> SearchSpec:  # noqa: ANN401 - fields of a spec
    return check_search({"space": "tiny", "method": "bnn", **given}, HERE).spec


def _refused(**given: Any) -> list[str]:  # noqa: ANN401 - fields of a spec
    with pytest.raises(InvalidInputError) as caught:
        _checked(**given)
    return [problem.field for problem in caught.value.problems]


def test_weights_are_shared_unless_somebody_wants_them_not_to_be() -> None:
    assert _checked().evaluation.own is None
    assert _checked(strategy="screen-and-train").evaluation.own == OwnTrainings(recipe=Recipe())
    assert _checked(strategy="random", evaluation={"own": {}}).evaluation.own == OwnTrainings(recipe=Recipe())


def test_the_recipe_is_that_of_the_training_that_follows() -> None:
    training = {"methods": ["bnn"], "recipe": {"epochs": 12}}
    own = _checked(strategy="screen-and-train", training=training).evaluation.own
    assert own == OwnTrainings(recipe=Recipe(epochs=12))
    given = {"own": {"recipe": {"epochs": 24}}}
    own = _checked(strategy="screen-and-train", training=training, evaluation=given).evaluation.own
    assert own == OwnTrainings(recipe=Recipe(epochs=24))


def test_the_method_is_the_first_that_is_trained_with_where_none_is_given() -> None:
    """Or the whole trainings of the search would be of no use to the training that follows."""

    def method(training: object = None, **given: object) -> str:
        return check_search({"space": "tiny", "training": training, **given}, HERE).spec.method.name

    own, both = {"evaluation": {"own": {}}, "strategy": "random"}, {"methods": ["bnn", "xnor-net"]}
    assert method(both, **own) == method(both, strategy="screen-and-train") == "bnn"
    apart = {"name": "bnn", "recipe": {"learning_rate": 0.01}}
    assert method({"methods": [apart]}, **own) == "bnn"
    assert method({"methods": [apart, "rebnn", "xnor-net"]}, **own) == "rebnn", "samples follow the recipe that all share"
    assert method(both, **own, method="rebnn") == "rebnn"
    assert method(both) == method(None, **own) == "xnor-net", "shared weights, or no training"
    assert method({"methods": ["mcn", "rbonn"]}, **own) == "mcn"
    taught = [name for name in METHODS.names() if METHODS.get(name).from_settings({}).facts.needs_teacher]
    for name in taught:
        assert method({"methods": [name, "bnn"]}, **own) == "bnn", "one that needs a teacher cannot be meant"
    wrongs: list[list[Any]] = [["no-such"], [], [{"name": "bnn", "settings": {"no": 1}}]]
    for wrong in wrongs:
        with pytest.raises(InvalidInputError) as caught:
            method({"methods": wrong}, **own)
        assert {problem.field.split(".")[0] for problem in caught.value.problems} == {"training"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"strategy": "cp-nas", "evaluation": {"own": {}}}, "evaluation.own"),
        ({"strategy": "screen-and-train", "evaluation": {"adversarial": {"eps": 0.1}}}, "evaluation.adversarial"),
        ({"evaluation": {"own": {"recipe": {"adversarial": {"eps": 0.1}}}}}, "evaluation.own.recipe.adversarial"),
        ({"evaluation": {"own": {"recipe": {"distillation": 0.5}}}}, "evaluation.own.recipe.distillation"),
        ({"evaluation": {"own": {"recipe": {"epochs": 0}}}}, "evaluation.own.recipe.epochs"),
        ({"evaluation": {"own": {}, "max_steps": 2}}, "evaluation.max_steps"),
        ({"strategy": "screen-and-train", "evaluation": {"train_fraction": 0.3}}, "evaluation.train_fraction"),
        ({"strategy": "screen-and-train", "evaluation": {"own": {"recipe": {"epochs": 11}}}}, "evaluation.own.recipe.epochs"),
        ({"strategy": "screen-and-train", "training": {"methods": ["bnn"], "recipe": {"epochs": 3}}}, "training.recipe.epochs"),
        (
            {"strategy": {"name": "screen-and-train", "settings": {"trainings": 900, "fidelity": 0.01}}},
            "strategy.settings.fidelity",
        ),
        ({"strategy": {"name": "screen-and-train", "settings": {"fidelity": 1e-308}}}, "strategy.settings.fidelity"),
        ({"evaluation": {"own": {"score": "accuracy"}}}, "evaluation.own.score"),
        ({"strategy": {"name": "screen-and-train", "settings": {"fidelity": 1}}}, "strategy.settings.fidelity"),
        ({"strategy": {"name": "screen-and-train", "settings": {"trainings": 4}}}, "strategy.settings.trainings"),
    ],
)
def test_what_cannot_be_trained_so_is_refused(given: dict[str, Any], field: str) -> None:
    assert _refused(**given) == [field]


def test_a_method_whose_phases_a_short_training_cannot_hold_is_refused_with_both_lengths() -> None:
    """MCN ends with a phase of fine-tuning: one epoch is no training of it, twelve are."""
    own = {"recipe": {"epochs": 12}}
    with pytest.raises(InvalidInputError, match=r"of 12 epochs a short training has 1") as caught:
        _checked(method="mcn", strategy="screen-and-train", evaluation={"own": own})
    assert [problem.field for problem in caught.value.problems] == ["evaluation.own.recipe"]
    _checked(method="mcn", strategy="random", evaluation={"own": own})
    settings = {"fidelity": 0.5}
    _checked(method="mcn", strategy={"name": "screen-and-train", "settings": settings}, evaluation={"own": own})


def test_a_short_training_of_less_than_an_epoch_is_refused_at_what_was_given_and_names_the_other_way_out() -> None:
    def told(settings: dict[str, float], epochs: int) -> tuple[str, object, str]:
        given = {"name": "screen-and-train", "settings": settings}
        with pytest.raises(InvalidInputError) as caught:
            _checked(strategy=given, training={"methods": ["bnn"], "recipe": {"epochs": epochs}})
        (problem,) = caught.value.problems
        return problem.field, problem.given, str(problem.allowed)

    field, value, allowed = told({"fidelity": 0.02}, 30)
    assert (field, value) == ("strategy.settings.fidelity", 0.02)
    assert allowed.startswith("at least 0.0334, or `training.recipe.epochs` of at least 50: ")
    enough = {"name": "screen-and-train", "settings": {"fidelity": 0.0334}}
    recipe = {"methods": ["bnn"], "recipe": {"epochs": 30}}
    assert _checked(strategy=enough, training=recipe).strategy.settings == {"fidelity": 0.0334}
    field, value, allowed = told({}, 8)
    assert (field, value) == ("training.recipe.epochs", 8)
    assert allowed.startswith("at least 12, or `strategy.settings.fidelity` (now 0.0833) of at least 0.125: ")
    field, value, allowed = told({"fidelity": 0.5}, 1)
    assert (field, value) == ("training.recipe.epochs", 1)
    assert allowed.startswith("at least 2 with a `strategy.settings.fidelity` of 0.5: ")

"""Settings of CP-NAS's loss in specs: what is refused and where, and that recipes are without it unless it is asked for."""

import json
import re
from typing import Any

import pytest

from nas_service.checking.drafts import read_draft
from nas_service.recipes.cp_loss import CpLossSettings
from nas_service.recipes.recipe import Recipe
from nas_service.search.strategies import cp_nas
from nas_service.specs import SearchSpec


def _search(recipe: dict[str, Any]) -> dict[str, Any]:
    return {"training": {"methods": ["xnor-net"], "recipe": recipe}}


@pytest.mark.parametrize(
    ("given", "field", "allowed"),
    [
        ({"kernel": -0.1}, "kernel", "greater than or equal to 0"),
        ({"kernel": 1001}, "kernel", "less than or equal to 1000"),
        ({"centre": "0.1"}, "centre", "number"),
        ({"centre_rate": 0}, "centre_rate", "greater than 0"),
        ({"centre_rate": 1.5}, "centre_rate", "less than or equal to 1"),
        ({"center": 0.1}, "center", "no such field"),
    ],
)
def test_what_is_out_of_range_is_refused_by_its_field(given: dict[str, Any], field: str, allowed: str) -> None:
    (problem,) = read_draft(SearchSpec, _search({"cp_loss": given})).found
    assert problem.field == f"training.recipe.cp_loss.{field}"
    assert problem.given == given[field]
    assert allowed in problem.allowed


def test_samples_of_a_search_have_no_such_loss() -> None:
    """It is the training stage's; asked for where samples are trained, it is refused."""
    (problem,) = read_draft(SearchSpec, {"evaluation": {"cp_loss": {}}}).found
    assert problem.field == "evaluation.cp_loss"


def test_it_is_off_by_default_and_an_empty_object_stands_for_its_defaults() -> None:
    assert Recipe().cp_loss is None
    assert Recipe.model_validate({"cp_loss": {}}).cp_loss == CpLossSettings()


def test_the_strategys_example_of_a_training_as_published_is_a_spec() -> None:
    text = cp_nas.__doc__ or ""
    (example,) = re.findall(r"^ {4}(\{.*?^ {4}\})$", text, re.MULTILINE | re.DOTALL)
    draft = read_draft(SearchSpec, json.loads(example))
    assert draft.found == []
    spec = draft.spec
    assert spec is not None
    assert spec.strategy.name == "cp-nas"
    assert spec.training is not None
    assert spec.training.recipe.cp_loss is not None

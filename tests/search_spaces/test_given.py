"""Every model that reads what a user gave: JSON's own types and no others, whatever pydantic would make of them."""

import json
import math
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from nas_service.binarization.method import METHODS
from nas_service.data.dataset import DATASETS
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import LocalTrainingSpec, RegistrationSpec, SearchSpec, TrainingSpec
from search_spaces.given import GivenModel
from search_spaces.space import SpaceSettings

REGISTRIES = (METHODS, STRATEGIES, DATASETS)
ROOTS: list[type[BaseModel]] = [
    SearchSpec,
    TrainingSpec,
    LocalTrainingSpec,
    RegistrationSpec,
    SpaceSettings,
    *(registry.get(name).settings_model for registry in REGISTRIES for name in registry.names()),
]


def _parts(annotation: object) -> Iterator[Any]:
    """Yield a type and what it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _models() -> list[type[BaseModel]]:
    left, found = list(ROOTS), dict.fromkeys(ROOTS)
    while left:
        for field in left.pop().model_fields.values():
            below = [part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
            left += [model for model in below if model not in found]
            found |= dict.fromkeys(below)
    return list(found)


MODELS = _models()
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=[model.__name__ for model in MODELS])


def _refused(model: type[BaseModel], field: str, value: object) -> bool:
    try:
        model.model_validate({field: value})
    except ValidationError as error:
        return any(entry["loc"][:1] == (field,) for entry in error.errors())
    return False


def _wrong(annotation: object) -> list[object]:
    """Return values that are of another type in JSON, but that pydantic would take for it."""
    kinds = [kind for kind in _parts(annotation) if isinstance(kind, type)]
    if any(issubclass(kind, list | tuple | dict | BaseModel | Enum) for kind in kinds):
        return []
    wrong: list[object] = [1, 0, "true", "no"] if bool in kinds else [True, False]
    if int in kinds:
        wrong += [1.0, 1.5, "1"]
    if float in kinds:
        wrong += ["1", "0.5", math.nan, math.inf, -math.inf]
    if str in kinds:
        wrong += [1, 0.5]
    return wrong


@EVERY_MODEL
def test_what_a_user_gives_is_read_by_a_model_of_that_kind(model: type[BaseModel]) -> None:
    assert issubclass(model, GivenModel)


@EVERY_MODEL
def test_no_value_is_turned_into_another_type(model: type[BaseModel]) -> None:
    taken = [
        (field, value)
        for field, info in model.model_fields.items()
        for value in _wrong(info.annotation)
        if not _refused(model, field, value)
    ]
    assert taken == []


@EVERY_MODEL
def test_json_has_a_way_to_give_every_default_and_every_word_of_an_enum(model: type[BaseModel]) -> None:
    """A whole number is a fraction, a text an enum, a list a tuple."""
    for field, info in model.model_fields.items():
        kinds = [kind for kind in _parts(info.annotation) if isinstance(kind, type)]
        for word in (word for kind in kinds if issubclass(kind, Enum) for word in kind):
            if word.value not in {"regions", "kmap"}:  # these two do not go with every other default
                assert not _refused(model, field, word.value), (field, word)
        if info.is_required():
            continue
        default = json.loads(json.dumps(info.get_default(call_default_factory=True), default=lambda value: value.model_dump()))
        assert not _refused(model, field, default), (field, default)
        if float in kinds and isinstance(default, float) and default.is_integer():
            assert not _refused(model, field, int(default)), field


def test_entries_of_lists_are_read_as_strictly() -> None:
    for field, value in (("seeds", [True]), ("seeds", [1.0]), ("architectures", [1])):
        assert _refused(TrainingSpec, field, value)
    with pytest.raises(ValidationError, match=r"recipe\.milestones\.0"):
        LocalTrainingSpec.model_validate({"recipe": {"milestones": [True]}})
    for widths in ([0], [-4], [True], [10**9]):
        assert _refused(METHODS.get("rbcn").settings_model, "discriminator_widths", widths)


@EVERY_MODEL
def test_every_whole_number_has_a_largest(model: type[BaseModel]) -> None:
    """So that nothing that is counted from it grows out of hand."""
    properties = model.model_json_schema()["properties"]
    for field, info in model.model_fields.items():
        if int in _parts(info.annotation):
            described = str(properties[field])
            assert any(word in described for word in ("maximum", "exclusiveMaximum", "enum")), field

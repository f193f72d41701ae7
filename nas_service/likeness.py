"""Likeness: whether figures of several trainings may stand side by side, and what tells their methods apart. No SQL."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas_service.binarization.method import METHODS
from nas_service.catalogue import merged_recipe, needs_teacher
from nas_service.recipes.recipe import Recipe
from nas_service.specs import MethodChoice
from nas_service.terms import method_label
from nas_service.trained import TrainedCandidate, TrainingFacts
from search_spaces.errors import InvalidFieldError, UnknownNameError
from search_spaces.space import SPACES

_TEACHER = "teacher"
_REVISION = "revision"
_NO_FIELDS = {_TEACHER, _REVISION}  # of a recipe


def dataset_name(training: TrainingFacts) -> str:
    """Return the name of a training's dataset."""
    return str(training.spec.get("dataset", {"name": ""})["name"])


def space_name(training: TrainingFacts) -> str:
    """Return the name of the space of a training's architectures."""
    return str(training.spec.get("space", {"name": ""})["name"])


def dataset_label(training: TrainingFacts) -> str:
    """Return the name of a training's dataset, with the settings that were given: in the form of `method_label`."""
    return method_label(training.spec.get("dataset", {"name": ""}))


def recipe_of(training: TrainingFacts, method: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a method was trained with: its recipe, and a teacher that the spec names where it learns from one."""
    shared = Recipe.model_validate(training.spec.get("recipe", {}))
    choice = MethodChoice.model_validate(method)
    try:
        fields = merged_recipe(METHODS.get(choice.name), shared, choice)
        recipe = Recipe.model_validate(fields)
        is_taught = needs_teacher(recipe, method)
    except UnknownNameError:  # a method of an earlier version, or of a plug-in that is gone
        return {**shared.model_dump(mode="json"), **choice.recipe}
    teacher = {_TEACHER: training.spec.get(_TEACHER)} if is_taught else {}
    return recipe.model_dump(mode="json") | teacher


def planned_epochs(training: TrainingFacts, method: Mapping[str, Any]) -> int | None:
    """Return how many epochs a candidate with this method is trained; None where the spec does not tell."""
    return int(recipe_of(training, method)["epochs"]) if "recipe" in training.spec else None


def data_of(trainings: Sequence[TrainingFacts]) -> dict[str, str]:
    """Return what stands for the data of each training, by its id: the same for the same images, classes and split.

    A training that has not told their digest counts with one that names the same dataset with the same settings.
    """
    known = {dataset_label(training): training.digest for training in trainings if training.digest is not None}
    return {
        training.id: training.digest or known.get(dataset_label(training)) or dataset_label(training) for training in trainings
    }


def require_same_data(trainings: Sequence[TrainingFacts]) -> None:
    """Refuse to compare what was learnt from different images, or with another split.

    Raises:
        InvalidFieldError: If the trainings are not all on the same data.
    """
    keys = data_of(trainings)
    if len(set(keys.values())) > 1:
        named = {keys[training.id]: f"{training.id} is on {dataset_label(training)}" for training in reversed(trainings)}
        allowed = f"trainings on the same images, classes and split: {'; '.join(sorted(named.values()))}"
        raise InvalidFieldError("training", [training.id for training in trainings], allowed)


def told_apart(candidates: Sequence[TrainedCandidate], trainings: Sequence[TrainingFacts]) -> list[TrainedCandidate]:
    """Return candidates whose labels also name what their trainings did not have in common.

    That is what their recipes differ in, such as the number of epochs, the revision of the method's arithmetic, and, where
    trainings of one architecture have made different networks of it, settings of the space.
    """
    facts = {training.id: training for training in trainings}
    firsts = {_key(entry): entry for entry in candidates}
    recipes = {
        key: recipe_of(facts[entry.training], entry.method) | {_REVISION: entry.metrics.method_revision}
        for key, entry in firsts.items()
    }
    differing = _differing(recipes)
    widths = _network_words(candidates)
    labels = {
        key: method_label(firsts[key].method, [*_asked(recipe, differing[key[0]]), *widths[key[1]]])
        for key, recipe in recipes.items()
    }
    return [replace(entry, label=labels[_key(entry)]) for entry in candidates]


def _key(entry: TrainedCandidate) -> tuple[str, str, int]:
    """Return label, training and revision: what candidates that were trained with the same have in common."""
    return entry.label, entry.training, entry.metrics.method_revision


def _network_words(candidates: Sequence[TrainedCandidate]) -> dict[str, list[str]]:
    """Return by training the settings of its space in which it differs from another training of one of its architectures."""
    trained: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for entry in candidates:
        trained[entry.found.id][entry.training] = _all_settings(entry.space)
    words: dict[str, set[str]] = defaultdict(set)
    for by_training in trained.values():
        names = {name for settings in by_training.values() for name in settings}
        differing = [name for name in names if len({json.dumps(each.get(name)) for each in by_training.values()}) > 1]
        for training, settings in by_training.items():
            words[training] |= {f"space.{name}={json.dumps(settings.get(name))}" for name in differing}
    return defaultdict(list, {training: sorted(told) for training, told in words.items()})


def network_label(space: Mapping[str, Any]) -> str:
    """Return the name of a space with the settings in which it is not as it is without any: in the form of `method_label`."""
    bare = _all_settings({"name": space["name"]} | {"settings": dict.fromkeys(space.get("settings", {}))})
    changed = {name: value for name, value in _all_settings(space).items() if value != bare[name]}
    return method_label({"name": space["name"], "settings": changed})


def _all_settings(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a space that name a field of it; where one is left open, the space's own value."""
    try:
        own = SPACES.get(space.get("name", ""))
    except UnknownNameError:  # of an earlier version, or of a plug-in that is gone
        own = None
    given = space.get("settings", {})
    names = {*given, "channels", "cells", "template", "stem"}
    return {name: getattr(own, name, None) if given.get(name) is None else given[name] for name in sorted(names)}


def _differing(recipes: Mapping[tuple[str, str, int], Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the fields in which the recipes of one method differ from training to training, by the method's label."""
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (label, _, _), recipe in recipes.items():
        for field, value in recipe.items():
            seen[label][field].add(json.dumps(value, sort_keys=True))
    return {label: sorted(field for field, values in fields.items() if len(values) > 1) for label, fields in seen.items()}


def _asked(recipe: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    return [f"{'' if field in _NO_FIELDS else 'recipe.'}{field}={json.dumps(recipe.get(field))}" for field in fields]

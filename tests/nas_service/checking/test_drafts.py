"""Drafts: of a faulty spec everything that is wrong is told at once, each fault once, and what is right is still read."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from nas_service.capacity import Capacity
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.drafts import COMPONENTS, LISTS, MAX_VALUES, WORDS, read_draft
from nas_service.checking.specs import Place, check_local_training, check_search, check_training
from nas_service.errors import InvalidInputError
from nas_service.specs import LocalTrainingSpec, RegistrationSpec, SearchSpec, TrainingSpec

HERE = Place(Capacity(cpus=2, gpus=0), DatasetSource(Path(), {}))
SEARCH = {
    "space": {"name": "tiny", "settings": {}},
    "strategy": {"name": "abandit", "settings": {}},
    "method": {"name": "xnor-net", "settings": {}},
    "dataset": {"name": "digits", "settings": {}},
    "evaluation": {"acceleration": {}},
    "resources": {},
    "training": {
        "methods": [{"name": "bnn"}, {"name": "rbcn", "settings": {}, "recipe": {}}],
        "recipe": {"acceleration": {}},
        "resources": {},
    },
}
# Single faults: where, what, and the field that is complained about if it is another.
FAULTS: list[tuple[str, object, str | None]] = [
    ("colour", "red", None),
    ("seed", True, None),
    ("wave", "4", None),
    ("space.name", "tinyy", None),
    ("space.settings.channels", 1.5, None),
    ("space.settings.operations", ["skip", "skipp"], "space.settings.operations.1"),
    ("space.settings.template", "plane", None),
    ("strategy.name", "abandid", None),
    ("strategy.settings.speed", 9, None),
    ("strategy.settings.momentum", True, None),
    ("method.name", "xnor", None),
    ("method.settings.input_scale", "kmapp", None),
    ("dataset.settings.split_seed", -1, None),
    ("dataset.settings.test_fraction", 0.9999, None),
    ("evaluation.optimizer", "adamm", None),
    ("evaluation.acceleration.cuda_graph", True, None),
    ("evaluation.adversarial", {"steps": 0}, "evaluation.adversarial.steps"),
    ("resources.cpus_per_worker", 64, None),
    ("resources.gpus_per_worker", 1.5, None),
    ("training.seeds", [0, 0], None),
    ("training.seeds", [0, "1"], "training.seeds.1"),
    ("training.top_k", 6, None),
    ("training.methods.0.name", "bn", None),
    ("training.methods.0.name", 7, None),
    ("training.methods.0.settings", [], None),
    ("training.methods.1.settings.prune", 1.5, None),
    ("training.methods.1.settings.discriminator_widths", [64, 0], "training.methods.1.settings.discriminator_widths.1"),
    ("training.methods.1.recipe.epoch", 3, None),
    ("training.methods.1.recipe.preset", "paper", None),
    ("training.methods.1.recipe.learning_rate", -1, None),
    ("training.methods.1.recipe.warmup_epochs", 900, None),
    ("training.recipe.batch_size", 1, None),
    ("training.recipe.milestones", [0.5, 0.4], None),
    ("training.recipe.acceleration.precision", "bf17", None),
    ("training.recipe.cp_loss", {"kernel": -1}, "training.recipe.cp_loss.kernel"),
    ("training.early_stopping", {"grace_epochs": 30}, "training.early_stopping.grace_epochs"),
    ("training.early_stopping", {"grace": 30}, "training.early_stopping.grace"),
    ("training.robustness", {"eps": 2}, "training.robustness.eps"),
    ("training.resources.cpus_per_trial", 3, None),
    ("training.resources.max_concurrent", 0, None),
]
# What depends on another field is not judged while that one is faulty: it would be judged by a value that nobody gave.
DEPENDS = {
    "wave": (),
    "training.early_stopping.grace_epochs": ("training.methods",),
    "dataset.settings.test_fraction": ("dataset.settings",),
    "space.settings.channels": (),
    "evaluation.acceleration.cuda_graph": ("method", "resources.gpus_per_worker"),
    "training.methods.1.recipe.warmup_epochs": ("training.methods.1.settings", "training.methods.1.recipe.preset"),
}


def _put(spec: dict[str, Any], path: str, value: object) -> None:
    place: Any = spec
    *parents, leaf = path.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    place[int(leaf) if isinstance(place, list) else leaf] = value


def _with(*faults: tuple[str, object, str | None]) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(json.dumps(SEARCH))
    for path, value, _ in faults:
        _put(spec, path, value)
    return spec


def _fields(body: object) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        check_search(body, HERE)
    return [problem.field for problem in caught.value.problems]


def _hides(first: tuple[str, object, str | None], second: tuple[str, object, str | None]) -> bool:
    """Return whether the second fault cannot be seen, or be put, beside the first."""
    (path, value, _), field = first, second[2] or second[0]
    if path == second[0] or second[0].startswith(f"{path}."):
        return True  # they are about one field
    name = path.endswith(".name") and second[0].startswith(path.removesuffix("name"))
    judged = [path.startswith(dependency) for dependency in DEPENDS.get(field, ())]
    return (name and not isinstance(value, dict)) or any(judged)


def test_the_spec_without_faults_is_accepted() -> None:
    check_search(SEARCH, HERE)


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{path}={value}" for path, value, _ in FAULTS])
def test_a_single_fault_is_told_once_and_alone(fault: tuple[str, object, str | None]) -> None:
    assert _fields(_with(fault)) == [fault[2] or fault[0]]


def test_any_two_faults_are_told_together() -> None:
    """Whichever of the service's checks finds them; but for those that hide one another."""
    for first, second in combinations(FAULTS, 2):
        if _hides(first, second) or _hides(second, first):
            continue
        wanted = {fault[2] or fault[0] for fault in (first, second)}
        found = _fields(_with(first, second))
        assert sorted(found) == sorted(wanted), (first, second)


def test_all_kinds_of_faults_come_in_one_reply_in_the_order_of_the_fields() -> None:
    body = {
        "colour": "red",
        "training": {"methods": ["bn", {"name": "mcn"}, 3], "recipe": {"real_weight_stage": 0.5, "epochs": True}, "top_k": 9},
        "space": {"name": "tiny", "settings": {"operations": ["skip", "skipp", "conv-9x9"]}},
        "wave": 0,
        "seed": True,
        "strategy": {"settings": {"momentum": "0.5"}},
        "method": "xnor",
        "dataset": {"name": "image-folder", "settings": {"split_seed": True}},
        "resources": {"gpus_per_worker": 1},
    }
    assert _fields(body) == [
        "space.settings.operations.1",
        "space.settings.operations.2",
        "dataset.settings.split_seed",
        "dataset.settings.path",
        "method.name",
        "strategy.settings.momentum",
        "seed",
        "wave",
        "resources.gpus_per_worker",
        "training.methods.2",
        "training.recipe.epochs",
        "training.methods.0.name",
        "training.methods.1.recipe.real_weight_stage",
        "training.top_k",
        "colour",
    ]


def test_what_is_required_and_missing_does_not_hide_the_rest() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_training({"methods": ["bnn", "bn", {"settings": {}}], "seeds": [True], "space": {"name": "tinyy"}}, HERE)
    fields = [problem.field for problem in caught.value.problems]
    assert sorted(fields) == ["architectures", "dataset", "methods.1.name", "methods.2.name", "seeds.0", "space.name"]


def test_a_fault_in_a_shared_recipe_is_told_once_however_many_methods_it_spoils() -> None:
    graph: dict[str, object] = {"acceleration": {"cuda_graph": True}}
    late: dict[str, object] = {"epochs": 30, "warmup_epochs": 30}
    methods = ["bnn", "xnor-net", "react-net", {"name": "recu", "recipe": graph}]
    recipe: dict[str, object] = {**late, **graph}
    assert _fields({"training": {"methods": methods, "recipe": recipe}}) == [
        "training.methods.0.recipe.warmup_epochs",
        "training.methods.0.recipe.acceleration.cuda_graph",
        "training.methods.3.recipe.acceleration.cuda_graph",
    ]


def test_full_precision_networks_that_are_trained_first_are_held_to_the_shared_recipe() -> None:
    """Here the methods' own recipes fit, and the teacher's would have failed in its trial."""
    own = {"warmup_epochs": 0}
    shared = {"epochs": 3, "warmup_epochs": 3}
    for method, robustness in (("rbcn", None), ("bnn", {})):
        training = {"methods": [{"name": method, "recipe": own}], "recipe": shared, "robustness": robustness}
        assert _fields({"training": training}) == ["training.recipe.warmup_epochs"]
    check_search({"training": {"methods": [{"name": "bnn", "recipe": own}], "recipe": shared}}, HERE)


def test_every_field_that_a_spec_requires_has_a_stand_in() -> None:
    def required(model: type[BaseModel]) -> set[str]:
        fields = model.model_fields.items()
        own = {name for name, info in fields if info.is_required()}
        return own.union(*(required(part) for _, info in fields for part in _models(info.annotation)))

    def _models(annotation: object) -> list[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return [annotation]
        return [model for part in get_args(annotation) for model in _models(part)]

    for model in (SearchSpec, TrainingSpec, LocalTrainingSpec, RegistrationSpec):
        assert required(model) <= COMPONENTS | LISTS | WORDS


@pytest.mark.parametrize("body", [None, 3, "tiny", [1], True, b"bytes"])
def test_what_is_no_object_is_refused_as_a_whole(body: object) -> None:
    assert _fields(body) == ["body"]


def test_more_values_than_any_spec_needs_are_refused_before_they_are_judged_one_by_one() -> None:
    for body in ({f"f{index}": 1 for index in range(60_000)}, {"a": [[1, 2]] * 20_000}, {"seed": {"x": list(range(60_000))}}):
        with pytest.raises(InvalidInputError) as caught:
            read_draft(SearchSpec, body)
        ((problem),) = caught.value.problems
        assert (problem.field, f"{MAX_VALUES:,} entries in all" in problem.allowed) == ("body", True)
    largest = {"methods": ["bnn"], "architectures": [f"a{index}" for index in range(1000)], "space": "tiny", "dataset": "digits"}
    assert read_draft(TrainingSpec, largest).found == []


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["bnn", "tiny", "paper"]),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["name", "settings", "x", "path"]), below, max_size=3)
    ),
    max_leaves=5,
)
PATHS = [path for path, _, _ in FAULTS] + [
    "name", "space", "space.settings", "strategy", "method.settings", "dataset", "dataset.name", "evaluation", "training",
    "evaluation.acceleration", "training.methods", "training.methods.0", "training.methods.1.recipe", "training.recipe",
    "training.recipe.acceleration", "training.resources", "keep", "evaluation.adversarial.eps", "resources.workers",
]  # fmt: skip
TRAINING = {
    **{name: SEARCH[name] for name in ("space", "dataset")},
    **SEARCH["training"],  # type: ignore[dict-item]  # an object of JSON
    "architectures": ["a", "b"],
}
LOCAL = {"space": SEARCH["space"], "method": {"name": "bnn", "recipe": {}}, "recipe": {"acceleration": {}}}


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK), min_size=1, max_size=4))
def test_whatever_is_given_is_accepted_or_refused_field_by_field(junk: list[tuple[str, object]]) -> None:
    """Never another error, and no field is complained about twice."""
    for spec, check in (
        (SEARCH, lambda body: check_search(body, HERE)),
        (TRAINING, lambda body: check_training(body, HERE)),
        (LOCAL, lambda body: check_local_training(body, Path())),
    ):
        body: dict[str, Any] = json.loads(json.dumps(spec))
        for path, value in junk:
            try:
                _put(body, path if spec is SEARCH else path.removeprefix("training."), value)
            except (TypeError, AttributeError, ValueError, IndexError, KeyError):
                continue  # what was put there a moment ago has no such place
        try:
            check(body)
        except InvalidInputError as error:
            fields = [problem.field for problem in error.problems]
            assert len(fields) == len(set(fields)), fields

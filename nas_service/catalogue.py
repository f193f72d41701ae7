"""The catalogue: turning the names and settings of a spec into the things they stand for, or saying what is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from nas_service.binarization.method import METHODS, Method
from nas_service.data.dataset import DATASETS, Dataset, ImageDataset
from nas_service.errors import InvalidInputError
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.specs import Component, LocalTrainingSpec, MethodChoice, SearchSpec, TrainingSection, TrainingSpec
from nas_service.training.candidate.phases import plan_phases
from search_spaces.errors import InvalidFieldError, UnknownNameError
from search_spaces.operation import OPERATIONS
from search_spaces.registry import near_matches
from search_spaces.space import SPACES, SearchSpace, SpaceSettings
from search_spaces.template import TEMPLATES

Built = TypeVar("Built")


@dataclass(frozen=True)
class Capacity:
    """What the place where drivers run can give.

    Attributes:
        cpus: Processors in all.
        gpus: GPUs in all.
        node_cpus: Processors of the machine that has most; an actor or trial runs on one machine. None: all are on one.
        node_gpus: The same of GPUs.
    """

    cpus: float
    gpus: float
    node_cpus: float | None = None
    node_gpus: float | None = None


def complaint(field: str, entry: Mapping[str, Any]) -> InvalidFieldError:
    """Return one of pydantic's complaints as ours."""
    if entry["type"] == "missing":
        return InvalidFieldError(field or "body", None, "a value: this field is required")
    if entry["type"] == "extra_forbidden":
        return InvalidFieldError(field or "body", entry.get("input"), "nothing: there is no such field")
    return InvalidFieldError(
        field or "body", entry.get("input"), entry["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    )


def field_errors(error: ValidationError, prefix: str = "") -> list[InvalidFieldError]:
    """Return pydantic's complaints as ours: dotted field, value given, what is allowed."""
    problems = []
    for entry in error.errors(include_url=False):
        path = ".".join([prefix, *(str(part) for part in entry["loc"])]).strip(".")
        problems.append(complaint(path, entry))
    return problems


class _Problems:
    """Collects complaints, so that a user sees all of them at once."""

    def __init__(self) -> None:
        self.found: list[InvalidFieldError] = []

    def attempt(self, field: str, build: Callable[[], Built], part: str = "settings") -> Built | None:
        """Return what `build` makes, or None and keep the complaint under `field`, in its `part`."""
        try:
            return build()
        except UnknownNameError as error:
            self.found.append(InvalidFieldError(f"{field}.name", error.name, error.allowed))
        except InvalidFieldError as error:
            self.found.append(error.under(f"{field}.{part}"))
        except ValidationError as error:
            self.found.extend(field_errors(error, f"{field}.{part}"))
        return None

    def finish(self) -> None:
        """Raise what was collected."""
        if self.found:
            raise InvalidInputError(self.found)


def build_space(component: Component) -> SearchSpace:
    """Return a space with its settings; operations and templates are known to exist.

    Raises:
        UnknownNameError: If there is no space of that name.
        InvalidFieldError: If a setting does not fit.
        pydantic.ValidationError: If a setting is unknown or out of range.
    """
    space = SPACES.get(component.name)
    settings = SpaceSettings.model_validate(component.settings)
    for index, operation in enumerate(settings.operations or ()):
        _known(OPERATIONS.get, operation, f"operations.{index}")
    if settings.template is not None:
        _known(TEMPLATES.get, settings.template, "template")
    return space.configure(settings)


def _known(get: Callable[[str], object], name: str, field: str) -> None:
    try:
        get(name)
    except UnknownNameError as error:
        raise InvalidFieldError(field, name, error.allowed) from error


def build_method(component: Component) -> Method:
    """Return a method with its settings; raises as `build_space`."""
    return METHODS.get(component.name).from_settings(component.settings)


def build_recipe(shared: Recipe, choice: MethodChoice) -> Recipe:
    """Return the recipe of one method of a training, and make sure that the two fit.

    Raises:
        InvalidFieldError: If the method cannot be trained so.
        pydantic.ValidationError: If a field is unknown or out of range.
    """
    changes = dict(choice.recipe)
    preset = changes.pop("preset", "shared")
    if preset not in {"shared", "paper"}:
        raise InvalidFieldError("preset", preset, "shared or paper")
    method = build_method(choice)
    own = method.paper_recipe if preset == "paper" else {}
    if preset == "paper" and not own:
        raise InvalidFieldError("preset", preset, f"shared: nobody has published the recipe of {choice.name}")
    recipe = Recipe.model_validate({**shared.model_dump(), **own, **changes})
    plan_phases(method, recipe)
    return recipe


def needs_teacher(recipe: Recipe, method: Mapping[str, Any]) -> bool:
    """Return whether a candidate with this recipe and this method, as it is stored, learns from a teacher."""
    return recipe.distillation > 0 or build_method(MethodChoice.model_validate(method)).needs_teacher


def build_strategy(component: Component, space: SearchSpace, seed: int) -> Strategy:
    """Return a strategy with its settings; raises as `build_space`."""
    return STRATEGIES.get(component.name).from_settings(space, component.settings, seed)


def build_dataset(component: Component) -> Dataset:
    """Return a dataset with its settings, reading nothing; raises as `build_space`."""
    return DATASETS.get(component.name).from_settings(component.settings)


def resolve_dataset(component: Component, registered: Mapping[str, Component]) -> Component:
    """Return a registered dataset as its kind with its settings, settings given with the name on top; others as they are.

    Raises:
        UnknownNameError: If the name is neither built in nor registered.
    """
    if component.name in registered:
        named = registered[component.name]
        return Component(name=named.name, settings={**named.settings, **component.settings})
    known = {*DATASETS.names(), *registered}
    if component.name not in known:
        raise UnknownNameError("dataset", component.name, near_matches(component.name, known), sorted(known))
    return component


def check_search(spec: SearchSpec, data_root: Path, capacity: Capacity, registered: Mapping[str, Component]) -> SearchSpec:
    """Check everything that can be checked before a search starts; return the spec with its dataset resolved.

    Raises:
        InvalidInputError: With every complaint found.
    """
    problems = _Problems()
    space = problems.attempt("space", lambda: build_space(spec.space))
    method = problems.attempt("method", partial(build_method, spec.method))
    if method is not None and method.needs_teacher:
        problems.found.append(InvalidFieldError("method.name", spec.method.name, "a method that trains without a teacher"))
    if method is not None:
        _check_acceleration(problems, "evaluation", spec.evaluation, method, _device(spec.resources.gpus_per_worker))
    if space is not None:
        strategy = problems.attempt("strategy", lambda: build_strategy(spec.strategy, space, spec.seed))
        if strategy is not None and strategy.largest_wave is not None and spec.wave > strategy.largest_wave:
            allowed = f"no more than {strategy.largest_wave}, the samples of the longest round of {spec.strategy.name}"
            problems.found.append(InvalidFieldError("wave", spec.wave, allowed))
    dataset = _check_dataset(problems, spec.dataset, data_root, registered)
    resources = spec.resources
    _check_resources(problems, "resources.cpus_per_worker", resources.cpus_per_worker, resources.workers or 1, capacity)
    _check_resources(problems, "resources.gpus_per_worker", resources.gpus_per_worker, resources.workers or 1, capacity)
    if spec.training is not None:
        _check_training(problems, spec.training, "training.", capacity)
        if spec.training.top_k > spec.keep:
            allowed = f"no more than keep, which is {spec.keep}"
            problems.found.append(InvalidFieldError("training.top_k", spec.training.top_k, allowed))
    problems.finish()
    return spec.model_copy(update={"dataset": dataset})


def check_training(spec: TrainingSpec, data_root: Path, capacity: Capacity, registered: Mapping[str, Component]) -> TrainingSpec:
    """As `check_search`, for a training."""
    problems = _Problems()
    problems.attempt("space", lambda: build_space(spec.space))
    dataset = _check_dataset(problems, spec.dataset, data_root, registered)
    _check_training(problems, spec, "", capacity)
    problems.finish()
    return spec.model_copy(update={"dataset": dataset})


def check_local_training(body: Mapping[str, object], data_root: Path, device: str) -> LocalTrainingSpec:
    """Read and check the spec of a training in this process, on a device of the type `device`.

    Raises:
        InvalidInputError: With every complaint found.
    """
    try:
        spec = LocalTrainingSpec.model_validate(body)
    except ValidationError as error:
        raise InvalidInputError(field_errors(error)) from error
    problems = _Problems()
    problems.attempt("space", lambda: build_space(spec.space))
    method = problems.attempt("method", partial(build_method, spec.method))
    if method is not None:
        recipe = problems.attempt("method", partial(build_recipe, spec.recipe, spec.method), "recipe")
        if recipe is not None:
            _check_acceleration(problems, "method.recipe", recipe, method, device)
    _check_dataset(problems, spec.dataset, data_root, {})
    problems.finish()
    return spec


def open_dataset(component: Component, data_root: Path) -> ImageDataset:
    """Read a built-in kind of dataset with its settings, whole.

    Raises:
        InvalidInputError: If the kind or a setting is unknown, or a file is not as it should be.
    """
    problems = _Problems()
    loaded = problems.attempt("dataset", lambda: build_dataset(component).load(data_root))
    problems.finish()
    assert loaded is not None  # noqa: S101 - for the type checker; no problem, so it was loaded
    return loaded


def _check_dataset(
    problems: _Problems, component: Component, data_root: Path, registered: Mapping[str, Component]
) -> Component | None:
    dataset = problems.attempt("dataset", lambda: resolve_dataset(component, registered))
    if dataset is not None:
        problems.attempt("dataset", lambda: build_dataset(dataset).check(data_root))
    return dataset


def _check_training(problems: _Problems, section: TrainingSection, prefix: str, capacity: Capacity) -> None:
    for index, method in enumerate(section.methods):
        field = f"{prefix}methods.{index}"
        built = problems.attempt(field, partial(build_method, method))
        if built is None:
            continue
        recipe = problems.attempt(field, partial(build_recipe, section.recipe, method), "recipe")
        if recipe is not None:
            _check_acceleration(problems, f"{field}.recipe", recipe, built, _device(section.resources.gpus_per_trial))
    for field in ("cpus_per_trial", "gpus_per_trial"):
        _check_resources(problems, f"{prefix}resources.{field}", getattr(section.resources, field), 1, capacity)


def _device(gpus: float) -> str:
    """Return the type of device that such a share of GPUs means."""
    return "cuda" if gpus else "cpu"


def _check_acceleration(
    problems: _Problems, field: str, settings: Recipe | EvaluationSettings, method: Method, device: str
) -> None:
    """Refuse switches that cannot work on the type of device where it will be trained, or with the method."""
    try:
        settings.acceleration.resolve(device, method, settings.epochs)
    except InvalidFieldError as error:
        problems.found.append(error.under(field))


def _check_resources(problems: _Problems, field: str, each: float, count: int, capacity: Capacity) -> None:
    """Refuse what the cluster can never give: Ray would leave it pending for ever."""
    cpus = ".cpus_per_" in field
    there = capacity.cpus if cpus else capacity.gpus
    node = capacity.node_cpus if cpus else capacity.node_gpus
    if each * count > there:
        problems.found.append(InvalidFieldError(field, each * count, f"no more than the cluster has in all, which is {there:g}"))
    elif node is not None and each > node:
        problems.found.append(InvalidFieldError(field, each, f"no more than one machine of the cluster has, which is {node:g}"))

"""The catalogue: turning the names and settings of a spec into the things they stand for."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from nas_service.arm_costs import arm_costs, format_of
from nas_service.binarization.method import METHODS, Method
from nas_service.c_figures import c_figures, methods_in_c
from nas_service.constraints import CountedImage
from nas_service.data.dataset import DATASETS, Dataset
from nas_service.recipes.recipe import Recipe
from nas_service.search.earlier import PriorSearch
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.specs import (
    Component,
    LocalTrainingSpec,
    MethodChoice,
    SearchSpec,
    TrainingSpec,
)
from nas_service.training.candidate.phases import plan_phases
from search_spaces.cost import FULL_PRECISION, Size
from search_spaces.errors import InvalidFieldError, UnknownNameError
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, network_cost
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES, SearchSpace, SpaceSettings
from search_spaces.template import TEMPLATES

_NOMINAL = ImageFormat(channels=3, size=Size(32, 32), classes=10, mean=(0.5,) * 3, std=(0.5,) * 3)

Spec = TypeVar("Spec", SearchSpec, TrainingSpec, LocalTrainingSpec)


def load_entries() -> None:
    """Import every entry there is: else the first request does, which holds up whatever else its process does by a second."""
    for registry in (SPACES, OPERATIONS, TEMPLATES, STRATEGIES, METHODS, DATASETS):
        registry.names()


def build_space(component: Component) -> SearchSpace:
    """Return a space with its settings; operations and templates are known to exist.

    Raises:
        UnknownNameError: If there is no space of that name.
        InvalidFieldError: If a setting does not fit.
        pydantic.ValidationError: If a setting is unknown or out of range.
    """
    space = SPACES.get(component.name)
    settings = SpaceSettings.model_validate(component.settings)
    for problem in unknown_parts(settings):
        raise problem
    return space.configure(settings)


def stated_space(component: Component) -> Component:
    """Return a space with its template written out: what is kept says its own, whatever a later version's default is.

    Raises as `build_space`.
    """
    return component.model_copy(update={"settings": {**component.settings, "template": build_space(component).template}})


def unknown_parts(settings: SpaceSettings) -> Iterator[InvalidFieldError]:
    """Yield complaints about operations and templates that there are not."""
    names: list[tuple[Callable[[str], object], str, str]] = [
        (OPERATIONS.get, name, f"operations.{index}") for index, name in enumerate(settings.operations or ())
    ]
    names += [(TEMPLATES.get, settings.template, "template")] if settings.template is not None else []
    for get, name, place in names:
        try:
            get(name)
        except UnknownNameError as error:
            yield InvalidFieldError(place, name, error.allowed)


def build_method(component: Component) -> Method:
    """Return a method with its settings; raises as `build_space`."""
    return METHODS.get(component.name).from_settings(component.settings)


def merged_recipe(method: type[Method], shared: Recipe, choice: MethodChoice) -> dict[str, Any]:
    """Return the fields of one method's recipe: its own over its authors', if asked for, over the shared ones.

    Raises:
        InvalidFieldError: If the preset is unknown, or there is none of the method.
    """
    return {**shared.model_dump(), **preset_of(method, choice), **changes_of(choice)}


def preset_of(method: type[Method], choice: MethodChoice) -> Mapping[str, Any]:
    """Return the fields of a recipe that a choice's preset stands for; raises as `merged_recipe`."""
    preset = choice.recipe.get("preset", "shared")
    if preset == "shared":
        return {}
    presets = method.presets()
    if not presets:
        raise InvalidFieldError("preset", preset, f"shared: nobody has published the recipe of {choice.name}")
    if not isinstance(preset, str) or preset not in presets:
        raise InvalidFieldError("preset", preset, " or ".join(("shared", *presets)))
    return presets[preset]


def changes_of(choice: MethodChoice) -> dict[str, Any]:
    """Return the fields of a recipe that a choice sets itself."""
    return {name: value for name, value in choice.recipe.items() if name != "preset"}


def build_recipe(shared: Recipe, choice: MethodChoice) -> Recipe:
    """Return the recipe of one method of a training, and make sure that the two fit.

    Raises:
        InvalidFieldError: If the method cannot be trained so.
        pydantic.ValidationError: If a field is unknown or out of range.
    """
    recipe = Recipe.model_validate(merged_recipe(METHODS.get(choice.name), shared, choice))
    plan_phases(build_method(choice), recipe)
    return recipe


def needs_teacher(recipe: Recipe, method: Mapping[str, Any]) -> bool:
    """Return whether a candidate with this recipe and this method, as it is stored, learns from a teacher."""
    return recipe.distillation > 0 or build_method(MethodChoice.model_validate(method)).facts.needs_teacher


def build_strategy(component: Component, space: SearchSpace, seed: int) -> Strategy:
    """Return a strategy with its settings; raises as `build_space`."""
    return STRATEGIES.get(component.name).from_settings(space, component.settings, seed, partial(count_parameters, space))


def search_strategy(spec: SearchSpec, prior: PriorSearch | None) -> Strategy:
    """Return the strategy of a checked search, with the limits that it keeps and the samples that its spec begins from.

    Raises:
        InvalidFieldError: As `build_space`, and if the samples are not those that the spec names.
    """
    named = None if spec.from_search is None else spec.from_search.samples
    if named != (None if prior is None else len(prior.history)):
        raise InvalidFieldError("from_search.samples", named, "as many samples as the other search still has")
    return planned_strategy(spec).warmed(prior)


def planned_strategy(spec: SearchSpec) -> Strategy:
    """Return the strategy of a checked search for what no sample has a say in: its total and its fidelities; raises likewise."""
    space = build_space(spec.space)
    return limited_strategy(spec, space, None if spec.constraints is None else spec.constraints.image)


def samples_of(spec: SearchSpec) -> int:
    """Return how many samples a checked search takes; limits and aims have no say in it."""
    return build_strategy(spec.strategy, build_space(spec.space), spec.seed).total


def limited_strategy(spec: SearchSpec, space: SearchSpace, image: CountedImage | None) -> Strategy:
    """As `search_strategy`, of a space, with costs counted for an image.

    Raises:
        InvalidFieldError: As `build_space`, and if there are limits and no image, or no architecture keeps them.
    """
    kind, most = STRATEGIES.get(spec.strategy.name), {} if spec.constraints is None else spec.constraints.given
    limits = aims = None
    if most or spec.objectives:
        if image is None:
            raise InvalidFieldError("constraints.image", None, "what the costs are counted for")
        costs = arm_costs(space, format_of(image), build_method(spec.method).facts.precision)
        limits = costs.limits(spec.constraints.sums) if spec.constraints is not None and most else None
        aims = costs.aims(space, spec.objectives, limits) if spec.objectives else None
        if limits is not None and spec.constraints is not None and spec.constraints.in_c:
            figures = c_figures(space, methods_in_c(spec), format_of(image))
            limits = figures.limits(spec.constraints.in_c, limits)
    return kind.from_settings(space, spec.strategy.settings, spec.seed, partial(count_parameters, space), limits, aims)


def count_parameters(space: SearchSpace, genotype: Genotype) -> int:
    """Return the number of parameters of a network for ten classes of RGB images; others have more or fewer by a constant."""
    cost = network_cost(space, genotype, _NOMINAL, FULL_PRECISION)
    return cost.binary_parameters + cost.float_parameters


def build_dataset(component: Component) -> Dataset:
    """Return a dataset with its settings, reading nothing; raises as `build_space`."""
    return DATASETS.get(component.name).from_settings(component.settings)

"""Checking specs: everything that is wrong with one is found when it is submitted, and told at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from nas_service.binarization.method import Method
from nas_service.capacity import Capacity
from nas_service.catalogue import build_method, build_space, build_strategy, stated_space, unknown_parts
from nas_service.checking.constraints import check_constraints, check_objectives, stated_constraints
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.drafts import Draft, read_draft
from nas_service.checking.from_search import check_from_search, stated_from_search
from nas_service.checking.own import check_attacked, check_own, stated_evaluation, stated_method
from nas_service.checking.problems import Problems
from nas_service.checking.sections import (
    Fitted,
    Told,
    check_candidates,
    check_early_stopping,
    check_phases,
    fit_method,
    full_precision,
)
from nas_service.checking.suitability import check_fraction, check_tests
from nas_service.data.facts import DatasetFacts
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.search.earlier import PriorSearch
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import (
    MAX_SAMPLES,
    Component,
    FromSearch,
    LocalTrainingSpec,
    SearchSpec,
    TrainingSection,
    TrainingSpec,
)
from search_spaces.space import SPACES, SearchSpace, SpaceSettings

Spec = TypeVar("Spec", SearchSpec, TrainingSpec, LocalTrainingSpec)


@dataclass(frozen=True)
class Place:
    """Where a job would run, and what can be named there.

    Attributes:
        capacity: Of the cluster.
        datasets: Where they come from.
        searches: Gives the samples of another search; None where there is no such search, nor any service.
    """

    capacity: Capacity
    datasets: DatasetSource
    searches: Callable[[FromSearch], PriorSearch | None] = lambda _: None


@dataclass(frozen=True)
class Checked(Generic[Spec]):
    """A spec that does not fail for what could be known now.

    Attributes:
        spec: With its dataset resolved.
        facts: Of the dataset.
    """

    spec: Spec
    facts: DatasetFacts


def check_search(body: object, place: Place) -> Checked[SearchSpec]:
    """Read a search from JSON and check everything that can be checked before it starts.

    Raises:
        InvalidInputError: With every complaint found.
    """
    draft = read_draft(SearchSpec, body)
    draft.spec = draft.spec.model_copy(update={"method": stated_method(draft)})
    spec, training = draft.spec, draft.spec.training
    prior = None if spec.from_search is None else place.searches(spec.from_search)
    _check_samples(draft, prior)
    dataset = place.datasets.check(draft, spec.dataset)
    for name in ("cpus_per_worker", "gpus_per_worker"):
        each = getattr(spec.resources, name)
        _check_resources(draft, f"resources.{name}", each, spec.resources.workers or 1, place.capacity)
    if training is not None:
        _check_section(draft, training, "training.", place.capacity, ("top_k", training.architectures))
        if training.top_k > spec.keep and draft.sound("training.top_k", "keep"):
            draft.complain("training.top_k", training.top_k, f"no more than keep, which is {spec.keep}")
        _check_controls(draft, training.controls)
    if dataset is not None:
        check_fraction(draft, spec, dataset[1])
        check_constraints(draft, spec, dataset[1])
        check_objectives(draft, spec, dataset[1])
        if training is not None:
            check_tests(draft, dataset[1])
    checked = _finish(draft, dataset)
    return replace(checked, spec=checked.spec.model_copy(update={"from_search": stated_from_search(spec, prior)}))


def check_training(
    body: object, place: Place, look_up: Callable[[Draft[TrainingSpec], DatasetFacts | None], None] | None = None
) -> Checked[TrainingSpec]:
    """As `check_search`, for a training; `look_up` complains about what only the database knows."""
    draft = read_draft(TrainingSpec, body)
    spec = draft.spec
    _check_space(draft, spec.space)
    dataset = place.datasets.check(draft, spec.dataset)
    subjects = ("architectures", len(spec.architectures))
    has_teacher = spec.teacher is not None or not draft.sound("teacher")
    _check_section(draft, spec, "", place.capacity, subjects, has_teacher=has_teacher)
    if dataset is not None:
        check_tests(draft, dataset[1])
    if look_up is not None:
        look_up(draft, None if dataset is None else dataset[1])
    return _finish(draft, dataset)


def check_local_training(body: object, data_root: Path, gpus: float = 0) -> LocalTrainingSpec:
    """Read and check the spec of a training in this process, on a GPU or without.

    Raises:
        InvalidInputError: With every complaint found.
    """
    draft = read_draft(LocalTrainingSpec, body)
    spec = draft.spec
    _check_space(draft, spec.space)
    fitted = fit_method(draft, "method", spec.method, spec.recipe)
    _check_fitted(draft, spec, [fitted] if fitted else [], "", gpus)
    dataset = DatasetSource(data_root, {}).check(draft, spec.dataset)
    if dataset is not None:
        check_tests(draft, dataset[1])
    return _finish(draft, dataset).spec


def _finish(draft: Draft[Spec], dataset: tuple[Component, DatasetFacts] | None) -> Checked[Spec]:
    draft.finish(tuple(type(draft.spec).model_fields))
    assert dataset is not None  # noqa: S101 - for the type checker; no problem, so there is one
    stated: dict[str, Any] = {"dataset": dataset[0], "space": stated_space(draft.spec.space)}
    if isinstance(draft.spec, SearchSpec):
        needs_own = STRATEGIES.get(draft.spec.strategy.name).needs_own
        stated["evaluation"] = stated_evaluation(draft.spec, needs_own=needs_own)
        stated["constraints"] = stated_constraints(draft.spec, dataset[1])
    return Checked(draft.spec.model_copy(update=stated), dataset[1])


def _check_space(problems: Problems, component: Component) -> SearchSpace | None:
    space = problems.attempt("space", partial(SPACES.get, component.name))
    if space is None:
        return None
    settings = read_draft(SpaceSettings, component.settings)
    settings.found.extend(problem for problem in unknown_parts(settings.spec) if settings.sound(problem.field))
    problems.found.extend(problem.under("space.settings") for problem in settings.found)
    return problems.attempt("space", partial(space.configure, settings.spec))


def _check_samples(draft: Draft[SearchSpec], prior: PriorSearch | None) -> None:
    """Check what samples are drawn from, how, and how they are trained."""
    spec = draft.spec
    space = _check_space(draft, spec.space)
    method = draft.attempt("method", partial(build_method, spec.method))
    if method is not None and method.facts.needs_teacher:
        draft.complain("method.name", spec.method.name, "a method that trains without a teacher")
    elif method is not None and draft.sound("evaluation.acceleration", "evaluation.epochs", "resources.gpus_per_worker"):
        _check_acceleration(draft, "evaluation", spec.evaluation, method, spec.resources.gpus_per_worker)
    kind = draft.attempt("strategy", partial(STRATEGIES.get, spec.strategy.name))
    if kind is not None:
        draft.attempt("strategy", partial(kind.settings_model.model_validate, spec.strategy.settings))
    strategy = None if space is None else draft.attempt("strategy", partial(build_strategy, spec.strategy, space, spec.seed))
    if strategy is None or space is None:
        return
    check_from_search(draft, spec, strategy, prior)
    check_attacked(draft, spec, needs_own=strategy.needs_own)
    if method is not None:
        check_own(draft, spec, strategy, method)
        own = stated_evaluation(spec, needs_own=strategy.needs_own).own
        if own is not None and own.recipe is not None and draft.sound("evaluation.own", "resources.gpus_per_worker"):
            _check_acceleration(draft, "evaluation.own.recipe", own.recipe, method, spec.resources.gpus_per_worker)
    if space.size() == 1 and strategy.total != 1:
        allowed = f"1 sample, which abandit takes: space {spec.space.name} holds one architecture, and there is nothing to search"
        draft.complain("strategy", f"{spec.strategy.name}, {strategy.total:,} samples", allowed)
    if strategy.total > MAX_SAMPLES:
        draft.complain("strategy.settings", f"{strategy.total:,} samples", f"at most {MAX_SAMPLES:,} samples in all")
    if strategy.largest_wave is not None and spec.wave > strategy.largest_wave and draft.sound("wave"):
        allowed = f"no more than {strategy.largest_wave}, the samples of the longest round of {spec.strategy.name}"
        draft.complain("wave", spec.wave, allowed)


def _check_controls(draft: Draft[SearchSpec], controls: int) -> None:
    """Refuse controls where there is nothing to draw."""
    if controls and draft.sound("space", "training.controls") and build_space(draft.spec.space).size() == 1:
        draft.complain("training.controls", controls, f"0: space {draft.spec.space.name} holds one architecture")


def _check_section(
    problems: Problems,
    section: TrainingSection,
    prefix: str,
    capacity: Capacity,
    subjects: tuple[str, int],
    *,
    has_teacher: bool = False,
) -> None:
    places = [f"{prefix}methods.{index}" for index in range(len(section.methods))]
    tried = [fit_method(problems, *entry, section.recipe) for entry in zip(places, section.methods, strict=True)]
    fitted = [entry for entry in tried if entry is not None]
    _check_fitted(problems, section, fitted, prefix, section.resources.gpus_per_trial, has_teacher=has_teacher)
    check_early_stopping(problems, section.early_stopping, fitted, prefix)
    for name in ("cpus_per_trial", "gpus_per_trial"):
        _check_resources(problems, f"{prefix}resources.{name}", getattr(section.resources, name), 1, capacity)
    check_candidates(problems, section, prefix, subjects)  # last: a complaint about `methods` hides what depends on one of them


def _check_fitted(
    problems: Problems,
    section: TrainingSection | LocalTrainingSpec,
    fitted: Sequence[Fitted],
    prefix: str,
    gpus: float,
    *,
    has_teacher: bool = False,
) -> None:
    """Check methods with their recipes, and the full-precision networks that are trained before them."""
    first = full_precision(fitted, section.recipe, section.robustness, prefix, has_teacher=has_teacher)
    trained = [*fitted, *([first] if first is not None else [])]
    check_phases(problems, trained, prefix)
    told = Told()
    for entry in trained:
        place = entry.field if "acceleration" in entry.own else f"{prefix}recipe"
        if problems.sound(f"{place}.acceleration", f"{place}.epochs", f"{prefix}resources.gpus_per_trial"):
            start = len(problems.found)
            _check_acceleration(problems, entry.field, entry.recipe, entry.method, gpus)
            told.drop_repeats(problems, start, entry)


def _check_acceleration(
    problems: Problems, field: str, settings: Recipe | EvaluationSettings, method: Method, gpus: float
) -> None:
    """Refuse switches that cannot work on the kind of device where it will be trained, or with the method."""
    found = settings.acceleration.refusals("cuda" if gpus else "cpu", method.facts, settings.epochs)
    problems.found.extend(error.under(field) for error in found)


def _check_resources(problems: Problems, field: str, each: float, count: int, capacity: Capacity) -> None:
    """Refuse what the cluster can never give: Ray would leave it pending for ever."""
    cpus = ".cpus_per_" in field
    there = capacity.cpus if cpus else capacity.gpus
    node = capacity.node_cpus if cpus else capacity.node_gpus
    if not problems.sound(field, field.rpartition(".")[0] + ".workers"):
        return
    if each * count > there:
        problems.complain(field, each * count, f"no more than the cluster has in all, which is {there:g}")
    elif node is not None and each > node:
        problems.complain(field, each, f"no more than one machine of the cluster has, which is {node:g}")

"""Samples that are trainings of their own: whether method, recipe and strategy allow it, and what is meant without a word."""

from nas_service.binarization.method import Method
from nas_service.checking.problems import Problems
from nas_service.recipes.recipe import EvaluationSettings, OwnTrainings, Recipe
from nas_service.search.strategy import Strategy
from nas_service.specs import SearchSpec
from nas_service.training.candidate.own import short_epochs
from nas_service.training.candidate.phases import plan_phases
from search_spaces.errors import InvalidFieldError

_FIELD = "evaluation.own"


def stated_evaluation(spec: SearchSpec, *, needs_own: bool) -> EvaluationSettings:
    """Return how samples are trained, with what the spec leaves open about trainings of their own."""
    own = spec.evaluation.own or (OwnTrainings() if needs_own else None)
    if own is not None and own.recipe is None:
        shared = Recipe() if spec.training is None else spec.training.recipe
        own = own.model_copy(update={"recipe": shared})
    return spec.evaluation.model_copy(update={"own": own})


def check_own(problems: Problems, spec: SearchSpec, strategy: Strategy, method: Method) -> None:
    """Refuse trainings of their own that cannot be carried out, or whose rewards would not be what was asked for."""
    own = stated_evaluation(spec, needs_own=strategy.needs_own).own
    if own is None or own.recipe is None or not problems.sound(_FIELD, "method", "strategy"):
        return
    if strategy.needs_parent:
        problems.complain(_FIELD, "given", f"null: {spec.strategy.name} judges a path by its parent's shared weights, too")
    if spec.evaluation.adversarial is not None and problems.sound("evaluation.adversarial"):
        allowed = "null: the rewards of trainings of their own are of clean images; share weights, with another strategy"
        problems.complain("evaluation.adversarial", "given", allowed)
    place, recipe = f"{_FIELD}.recipe", own.recipe
    if recipe.adversarial is not None:
        problems.complain(f"{place}.adversarial", "given", "null: the rewards of trainings of their own are of clean images")
    if recipe.distillation > 0:
        problems.complain(f"{place}.distillation", recipe.distillation, "0: there is no teacher for an architecture just sampled")
    for fidelity in {strategy.fidelity(0), strategy.fidelity(strategy.total - 1)}:
        epochs = short_epochs(recipe, fidelity)
        try:
            plan_phases(method, recipe.model_copy(update={"epochs": epochs}))
        except InvalidFieldError as error:
            told = "" if fidelity == 1 else f" (of {recipe.epochs} epochs a short training has {epochs})"
            problems.complain(place, f"{error.field} {error.given}{told}", str(error.allowed))
            return

"""Samples that are trainings of their own: whether method, recipe and strategy allow it, and what is meant without a word."""

import math
from functools import partial

from pydantic import BaseModel

from nas_service.binarization.method import METHODS, Method
from nas_service.catalogue import build_method
from nas_service.checking.drafts import Draft
from nas_service.checking.problems import Problems
from nas_service.constraints import ATTACKED
from nas_service.recipes.recipe import EvaluationSettings, OwnTrainings, Recipe
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.specs import Component, SearchSpec
from nas_service.training.candidate.own import short_recipe
from nas_service.training.candidate.phases import plan_phases
from search_spaces.errors import InvalidFieldError

_FIELD = "evaluation.own"
_ROUNDING = 1e-9
_DIGITS = 10_000  # a share is told to so many parts


def stated_evaluation(spec: SearchSpec, *, needs_own: bool) -> EvaluationSettings:
    """Return how samples are trained, with what the spec leaves open about trainings of their own, and about rewards."""
    own = spec.evaluation.own or (OwnTrainings() if needs_own else None)
    if own is not None and own.recipe is None:
        shared = Recipe() if spec.training is None else spec.training.recipe
        own = own.model_copy(update={"recipe": shared})
    attack = spec.evaluation.adversarial
    if attack is not None and spec.trades_attacked and "reward_share" not in attack.model_fields_set:
        attack = attack.model_copy(update={"reward_share": 0.0})  # it is an objective of its own
    return spec.evaluation.model_copy(update={"own": own, "adversarial": attack})


def stated_method(draft: Draft[SearchSpec]) -> Component:
    """Return the method of a search: where none is given and samples are trainings of their own, the first that is trained with.

    So the whole trainings of the search are those of the training that follows: one without a recipe of its own comes first,
    since samples follow the shared one. One that needs a teacher cannot be meant.
    """
    spec = draft.spec
    needs_own = spec.strategy.name in STRATEGIES.names() and STRATEGIES.get(spec.strategy.name).needs_own
    is_own = spec.evaluation.own is not None or needs_own
    if "method" in spec.model_fields_set or not is_own or spec.training is None:
        return spec.method
    for position, choice in sorted(enumerate(spec.training.methods), key=lambda entry: bool(entry[1].recipe)):
        place = f"training.methods.{position}"
        if not draft.sound(place) or choice.name not in METHODS.names():
            continue
        method = Problems().attempt(place, partial(build_method, choice.component))
        if method is not None and not method.facts.needs_teacher:
            return choice.component
    return spec.method


def check_own(problems: Problems, spec: SearchSpec, strategy: Strategy, method: Method) -> None:
    """Refuse trainings of their own that cannot be carried out, or whose rewards would not be what was asked for."""
    own = stated_evaluation(spec, needs_own=strategy.needs_own).own
    if own is None or own.recipe is None or not problems.sound(_FIELD, "method", "strategy"):
        return
    if strategy.needs_parent:
        problems.complain(_FIELD, "given", f"null: {spec.strategy.name} judges a path by its parent's shared weights, too")
    _check_idle(problems, spec.evaluation)
    place, recipe = _place_of_recipe(spec), own.recipe
    if not problems.sound(place):
        return
    if recipe.adversarial is not None and not spec.trades_attacked:
        allowed = f"null, or {ATTACKED} among `objectives`: the rewards of trainings of their own are of clean images"
        problems.complain(f"{place}.adversarial", "given", allowed)
    if recipe.distillation > 0:
        problems.complain(f"{place}.distillation", recipe.distillation, "0: there is no teacher for an architecture just sampled")
    shortest = min(strategy.fidelity(0), strategy.fidelity(strategy.total - 1))
    if recipe.epochs * shortest < 1 - _ROUNDING:
        problems.found.append(_too_short(spec, place, recipe.epochs, shortest))
        return
    for fidelity in (1.0, shortest):
        short = short_recipe(recipe, fidelity)
        try:
            plan_phases(method, short)
        except InvalidFieldError as error:
            told = "" if fidelity == 1 else f" (of {recipe.epochs} epochs a short training has {short.epochs})"
            problems.complain(place, f"{error.field} {error.given}{told}", str(error.allowed))
            return


def check_attacked(problems: Problems, spec: SearchSpec, *, needs_own: bool) -> None:
    """Refuse accuracy under attack as an objective where there is no attack, or where rewards would hold it as well."""
    if not spec.trades_attacked or not problems.sound("objectives", "evaluation"):
        return
    stated = stated_evaluation(spec, needs_own=needs_own)
    recipe = None if stated.own is None else stated.own.recipe
    attack = stated.adversarial if recipe is None else recipe.adversarial
    place = "evaluation.adversarial" if recipe is None else f"{_place_of_recipe(spec)}.adversarial"
    if not problems.sound(place):
        return
    if attack is None:
        allowed = f"an attack, which samples are trained against and scored under: {ATTACKED} is an objective"
        problems.complain(place, None, allowed)
    elif attack.eps == 0:
        problems.complain(f"{place}.eps", 0, f"more than 0: {ATTACKED} is an objective, and would be the clean one")
    if recipe is None and stated.adversarial is not None and stated.adversarial.reward_share:
        given = stated.adversarial.reward_share
        problems.complain(f"{place}.reward_share", given, f"0, or left out: {ATTACKED} is an objective of its own")


def _place_of_recipe(spec: SearchSpec) -> str:
    """Return where the recipe of trainings of their own is given."""
    inherits = spec.training is not None and (spec.evaluation.own is None or spec.evaluation.own.recipe is None)
    return "training.recipe" if inherits else f"{_FIELD}.recipe"


def _too_short(spec: SearchSpec, place: str, epochs: int, shortest: float) -> InvalidFieldError:
    """Return the complaint about short trainings of less than an epoch, at the setting that was given, naming the other, too."""
    setting, needed = "strategy.settings.fidelity", math.ceil(1 / shortest - _ROUNDING)
    enough = math.ceil(_DIGITS / epochs) / _DIGITS
    why = f"a short training is a share of the recipe's {epochs} epochs, one whole epoch at least"
    if "fidelity" in spec.strategy.settings and epochs > 1:
        return InvalidFieldError(setting, shortest, f"at least {enough:g}, or `{place}.epochs` of at least {needed}: {why}")
    other = (
        f", or `{setting}` (now {shortest:.3g}) of at least {enough:g}"
        if epochs > 1
        else f" with a `{setting}` of {shortest:.3g}"
    )
    return InvalidFieldError(f"{place}.epochs", epochs, f"at least {needed}{other}: {why}")


def _check_idle(problems: Problems, given: EvaluationSettings) -> None:
    """Refuse settings of shared weights that somebody gave: they would have no say."""
    defaults = EvaluationSettings()
    for name in EvaluationSettings.model_fields:
        value = getattr(given, name)
        if name != "own" and value != getattr(defaults, name) and problems.sound(f"evaluation.{name}"):
            shown = value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, BaseModel) else value
            allowed = (
                f"left out: a sample that is a training of its own ({_FIELD}) follows the recipe of that, its attack too, and "
                f"its reward is of clean images; shared weights, as the strategy abandit has them, follow `evaluation.{name}`"
            )
            problems.complain(f"evaluation.{name}", shown, allowed)

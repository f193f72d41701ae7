"""Sections: how architectures are trained, checked part by part: every method with its recipe, and what all of them share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import METHODS, Method, MethodSettings
from nas_service.catalogue import changes_of, preset_of
from nas_service.checking.drafts import read_draft
from nas_service.checking.problems import Problems
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import Recipe
from nas_service.specs import MAX_CANDIDATES, EarlyStopping, MethodChoice, TrainingSection
from nas_service.training.candidate.phases import plan_phases
from search_spaces.errors import InvalidFieldError

# What decides whether the phases of a training can be planned, by the field that is complained about.
_SCHEDULE = ("epochs", "real_weight_stage", "warmup_epochs")
_PLANNED_BY = {"real_weight_stage": _SCHEDULE[1:2], "epochs": _SCHEDULE[:2]}


@dataclass(frozen=True)
class Fitted:
    """A method with the recipe that it is trained with, as far as both can be read.

    Attributes:
        field: Of the recipe.
        own: Fields of the recipe that are the method's alone.
    """

    field: str
    method: Method
    recipe: Recipe
    own: Mapping[str, Any]

    @property
    def is_taught(self) -> bool:
        """Whether it learns from a teacher."""
        return self.method.facts.needs_teacher or self.recipe.distillation > 0


class Told:
    """Complaints that a shared recipe has led to: the next method that it does not fit either says nothing new."""

    def __init__(self) -> None:
        """Begin without any."""
        self._told: set[tuple[str, str]] = set()

    def drop_repeats(self, problems: Problems, start: int, fitted: Fitted) -> None:
        """Drop complaints from `start` on that were told before of another method."""
        fresh = []
        for problem in problems.found[start:]:
            what = problem.field.removeprefix(f"{fitted.field}.")
            if what.split(".", maxsplit=1)[0] in fitted.own or (what, problem.allowed) not in self._told:
                fresh.append(problem)
            self._told.add((what, problem.allowed))
        problems.found[start:] = fresh


def fit_method(problems: Problems, place: str, choice: MethodChoice, shared: Recipe) -> Fitted | None:
    """Return a method, given at `place`, with its recipe, or None and complain."""
    kind = problems.attempt(place, partial(METHODS.get, choice.name))
    if kind is None:
        return None
    recipe = _read_recipe(problems, f"{place}.recipe", kind, shared, choice)
    method = problems.attempt(place, partial(kind.from_settings, choice.settings))
    if recipe is None or method is None:
        return None
    return Fitted(f"{place}.recipe", method, recipe, choice.recipe)


def _read_recipe(problems: Problems, place: str, kind: type[Method], shared: Recipe, choice: MethodChoice) -> Recipe | None:
    if not problems.sound(place):
        return None
    preset: Mapping[str, Any] = {}
    try:
        preset = preset_of(kind, choice)
    except InvalidFieldError as error:
        problems.found.append(error.under(place))
    draft = read_draft(Recipe, {**shared.model_dump(), **preset, **changes_of(choice)})
    problems.found.extend(problem.under(place) for problem in draft.found)
    return draft.spec


def check_phases(problems: Problems, fitted: Sequence[Fitted], prefix: str) -> None:
    """Refuse recipes that do not fit their methods."""
    told = Told()
    for entry in fitted:
        start = len(problems.found)
        try:
            plan_phases(entry.method, entry.recipe)
        except InvalidFieldError as error:
            causes = _PLANNED_BY.get(error.field, _SCHEDULE)
            if problems.sound(*(f"{entry.field if name in entry.own else f'{prefix}recipe'}.{name}" for name in causes)):
                problems.found.append(error.under(entry.field))
                told.drop_repeats(problems, start, entry)


def full_precision(
    fitted: Sequence[Fitted], shared: Recipe, robustness: RobustnessSettings | None, prefix: str, *, has_teacher: bool = False
) -> Fitted | None:
    """Return the full-precision networks that are trained before the candidates, if there are any.

    They are teachers, where none is named, or what transfer attacks follow; their recipe is the shared one.
    """
    transfers = robustness is not None and robustness.transfer
    if not transfers and (has_teacher or not any(entry.is_taught for entry in fitted)):
        return None
    return Fitted(f"{prefix}recipe", FullPrecision(MethodSettings()), shared.of_teacher(), {})


def check_candidates(problems: Problems, section: TrainingSection, prefix: str, architectures: tuple[str, int]) -> None:
    """Refuse more candidates than a training may have; `architectures` are the field that says how many, and the number."""
    third, count = architectures
    methods, seeds = len(section.methods), len(section.seeds)
    candidates = methods * seeds * count
    if candidates > MAX_CANDIDATES and problems.sound(f"{prefix}seeds", f"{prefix}{third}"):
        given = f"{methods} methods x {seeds} seeds x {count} architectures = {candidates:,} candidates"
        allowed = f"methods x seeds x {third} of at most {MAX_CANDIDATES:,} candidates a training"
        problems.complain(f"{prefix}methods", given, allowed)


def check_early_stopping(problems: Problems, stopping: EarlyStopping | None, fitted: Sequence[Fitted], prefix: str) -> None:
    """Refuse early stopping that could stop nothing."""
    longest = max((entry.recipe.epochs for entry in fitted), default=0)
    if stopping is None or not problems.sound(f"{prefix}methods", f"{prefix}recipe.epochs", f"{prefix}early_stopping"):
        return
    if stopping.grace_epochs >= longest:
        allowed = f"less than {longest}, the epochs of the longest recipe"
        problems.complain(f"{prefix}early_stopping.grace_epochs", stopping.grace_epochs, allowed)

"""The phases of a training: the recipe's first stage with real weights, then the method's own plan."""

from nas_service.binarization.method import Method, Phase
from nas_service.recipes.recipe import Recipe
from search_spaces.errors import InvalidFieldError

REAL_WEIGHTS = "real-weights"


def plan_phases(method: Method, recipe: Recipe) -> tuple[Phase, ...]:
    """Return the phases of a training with `method`; their epochs add up to the recipe's.

    The first stage of two has weight decay, the second none on anything, as ReActNet's authors train.

    Raises:
        InvalidFieldError: If the recipe does not fit the method.
    """
    phases = _planned(method, recipe)
    if recipe.warmup_epochs >= phases[0].epochs:
        allowed = f"less than the first phase, which has {phases[0].epochs} epoch(s)"
        raise InvalidFieldError("warmup_epochs", recipe.warmup_epochs, allowed)
    return phases


def _planned(method: Method, recipe: Recipe) -> tuple[Phase, ...]:
    if recipe.real_weight_stage == 0:
        return _own_phases(method, recipe.epochs, recipe.epochs)
    if not method.facts.real_weight_stage:
        allowed = f"0: a first stage with real weights makes no sense with {type(method).__name__}"
        raise InvalidFieldError("real_weight_stage", recipe.real_weight_stage, allowed)
    first = max(1, round(recipe.epochs * recipe.real_weight_stage))
    second = _own_phases(method, recipe.epochs - first, recipe.epochs)
    return (
        Phase(REAL_WEIGHTS, first),
        *(Phase(phase.name, phase.epochs, phase.lr_multiplier, decays=False) for phase in second),
    )


def _own_phases(method: Method, epochs: int, given: int) -> tuple[Phase, ...]:
    if epochs < 1:
        raise InvalidFieldError("epochs", given, "at least one for each of the two stages")
    try:
        return method.phases(epochs)
    except ValueError as error:
        raise InvalidFieldError("epochs", given, str(error)) from error


def phase_at(phases: tuple[Phase, ...], epoch: int) -> tuple[Phase, int]:
    """Return the phase that `epoch` (from 0) lies in, and the epoch it begins with."""
    first = 0
    for phase in phases:
        if epoch < first + phase.epochs:
            return phase, first
        first += phase.epochs
    message = f"the phases end before epoch {epoch}"
    raise ValueError(message)

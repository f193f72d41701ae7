"""The phases of a training: the recipe's first stage with real weights, then the method's own plan."""

from nas_service.binarization.method import Method, Phase
from nas_service.training.recipes import Recipe

REAL_WEIGHTS = "real-weights"


def plan_phases(method: Method, recipe: Recipe) -> tuple[Phase, ...]:
    """Return the phases of a training with `method`; their epochs add up to the recipe's.

    The first stage of two has weight decay, the second none on anything, as ReActNet's authors train.

    Raises:
        ValueError: If the recipe does not fit the method.
    """
    if recipe.real_weight_stage == 0:
        return method.phases(recipe.epochs)
    if not method.real_weight_stage:
        raise ValueError(f"a first stage with real weights makes no sense with {type(method).__name__}; allowed: 0")
    first = max(1, round(recipe.epochs * recipe.real_weight_stage))
    if first >= recipe.epochs:
        raise ValueError(f"two stages need at least 2 epochs, and {recipe.epochs} were given")
    second = method.phases(recipe.epochs - first)
    return (
        Phase(REAL_WEIGHTS, first),
        *(Phase(phase.name, phase.epochs, phase.lr_multiplier, decays=False) for phase in second),
    )


def phase_at(phases: tuple[Phase, ...], epoch: int) -> tuple[Phase, int]:
    """Return the phase that `epoch` (from 0) lies in, and the epoch it begins with."""
    first = 0
    for phase in phases:
        if epoch < first + phase.epochs:
            return phase, first
        first += phase.epochs
    message = f"the phases end before epoch {epoch}"
    raise ValueError(message)

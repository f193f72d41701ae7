"""Limits on costs: whether some architecture of the space keeps them; and what is traded."""

from collections.abc import Mapping

from nas_service.arm_costs import ArmCosts, arm_costs, counted_image
from nas_service.catalogue import build_method, build_space, limited_strategy
from nas_service.checking.problems import Problems
from nas_service.constraints import Constraints
from nas_service.data.facts import DatasetFacts
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import SearchSpec
from search_spaces.errors import InvalidFieldError
from search_spaces.space import SearchSpace

_FIELD = "constraints"


def stated_constraints(spec: SearchSpec, facts: DatasetFacts) -> Constraints | None:
    """Return the limits with the images that costs are counted for; also without limits, where costs are traded."""
    if spec.constraints is None and not spec.objectives:
        return None
    return (spec.constraints or Constraints()).model_copy(update={"image": counted_image(facts.image_format)})


def check_constraints(problems: Problems, spec: SearchSpec, facts: DatasetFacts) -> None:
    """Refuse limits that no architecture keeps."""
    if spec.constraints is None or not problems.sound(_FIELD, "space", "method", "strategy"):
        return
    space, most = build_space(spec.space), spec.constraints.given
    costs = arm_costs(space, facts.image_format, build_method(spec.method).facts.precision)
    for name, limit in most.items():
        least, _ = costs.span(space, name)
        if limit < least:
            problems.complain(f"{_FIELD}.{name}", limit, f"at least {least:,.15g}, which the smallest architecture takes")
    if not problems.sound(_FIELD):
        return
    try:
        limits_alone = spec.model_copy(update={"objectives": []})
        strategy = limited_strategy(limits_alone, space, counted_image(facts.image_format))
        if space.size() > 1 and strategy.total > 1 and all(len(keys) == 1 for keys in strategy.possible):
            problems.complain(_FIELD, most, "limits that leave more than one architecture: there is nothing to search")
    except InvalidFieldError:
        problems.complain(_FIELD, most, f"limits that some architecture keeps together: {_least_together(costs, space, most)}")


def check_objectives(problems: Problems, spec: SearchSpec, facts: DatasetFacts) -> None:
    """Refuse what a strategy cannot trade, and costs that are the same for all architectures."""
    if not spec.objectives or not problems.sound("objectives", _FIELD, "space", "method", "strategy"):
        return
    if not STRATEGIES.get(spec.strategy.name).trades:
        able = ", ".join(name for name in STRATEGIES.names() if STRATEGIES.get(name).trades)
        problems.complain(
            "objectives", spec.objectives, f"[] with {spec.strategy.name}, which seeks one best; these trade: {able}"
        )
        return
    try:
        limited_strategy(spec, build_space(spec.space), counted_image(facts.image_format))
    except InvalidFieldError as error:
        problems.complain(error.field, error.given, str(error.allowed))


def _least_together(costs: ArmCosts, space: SearchSpace, most: Mapping[str, float]) -> str:
    """Return what the first limits leave as the least of the next."""
    kept: dict[str, float] = {}
    for name, limit in most.items():
        least, _ = costs.span(space, name, costs.limits(kept) if kept else None)
        if least > limit:
            return f"with {', '.join(kept)} as given, the least {name} is {least:,.15g}"
        kept[name] = limit
    return "each alone is kept by one"  # not reached where they are not kept together

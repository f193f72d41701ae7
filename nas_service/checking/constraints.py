"""Limits on costs: whether some architecture of the space keeps them; and what is traded."""

import sys
from collections.abc import Mapping

from nas_service.arm_costs import ArmCosts, arm_costs, counted_image, format_of
from nas_service.c_figures import c_figures, methods_in_c
from nas_service.catalogue import build_method, build_space, limited_strategy
from nas_service.checking.problems import Problems
from nas_service.constraints import Constraints
from nas_service.data.facts import DatasetFacts
from nas_service.search.limits import Limits
from nas_service.search.liveness import draw_uniform, possible_arms, region_of
from nas_service.search.strategy import STRATEGIES
from nas_service.search.witness import are_few, closest
from nas_service.specs import SearchSpec
from search_spaces.errors import InvalidFieldError
from search_spaces.space import SearchSpace

_FIELD = "constraints"
_LOOKED_AT = 3  # architectures, to tell whether a method has C


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
    sums = spec.constraints.sums
    costs = arm_costs(space, facts.image_format, build_method(spec.method).facts.precision)
    for name, limit in sums.items():
        least, _ = costs.span(space, name)
        if limit < least:
            problems.complain(f"{_FIELD}.{name}", limit, f"at least {least:,.15g}, which the smallest architecture takes")
    if spec.constraints.in_c:
        _check_in_c(problems, spec, space, facts)
    if not problems.sound(_FIELD, "method", "training.methods"):
        return
    try:
        limits_alone = spec.model_copy(update={"objectives": []})
        strategy = limited_strategy(limits_alone, space, counted_image(facts.image_format))
        if space.size() > 1 and strategy.total > 1 and all(len(keys) == 1 for keys in strategy.possible):
            problems.complain(_FIELD, most, "limits that leave more than one architecture: there is nothing to search")
    except InvalidFieldError:
        told = _closest_together(spec, space, facts) if spec.constraints.in_c else _least_together(costs, space, most)
        problems.complain(_FIELD, most, f"limits that some architecture keeps together: {told}")


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


def _check_in_c(problems: Problems, spec: SearchSpec, space: SearchSpace, facts: DatasetFacts) -> None:
    """Refuse methods whose networks have no C, and limits on what C takes that no architecture keeps that was looked at."""
    assert spec.constraints is not None  # noqa: S101 - for the type checker
    region, arms, image = region_of(space), possible_arms(space), format_of(counted_image(facts.image_format))
    sums = Limits(dict.fromkeys(space.arms(), ()), ())
    written = dict.fromkeys(spec.constraints.in_c, sys.float_info.max)  # what every architecture with C keeps
    drawn = [draw_uniform(region, arms, 0, ("in C", number)) for number in range(_LOOKED_AT)]
    for number, method in enumerate(methods_in_c(spec)):
        reasons = [c_figures(space, (method,), image).refused(choices) for choices in drawn]
        if all(reasons) and not closest(region, c_figures(space, (method,), image).limits(written, sums), arms).excess.is_none:
            field = "method" if spec.training is None else f"training.methods.{number}"
            named = " and ".join(spec.constraints.in_c)
            problems.complain(
                field, method.name, f"one whose networks can be written as C, with a limit on {named}: {reasons[0]}"
            )
    if not problems.sound("method", "training.methods"):
        return
    figures = c_figures(space, methods_in_c(spec), image)
    for name, limit in spec.constraints.in_c.items():
        found = closest(region, figures.limits({name: limit}, sums), arms)
        if not found.excess.is_none:
            (least,) = figures.of(found.choices, (name,))
            looked = "of all architectures" if are_few(arms) else "that was found; all of so large a space are not looked at"
            problems.complain(f"{_FIELD}.{name}", limit, f"at least {least:,.15g}, the least {looked}")


def _closest_together(spec: SearchSpec, space: SearchSpace, facts: DatasetFacts) -> str:
    """Return what the closest architecture takes of what C takes, among those that keep the limits on sums."""
    assert spec.constraints is not None  # noqa: S101 - for the type checker
    image, in_c = format_of(counted_image(facts.image_format)), spec.constraints.in_c
    costs = arm_costs(space, image, build_method(spec.method).facts.precision)
    figures = c_figures(space, methods_in_c(spec), image)
    limits = figures.limits(in_c, costs.limits(spec.constraints.sums))
    found = closest(region_of(space), limits, possible_arms(space))
    if found.excess.sums > 0:
        return "none that was looked at keeps " + ", ".join(spec.constraints.sums)
    told = zip(in_c, figures.of(found.choices, tuple(in_c)), strict=True)
    return "the closest found takes " + ", ".join(f"{figure:,.15g} of {name}" for name, figure in told)


def _least_together(costs: ArmCosts, space: SearchSpace, most: Mapping[str, float]) -> str:
    """Return what the first limits leave as the least of the next."""
    kept: dict[str, float] = {}
    for name, limit in most.items():
        least, _ = costs.span(space, name, costs.limits(kept) if kept else None)
        if least > limit:
            return f"with {', '.join(kept)} as given, the least {name} is {least:,.15g}"
        kept[name] = limit
    return "each alone is kept by one"  # not reached where they are not kept together

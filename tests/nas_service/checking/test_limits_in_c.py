"""Limits on what generated C takes, in a spec: what is refused by its field, what is searched, and what an estimate tells."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nas_service.arm_costs import format_of
from nas_service.c_figures import c_figures, methods_in_c
from nas_service.capacity import Capacity
from nas_service.catalogue import build_space, search_strategy
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.specs import Place, check_search
from nas_service.constraints import C_QUANTITIES, CountedImage
from nas_service.errors import InvalidInputError
from nas_service.estimates.search import estimate_search
from nas_service.estimates.training import Conditions
from nas_service.search.liveness import live_genotypes
from nas_service.specs import Component, SearchSpec

HERE = Place(Capacity(cpus=2, gpus=0), DatasetSource(Path(), {}))
DIGITS = format_of(CountedImage(channels=1, height=8, width=8, classes=10))
SMALL = {"name": "tiny", "settings": {"operations": ["skip", "max-pool-3x3", "dilated-conv-3x3"]}}


def _checked(**given: Any) -> SearchSpec:  # noqa: ANN401 - fields of a spec
    return check_search({"space": SMALL, "method": "bnn", "strategy": "random", **given}, HERE).spec


def _refused(**given: Any) -> dict[str, str]:  # noqa: ANN401 - fields of a spec
    with pytest.raises(InvalidInputError) as caught:
        _checked(**given)
    return {problem.field: str(problem.allowed) for problem in caught.value.problems}


@cache
def _figures(name: str, *methods: str) -> list[float]:
    space = build_space(Component.model_validate(SMALL))
    counted = c_figures(space, [Component(name=method) for method in methods or ("bnn",)], DIGITS)
    return [counted.of(genotype.choices, (name,))[0] for genotype in live_genotypes(space)]


@pytest.mark.parametrize("name", C_QUANTITIES)
def test_a_limit_below_the_least_says_what_that_is(name: str) -> None:
    least, *_, more = sorted(_figures(name))[:9]
    told = _refused(constraints={name: least - 1})
    assert list(told) == [f"constraints.{name}"]
    assert f"at least {least:,.15g}, the least of all architectures" in told[f"constraints.{name}"]
    spec = _checked(constraints={name: more})
    strategy = search_strategy(SearchSpec.model_validate(spec.model_dump(mode="json")), None)  # as it is stored
    (genotype,) = strategy.suggest((), 1)
    assert c_figures(build_space(spec.space), methods_in_c(spec), DIGITS).of(genotype.choices, (name,)) <= (more,)


def test_limits_that_nothing_keeps_together_tell_what_comes_closest() -> None:
    """All edges alike share their code, and take more instructions than some that are not."""
    least = {name: int(min(_figures(name))) for name in ("flash_bytes", "cortex_m4_instructions")}
    told = _refused(constraints=least)
    assert list(told) == ["constraints"]
    assert "keeps together: the closest found takes" in told["constraints"]
    assert f"{least['cortex_m4_instructions']:,} of cortex_m4_instructions" in told["constraints"]


def test_a_method_without_c_is_refused_by_its_field() -> None:
    told = _refused(method="mcn", constraints={"ram_bytes": 100_000})
    assert list(told) == ["method"]
    assert "written as C, with a limit on ram_bytes" in told["method"]
    training = {"methods": ["bnn", "mcn"], "recipe": {"epochs": 12}}
    assert list(_refused(constraints={"ram_bytes": 100_000}, training=training)) == ["training.methods.1"]
    assert _checked(method="mcn", constraints={"packed_bytes": 100_000}).constraints is not None


def test_what_is_counted_is_the_dearest_method_of_the_training() -> None:
    training = {"methods": ["bnn", "react-net"], "recipe": {"epochs": 1}}
    spec = _checked(constraints={"flash_bytes": 100_000}, training=training)
    assert [method.name for method in methods_in_c(spec)] == ["bnn", "react-net"]
    both, alone = _figures("flash_bytes", "bnn", "react-net"), (_figures("flash_bytes"), _figures("flash_bytes", "react-net"))
    assert both == [max(pair) for pair in zip(*alone, strict=True)]
    assert both != alone[0]


def test_an_estimate_tells_what_c_takes_and_which_share_keeps_the_limits() -> None:
    figures = sorted(_figures("ram_bytes"))
    limit = figures[len(figures) // 3]
    checked = check_search({"space": SMALL, "method": "bnn", "constraints": {"ram_bytes": limit}}, HERE)
    costs = estimate_search(checked.spec, Conditions(checked.facts, HERE.capacity, 10**6), None).costs
    told = {entry.quantity: entry for entry in costs.ranges}
    assert set(C_QUANTITIES) < set(told)
    assert (told["ram_bytes"].least, told["ram_bytes"].most, told["ram_bytes"].limit) == (figures[0], figures[-1], limit)
    assert told["flash_bytes"].limit is None
    assert costs.counted == len(figures)
    assert costs.feasible == pytest.approx(sum(figure <= limit for figure in figures) / len(figures))
    without = check_search({"space": SMALL, "method": "bnn"}, HERE)
    ranges = estimate_search(without.spec, Conditions(without.facts, HERE.capacity, 10**6), None).costs.ranges
    assert not set(C_QUANTITIES) & {entry.quantity for entry in ranges}

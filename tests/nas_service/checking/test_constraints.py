"""Limits on costs in a spec: what is written out, what is refused by its field, and what an estimate tells of them."""

from pathlib import Path
from typing import Any

import pytest

from nas_service.arm_costs import arm_costs, counted_image
from nas_service.capacity import Capacity
from nas_service.catalogue import build_method, build_space, search_strategy
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.specs import Place, check_search
from nas_service.constraints import QUANTITIES, CountedImage
from nas_service.errors import InvalidInputError
from nas_service.estimates.cost_ranges import space_costs
from nas_service.estimates.search import estimate_search
from nas_service.estimates.training import Conditions
from nas_service.search.liveness import live_genotypes
from nas_service.specs import Component, SearchSpec
from search_spaces.network import network_cost

HERE = Place(Capacity(cpus=2, gpus=0), DatasetSource(Path(), {}))
DIGITS = CountedImage(channels=1, height=8, width=8, classes=10)


def _checked(**given: Any) -> SearchSpec:  # noqa: ANN401 - fields of a spec
    return check_search({"space": "tiny", "method": "bnn", **given}, HERE).spec


def _refused(constraints: object, **given: Any) -> dict[str, str]:  # noqa: ANN401 - fields of a spec
    with pytest.raises(InvalidInputError) as caught:
        _checked(constraints=constraints, **given)
    return {problem.field: str(problem.allowed) for problem in caught.value.problems}


def _span(name: str, space: object = "tiny") -> tuple[float, float]:
    checked = check_search({"space": space, "method": "bnn"}, HERE)
    built, precision = build_space(checked.spec.space), build_method(checked.spec.method).facts.precision
    return arm_costs(built, checked.facts.image_format, precision).span(built, name)


def test_there_are_none_unless_somebody_gives_them() -> None:
    assert _checked().constraints is None
    assert search_strategy(_checked(), None).region.limits is None
    assert search_strategy(_checked(constraints={}), None).region.limits is None


def test_the_images_that_costs_are_counted_for_are_written_out() -> None:
    spec = _checked(constraints={"packed_bytes": 10_000})
    assert spec.constraints is not None
    assert spec.constraints.image == DIGITS
    again = SearchSpec.model_validate(spec.model_dump(mode="json"))  # as it is stored
    assert search_strategy(again, None).region.limits is not None
    assert _checked(**spec.model_dump(mode="json")) == spec
    of_others = {"packed_bytes": 10_000, "image": {**DIGITS.model_dump(), "height": 224}}  # of the search that is done again
    assert _checked(constraints=of_others) == spec


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_limit_below_the_smallest_architecture_says_what_that_takes(name: str) -> None:
    least, most = _span(name)
    assert least < most
    if name != "binary_parameters":  # whose least may be 0, below which there is no limit
        told = _refused({name: least - 1})
        assert list(told) == [f"constraints.{name}"]
        assert f"{least:,.15g}" in told[f"constraints.{name}"]
    assert _checked(constraints={name: least}).constraints is not None


def test_limits_that_nothing_keeps_together_are_refused_as_a_whole() -> None:
    """A convolution of many bits stands against one of many real weights: each limit is the least without the other."""
    space = {"name": "tiny", "settings": {"operations": ["dilated-conv-3x3", "separable-conv-3x3"]}}
    told = _refused({name: _span(name, space)[0] for name in ("binary_parameters", "float_parameters")}, space=space)
    assert list(told) == ["constraints"]
    least = _span("float_parameters", {**space, "settings": {"operations": ["separable-conv-3x3"]}})[0]
    assert "together" in told["constraints"]
    assert f"with binary_parameters as given, the least float_parameters is {least:,.15g}" in told["constraints"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"packed_bytes": 0}, "constraints.packed_bytes"),
        ({"ops": -1}, "constraints.ops"),
        ({"ops": "many"}, "constraints.ops"),
        ({"parameters": True}, "constraints.parameters"),
        ({"flash": 100_000}, "constraints.flash"),
        (3, "constraints"),
    ],
)
def test_what_is_no_limit_is_refused_by_its_field(given: object, field: str) -> None:
    assert list(_refused(given)) == [field]


def test_limits_of_a_space_that_is_not_there_are_not_judged() -> None:
    assert list(_refused({"packed_bytes": 1}, space="nowhere")) == ["space.name"]


def test_an_estimate_tells_what_architectures_cost_and_how_many_keep_the_limits() -> None:
    checked = check_search({"space": "tiny", "method": "bnn", "constraints": {"packed_bytes": 5488}}, HERE)
    costs = estimate_search(checked.spec, Conditions(checked.facts, HERE.capacity, 10**6), None).costs
    space, precision = build_space(checked.spec.space), build_method(checked.spec.method).facts.precision
    sizes = [
        network_cost(space, genotype, checked.facts.image_format, precision).packed_bytes for genotype in live_genotypes(space)
    ]
    (told,) = [entry for entry in costs.ranges if entry.quantity == "packed_bytes"]
    assert (told.least, told.most, told.limit) == (min(sizes), max(sizes), 5488)
    assert costs.counted == len(sizes) == 729
    assert costs.feasible == pytest.approx(sum(size <= 5488 for size in sizes) / 729)
    assert 0 < costs.feasible < 1


def test_an_estimate_names_the_methods_whose_networks_may_break_a_limit() -> None:
    """ReActNet keeps thresholds and shifts beside the bits that XNOR-Net and Bi-Real Net do not have."""
    training = {"methods": ["react-net", "bi-real"], "recipe": {"epochs": 1}}
    given = {"space": "tiny", "method": "xnor-net", "training": training, "constraints": {"packed_bytes": 5488}}
    checked = check_search(given, HERE)
    (over,) = estimate_search(checked.spec, Conditions(checked.facts, HERE.capacity, 10**6), None).costs.exceeding
    space, image = build_space(checked.spec.space), checked.facts.image_format
    precisions = [build_method(Component(name=name)).facts.precision for name in ("xnor-net", "react-net")]
    within = [each for each in live_genotypes(space) if network_cost(space, each, image, precisions[0]).packed_bytes <= 5488]
    most = max(network_cost(space, each, image, precisions[1]).packed_bytes for each in within)
    assert (over.method, over.quantity, over.limit, over.most) == ("react-net", "packed_bytes", 5488, most)
    assert most > 5488


def test_of_a_large_space_the_share_is_told_from_draws() -> None:
    checked = check_search({"space": "abandit-general", "method": "bnn"}, HERE)
    space = build_space(checked.spec.space)
    precision = build_method(checked.spec.method).facts.precision
    counted = space_costs(space, arm_costs(space, checked.facts.image_format, precision), None)
    assert counted.feasible == 1
    assert counted.counted > 1000
    assert all(entry.least <= entry.median <= entry.most for entry in counted.ranges)
    assert counted_image(checked.facts.image_format) == DIGITS


def test_traded_costs_have_their_images_and_reach_the_strategy() -> None:
    spec = _checked(strategy="random", objectives=["ops", "packed_bytes"])
    assert spec.constraints is not None
    assert spec.constraints.image == DIGITS
    again = SearchSpec.model_validate(spec.model_dump(mode="json"))
    aims, space = search_strategy(again, None).aims, build_space(spec.space)
    assert aims is not None
    reached = [aims.of(genotype.choices) for genotype in live_genotypes(space)]
    assert [min(costs) for costs in zip(*reached, strict=True)] == [0, 0]
    assert [max(costs) for costs in zip(*reached, strict=True)] == [1, 1]


def test_accuracy_under_attack_is_an_objective_beside_a_clean_reward() -> None:
    attack = {"adversarial": {"attack": "pgd", "steps": 2}}
    shared = _checked(strategy="random", objectives=["attacked_accuracy", "ops"], evaluation=attack)
    assert shared.evaluation.adversarial is not None
    assert shared.evaluation.adversarial.reward_share == 0
    assert SearchSpec.model_validate(shared.model_dump(mode="json")) == shared
    own = _checked(strategy="screen-and-train", objectives=["attacked_accuracy"], evaluation={"own": {"recipe": attack}})
    for spec, costs in ((shared, 1), (own, 0)):
        aims = search_strategy(spec, None).aims
        assert aims is not None
        assert (aims.attacked, len(aims.ends)) == (True, costs)
    plain = _checked(strategy="abandit", evaluation=attack).evaluation.adversarial
    assert plain is not None
    assert plain.reward_share == 0.5


def test_within_limits_the_span_is_of_what_is_within() -> None:
    least, most = _span("packed_bytes")
    limit = int((least + most) / 2)
    aims = search_strategy(
        _checked(strategy="random", objectives=["packed_bytes"], constraints={"packed_bytes": limit}), None
    ).aims
    assert aims is not None
    assert aims.ends[0][0] == least
    assert aims.ends[0][1] <= limit


@pytest.mark.parametrize(
    ("given", "field", "allowed"),
    [
        ({"strategy": "abandit", "objectives": ["ops"]}, "objectives", "abandit-plus, random, screen-and-train"),
        ({"strategy": "random", "objectives": ["flash"]}, "objectives.0", "packed_bytes"),
        ({"strategy": "random", "objectives": ["ops", "ops"]}, "objectives", "repeats"),
        ({"strategy": "random", "objectives": ["ops", "packed_bytes", "parameters"]}, "objectives", "at most 2"),
        ({"strategy": "random", "space": "resnet-20", "objectives": ["ops"]}, "objectives.0", "differs"),
        (
            {"strategy": "abandit", "evaluation": {"adversarial": {}}, "objectives": ["attacked_accuracy"]},
            "objectives",
            "these trade",
        ),
        ({"strategy": "random", "objectives": ["attacked_accuracy"]}, "evaluation.adversarial", "an attack"),
        (
            {"strategy": "random", "objectives": ["attacked_accuracy"], "evaluation": {"adversarial": {"eps": 0}}},
            "evaluation.adversarial.eps",
            "more than 0",
        ),
        (
            {"strategy": "random", "objectives": ["attacked_accuracy"], "evaluation": {"adversarial": {"reward_share": 0.5}}},
            "evaluation.adversarial.reward_share",
            "0, or left out",
        ),
        (
            {"strategy": "screen-and-train", "objectives": ["attacked_accuracy"]},
            "evaluation.own.recipe.adversarial",
            "an attack",
        ),
        (
            {"strategy": "screen-and-train", "evaluation": {"own": {"recipe": {"adversarial": {}}}}},
            "evaluation.own.recipe.adversarial",
            "attacked_accuracy among `objectives`",
        ),
    ],
)
def test_costs_that_cannot_be_traded_are_refused_by_their_field(given: dict[str, Any], field: str, allowed: str) -> None:
    told = _refused(None, **given)
    assert list(told) == [field]
    assert allowed in told[field]

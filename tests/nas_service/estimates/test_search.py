"""Estimates before a search or a training starts, held against what the trainers then do."""

from typing import Any

import pytest

from nas_service.capacity import Capacity
from nas_service.catalogue import build_method
from nas_service.estimates.search import SearchEstimate, estimate_search
from nas_service.estimates.training import Conditions, TrainingEstimate, costings, estimate_training
from nas_service.specs import Component, SearchSpec, TrainingSpec
from nas_service.timing import Timing, method_key
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import FULL_PRECISION
from search_spaces.network import heaviest_cost, network_cost
from search_spaces.space import SPACES
from search_spaces.supernet import Supernet
from tests.samples import GREY_8, digits, random_genotype, tiny_genotype

HERE = Capacity(cpus=2, gpus=0)
FACTS = digits().facts
TINY = SPACES.get("tiny")


def _conditions(**given: Any) -> Conditions:  # noqa: ANN401 - fields of a dataclass
    return Conditions(FACTS, HERE, 4_000_000, **given)


def _search(timing: Timing | None = None, **spec: object) -> SearchEstimate:
    return estimate_search(SearchSpec.model_validate({"space": "tiny", **spec}), _conditions(), timing)


def _training(conditions: Conditions | None = None, **spec: object) -> TrainingEstimate:
    """Return the estimate of a training of two architectures."""
    named = {"space": "tiny", "dataset": "digits", "architectures": ["a", "b"], "methods": ["bnn"]}
    parsed = TrainingSpec.model_validate({**named, **spec})
    genotypes = [tiny_genotype().to_dict(), tiny_genotype("skip").to_dict()]
    return estimate_training(parsed, costings(TINY, genotypes, FACTS), conditions or _conditions())


def test_samples_images_epochs_and_arms_are_counted() -> None:
    """18 samples of half an epoch, which is 8 whole batches of 64."""
    estimate = _search()
    assert (estimate.samples, estimate.arms, estimate.genotypes, estimate.actors) == (18, 18, "729", 1)
    assert estimate.images == 18 * 8 * 64
    assert estimate.epochs == pytest.approx(estimate.images / 1078)
    assert (estimate.seconds, estimate.seconds_from, estimate.attack_steps, estimate.training) == (None, 0, 0, None)


def test_what_required_cells_rule_out_is_no_arm_to_choose_from() -> None:
    """Nine layers of eight blocks, three of which may be left out."""
    estimate = _search(space="nas-bnn")
    assert (estimate.arms, estimate.genotypes) == (9 * 8 + 3, str(8**6 * 9**3))


def test_controls_are_trained_too() -> None:
    """Two of what is found and three controls, with one method and two seeds."""
    training = {"methods": ["bnn"], "seeds": [0, 1], "top_k": 2, "controls": 3, "recipe": {"epochs": 4}}
    estimate = _search(training=training).training
    assert estimate is not None
    assert (estimate.candidates, estimate.epochs) == (10, 40)


def test_no_more_architectures_are_trained_than_the_space_holds() -> None:
    """`tiny` has two kinds of cells of three edges: 2^6 architectures with two operations."""
    small = {"name": "tiny", "settings": {"operations": ["skip"]}}
    more = {"name": "tiny", "settings": {"operations": ["skip", "dilated-conv-3x3"]}}
    training = {"methods": ["bnn"], "top_k": 3, "controls": 90, "recipe": {"epochs": 1}}
    one, some = _search(space=small, training=training), _search(space=more, training=training)
    assert one.training is not None
    assert some.training is not None
    assert (one.genotypes, one.controls, one.training.candidates) == ("1", 0, 1)
    assert (some.genotypes, some.controls, some.training.candidates) == ("64", 61, 64)


def test_an_estimate_names_the_method_and_the_costs_that_are_traded() -> None:
    estimate = _search(strategy="random", method="bnn", objectives=["ops"], constraints={"image": {}})
    assert (estimate.method, estimate.objectives) == ("bnn", ("ops",))
    assert _search().objectives == ()


def test_steps_that_are_cut_short_are_counted_as_such() -> None:
    assert _search(evaluation={"max_steps": 2, "batch_size": 50}).images == 18 * 100
    assert _training(recipe={"epochs": 3, "max_steps_per_epoch": 2, "batch_size": 50}).images == 2 * 3 * 100


def test_trainings_of_their_own_are_counted_as_long_as_they_are() -> None:
    """48 of one epoch and 4 of twelve; each epoch is 16 whole batches of 64 of the 1,078 images, and no supernet is held."""
    estimate = _search(strategy="screen-and-train", evaluation={"own": {"recipe": {"epochs": 12, "batch_size": 64}}})
    assert (estimate.samples, estimate.images) == (52, (48 + 4 * 12) * 16 * 64)
    assert estimate.supernet_parameters == 0
    one = _training(recipe={"epochs": 12}, robustness=None).checkpoint_bytes
    assert estimate.checkpoint_bytes > 0
    assert estimate.checkpoint_bytes % 4 == 0, "each of the four whole trainings is kept while it runs"
    assert estimate.checkpoint_bytes / 4 < 2 * one
    assert 0 < estimate.memory_bytes <= _search().memory_bytes  # of the one operation of `tiny` that has weights


def test_trainings_of_their_own_are_attacked_while_they_are_trained_and_scored() -> None:
    """As above; every one of the 52 is scored on the 360 images."""
    recipe = {"epochs": 12, "batch_size": 64, "adversarial": {"attack": "pgd", "steps": 3}}
    given: dict[str, Any] = {
        "strategy": "screen-and-train",
        "objectives": ["attacked_accuracy"],
        "constraints": {"image": {"channels": 1, "height": 8, "width": 8}},
    }
    estimate = _search(**given, evaluation={"own": {"recipe": recipe}})
    assert estimate.attack_steps == 3 * (estimate.images + 52 * 360)
    assert estimate.objectives == ("attacked_accuracy",)


def test_full_precision_parents_are_trained_too() -> None:
    child, both = (_search(strategy={"name": "cp-nas", "settings": {"parent_weight": weight}}) for weight in (0, 0.5))
    assert both.images == 2 * child.images
    assert both.checkpoint_bytes == pytest.approx(2 * child.checkpoint_bytes, rel=0.1)


def test_attacks_on_samples_are_counted_while_they_are_trained_and_scored() -> None:
    """One step an image for FGSM; as many as asked for PGD; free training perturbs in passing and is scored under one step."""
    trained, scored = 18 * 8 * 64, 18 * 360
    assert _search(evaluation={"adversarial": {}}).attack_steps == trained + scored
    pgd = {"attack": "pgd", "steps": 7}
    assert _search(evaluation={"adversarial": pgd}).attack_steps == 7 * (trained + scored)
    assert _search(evaluation={"adversarial": pgd, "validation_images": 50}).attack_steps == 7 * (trained + 18 * 50)
    free = _search(evaluation={"adversarial": {"attack": "free", "steps": 4}})
    assert (free.images, free.attack_steps) == (trained, scored)
    assert _search(evaluation={"adversarial": {"eps": 0}}).attack_steps == 0


def test_the_time_is_that_of_samples_that_ran_shared_by_the_actors() -> None:
    assert _search(Timing(2.0, 2)).seconds == pytest.approx(36)
    shared = _search(Timing(2.0, 2), wave=2)
    assert shared.seconds == pytest.approx(18)
    assert (shared.actors, shared.seconds_from) == (2, 2)


def test_parameters_are_those_of_a_built_supernet() -> None:
    supernet = Supernet(TINY, FullPrecisionConv(), digits().image_format)
    parameters = sum(parameter.numel() for parameter in supernet.parameters())
    assert _search(method="bnn").supernet_parameters == parameters


def test_candidates_are_architectures_times_methods_times_seeds() -> None:
    own = {"name": "xnor-net", "recipe": {"epochs": 7}}
    estimate = _training(methods=["bnn", own], seeds=[0, 1, 2], recipe={"epochs": 5})
    assert (estimate.candidates, estimate.epochs) == (2 * 2 * 3, 2 * 3 * (5 + 7))
    assert estimate.images == estimate.epochs * 16 * 64  # whole batches of the 1,078 images
    assert (estimate.full_precision_networks, estimate.attack_steps) == (0, 0)


@pytest.mark.parametrize(
    ("spec", "teacher", "networks"),
    [
        ({"methods": ["rbcn"]}, False, 2),
        ({"recipe": {"distillation": 0.5}}, False, 2),
        ({"recipe": {"distillation": 0.5}}, True, 0),
        ({"robustness": {}}, True, 2),
        ({"robustness": {"transfer": False}}, False, 0),
        ({}, False, 0),
    ],
)
def test_full_precision_networks_are_one_an_architecture(spec: dict[str, object], teacher: bool, networks: int) -> None:  # noqa: FBT001 - a case
    """To teach, unless a candidate is named that does, or to attack from."""
    recipe = {"epochs": 4, **dict(spec.get("recipe", {}))}  # type: ignore[call-overload]  # an object of JSON
    estimate = _training(_conditions(has_teacher=teacher), **{**spec, "recipe": recipe})
    assert (estimate.full_precision_networks, estimate.full_precision_epochs) == (networks, 4 * networks)
    assert estimate.images == (2 + networks) * 4 * 16 * 64


def test_attacks_on_trained_candidates_are_counted_on_the_images_that_there_are() -> None:
    few, all_of_them = (_training(robustness={"images": images}).attack_steps for images in (10, 1000))
    assert all_of_them / few == pytest.approx(36, rel=0.01)  # 359 test images and 360 for validation, 10 of each
    assert _training(robustness={"eps": 0}).attack_steps == 0


def test_files_are_counted_from_the_architectures() -> None:
    one, three = (_training(seeds=seeds) for seeds in ([0], [0, 1, 2]))
    assert three.bundle_bytes == 3 * one.bundle_bytes
    assert three.disk_bytes == three.bundle_bytes + three.weights_bytes
    precision = build_method(Component(name="bnn")).facts.precision
    cost = network_cost(TINY, tiny_genotype(), FACTS.image_format, precision)
    assert cost.packed_bytes < one.bundle_bytes / 2 < cost.packed_bytes + 23_000 + 16_000  # with the test images and text
    assert one.checkpoint_bytes < 2 * 3 * 2 * one.weights_bytes
    assert (
        _training(recipe={"optimizer": "sgd"}).checkpoint_bytes
        < one.checkpoint_bytes
        < _training(recipe={"ema_decay": 0.9}).checkpoint_bytes
    )


def test_no_architecture_of_the_space_is_heavier_than_the_one_that_a_search_is_counted_with() -> None:
    for name in ("tiny", "abandit", "bats"):
        space = SPACES.get(name)
        for precision in (FULL_PRECISION, build_method(Component(name="xnor-net")).facts.precision):
            most = heaviest_cost(space, GREY_8, precision).packed_bytes
            drawn = [network_cost(space, random_genotype(space, seed), GREY_8, precision).packed_bytes for seed in range(10)]
            assert max(drawn) <= most


def test_a_search_is_counted_with_its_training() -> None:
    training = _search(keep=3, training={"methods": ["bnn", "rbcn"], "top_k": 3, "recipe": {"epochs": 2}}).training
    assert training is not None
    assert (training.candidates, training.full_precision_networks, training.epochs) == (6, 3, 12)


def test_the_time_of_a_training_is_known_where_every_method_was_trained_here() -> None:
    recipe = {"epochs": 10}
    stored = TrainingSpec.model_validate(
        {"space": "tiny", "dataset": "digits", "architectures": ["a"], "methods": ["bnn"], "recipe": {"epochs": 3}}
    ).model_dump(mode="json")
    timings = {method_key(stored["methods"][0], stored["recipe"]): Timing(1.5, 4)}
    known = _training(_conditions(timings=timings), recipe=recipe)
    assert known.seconds == pytest.approx(2 * 10 * 1.5 / 2)  # two candidates at once
    assert known.seconds_from == 4
    for other in ({"methods": ["bnn", "rebnn"]}, {"recipe": {**recipe, "batch_size": 32}}):
        assert _training(_conditions(timings=timings), **{"recipe": recipe, **other}).seconds is None

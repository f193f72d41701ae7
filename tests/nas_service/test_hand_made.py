"""Networks of the literature beside what was found: which are alike, what the gain is, and how wide one has to be."""

import math
import statistics
from dataclasses import replace
from typing import Any

import pytest

from nas_service.catalogue import build_method
from nas_service.checking.datasets import DatasetSource
from nas_service.hand_made import MOST_APART, against_hand_made, hand_made_search, is_reference, reference_names, trained_alike
from nas_service.settings import Settings
from nas_service.specs import Component, HandMadeSpec, SearchSpec, TrainingSpec
from nas_service.trained import TrainedCandidate, TrainingFacts
from search_spaces.errors import InvalidFieldError
from search_spaces.network import network_cost
from search_spaces.space import SPACES
from tests.reports import metrics, trained

FACTS = DatasetSource(Settings().data, {}).facts(Component(name="digits"))


def _found(test: float, seed: int = 0, **named: Any) -> TrainedCandidate:  # noqa: ANN401 - arguments of `trained`
    entry = trained(metrics(test=test), seed=seed, key=f"found-{seed}-{named}", **named)
    return replace(entry, found=replace(entry.found, space="tiny"))


def _hand_made(test: float, seed: int = 0, network: str = "resnet-20", **named: Any) -> TrainedCandidate:  # noqa: ANN401 - as above
    key = f"made-{network}-{seed}-{named}"
    entry = trained(metrics(test=test), seed=seed, architecture=network, key=key, **{"training": "theirs", **named})
    return replace(entry, found=replace(entry.found, space=network))


def test_only_networks_of_the_literature_are_references() -> None:
    assert {"resnet-20", "resnet-18", "vgg-small"} <= set(reference_names())
    assert not any(SPACES.get(name).size() > 1 for name in reference_names())
    assert [is_reference(name) for name in ("resnet-20", "tiny", "gone", None)] == [True, False, False, False]


def test_the_gain_is_the_difference_of_means_with_its_standard_error() -> None:
    found = [_found(test, seed) for seed, test in enumerate((0.90, 0.92, 0.94))]
    made = [_hand_made(test, seed, ops=190.0) for seed, test in enumerate((0.80, 0.84))]
    (line,) = against_hand_made(found, made)
    assert (line.network, line.hand_made, line.training, line.seeds) == ("resnet-20", "resnet-20", "theirs", 2)
    assert line.gain == pytest.approx(0.92 - 0.82)
    expected = math.sqrt(statistics.variance((0.90, 0.92, 0.94)) / 3 + statistics.variance((0.80, 0.84)) / 2)
    assert line.gain_error == pytest.approx(expected)
    assert line.ops_ratio == pytest.approx(200 / 190)


def test_a_single_seed_gives_no_error() -> None:
    (line,) = against_hand_made([_found(0.9)], [_hand_made(0.8), _hand_made(0.82, 1)])
    assert line.gain_error is None


def test_the_network_that_is_nearest_in_cost_is_shown_and_none_that_is_not_alike() -> None:
    found = [_found(0.9, ops=200.0)]
    near, nearer = _hand_made(0.7, ops=280.0), _hand_made(0.6, network="vgg-small", ops=180.0)
    assert [line.network for line in against_hand_made(found, [near, nearer])] == ["vgg-small"]
    assert against_hand_made(found, [_hand_made(0.7, ops=200 * MOST_APART * 1.01)]) == []
    assert against_hand_made(found, [_hand_made(0.7, ops=200 / MOST_APART / 1.01)]) == []
    assert against_hand_made(found, [_hand_made(0.7, method="xnor-net")]) == []


def test_networks_that_are_compared_themselves_serve_as_well_and_have_no_line_of_their_own() -> None:
    found, made = _found(0.9), _hand_made(0.8)
    assert [line.architecture for line in against_hand_made([found, made], [])] == ["a"]
    assert against_hand_made([made], []) == []


def _facts(training: str, digest: str | None = "d", **recipe: object) -> TrainingFacts:
    return TrainingFacts(training, {"dataset": {"name": "digits", "settings": {}}, "recipe": recipe}, digest)


@pytest.mark.parametrize(
    ("theirs", "is_alike"),
    [
        (_facts("theirs", epochs=9), True),
        (_facts("theirs", epochs=10), False),
        (_facts("theirs", "other", epochs=9), False),
        (_facts("theirs", None, epochs=9), True),  # it names the same images
    ],
)
def test_only_what_learnt_the_same_images_with_the_same_recipe_is_alike(theirs: TrainingFacts, *, is_alike: bool) -> None:
    others = [_hand_made(0.8)]
    alike = trained_alike([_found(0.9)], [_facts("training", epochs=9)], others, [theirs])
    assert alike == (others if is_alike else [])


def test_another_method_is_not_alike() -> None:
    facts = [_facts("training")], [_facts("theirs")]
    assert trained_alike([_found(0.9)], facts[0], [_hand_made(0.8, method="xnor-net")], facts[1]) == []


TRAINING = TrainingSpec.model_validate(
    {
        "architectures": ["a"],
        "space": "tiny",
        "dataset": "digits",
        "methods": ["bnn", {"name": "rebnn", "settings": {"gamma": "constant"}}],
        "seeds": [3, 4],
        "recipe": {"epochs": 7},
        "robustness": {"eps": 0.1},
        "resources": {"max_concurrent": 1},
    }
)
SEARCH = SearchSpec.model_validate({"space": "tiny", "method": "xnor-net"})


@pytest.mark.parametrize("network", reference_names())
@pytest.mark.parametrize("ops", [3e5, 4e6])
def test_the_width_is_the_one_whose_operations_are_nearest(network: str, ops: float) -> None:
    spec = hand_made_search(HandMadeSpec(network=network), TRAINING, SEARCH, ops, FACTS)
    space, width = SPACES.get(network), spec.space.settings["channels"]

    def counted(channels: int) -> float:
        wide = replace(space, channels=channels)
        precision = build_method(SEARCH.method).facts.precision
        return network_cost(wide, wide.only_genotype(), FACTS.image_format, precision).ops

    beside = [channels for channels in (width - 1, width, width + 1) if channels >= 2]
    assert width == min(beside, key=lambda channels: abs(math.log(counted(channels) / ops)))


def test_it_is_trained_as_what_was_found() -> None:
    spec = hand_made_search(HandMadeSpec(channels=5), TRAINING, SEARCH, 1.0, FACTS)
    assert (spec.space, spec.dataset, spec.method) == (
        Component(name="resnet-20", settings={"channels": 5}),
        TRAINING.dataset,
        SEARCH.method,
    )
    assert spec.training is not None
    shared = set(type(spec.training).model_fields) - {"top_k"}
    assert {name: getattr(spec.training, name) for name in shared} == {name: getattr(TRAINING, name) for name in shared}


def _refused(given: HandMadeSpec, training: TrainingSpec = TRAINING, ops: float = 1e6) -> InvalidFieldError:
    with pytest.raises(InvalidFieldError) as caught:
        hand_made_search(given, training, SEARCH, ops, FACTS)
    return caught.value


def test_what_cannot_be_compared_is_refused_by_field() -> None:
    assert "resnet-20" in _refused(HandMadeSpec(network="tiny")).allowed
    far = _refused(HandMadeSpec(), ops=10.0)
    assert (far.field, far.given) == ("network", "resnet-20")
    assert "within a factor of 1.5 of 10 OPs" in far.allowed
    assert _refused(HandMadeSpec(), TRAINING.model_copy(update={"teacher": "c"})).field == "teacher"
    assert _refused(HandMadeSpec(), TRAINING.model_copy(update={"space": Component(name="resnet-18")})).field == "training"

"""Networks of the literature beside what was found: which are alike, what the gain is, and how wide one has to be."""

import math
import statistics
from dataclasses import replace
from typing import Any

import pytest

from nas_service.catalogue import build_method, build_space
from nas_service.checking.datasets import DatasetSource
from nas_service.hand_made import MOST_APART, HandMadeLine, against_hand_made, hand_made_search, is_reference, reference_names
from nas_service.likeness import told_apart
from nas_service.settings import Settings
from nas_service.specs import Component, HandMadeSpec, MethodChoice, SearchSpec, TrainingSpec
from nas_service.trained import TrainedCandidate, TrainingFacts
from search_spaces.errors import InvalidFieldError
from search_spaces.network import network_cost
from search_spaces.space import SPACES
from tests.reports import metrics, trained
from tests.samples import random_genotype

FACTS = DatasetSource(Settings().data, {}).facts(Component(name="digits"))


def _found(test: float, seed: int = 0, **named: Any) -> TrainedCandidate:  # noqa: ANN401 - arguments of `trained`
    entry = trained(metrics(test=test), seed=seed, key=f"found-{seed}-{named}", **named)
    return replace(entry, space={"name": "tiny", "settings": {"template": "double-norm"}})


def _hand_made(test: float, seed: int = 0, network: str = "resnet-20", **named: Any) -> TrainedCandidate:  # noqa: ANN401 - as above
    key = f"made-{network}-{seed}-{named}"
    given = {"training": "theirs", "architecture": network, "key": key, **named}
    entry = trained(metrics(test=test), seed=seed, **given)
    return replace(entry, space={"name": network, "settings": {"channels": 8, "template": SPACES.get(network).template}})


def test_only_networks_of_the_literature_are_references() -> None:
    assert {"resnet-20", "resnet-18", "vgg-small"} <= set(reference_names())
    assert not any(SPACES.get(name).size() > 1 for name in reference_names())
    assert [is_reference(name) for name in ("resnet-20", "tiny", "gone", None)] == [True, False, False, False]


def _facts(training: str, digest: str | None = "d", **recipe: object) -> TrainingFacts:
    return TrainingFacts(training, {"dataset": {"name": "digits", "settings": {}}, "recipe": recipe}, digest)


def _lines(candidates: list[TrainedCandidate], others: list[TrainedCandidate]) -> list[HandMadeLine]:
    """Return the lines where all was trained with one recipe on the same images."""
    trainings = sorted({entry.training for entry in [*candidates, *others]})
    return against_hand_made(candidates, others, [_facts(key) for key in trainings])


def test_the_gain_is_the_difference_of_means_with_its_standard_error() -> None:
    found = [_found(test, seed) for seed, test in enumerate((0.90, 0.92, 0.94))]
    made = [_hand_made(test, seed, ops=190.0) for seed, test in enumerate((0.80, 0.84))]
    (line,) = _lines(found, made)
    assert (line.network, line.hand_made, line.training, line.seeds) == ("resnet-20(channels=8)", "resnet-20", "theirs", 2)
    assert line.gain == pytest.approx(0.92 - 0.82)
    expected = math.sqrt(statistics.variance((0.90, 0.92, 0.94)) / 3 + statistics.variance((0.80, 0.84)) / 2)
    assert line.gain_error == pytest.approx(expected)
    assert line.ops_ratio == pytest.approx(200 / 190)


def test_a_single_seed_gives_no_error() -> None:
    (line,) = _lines([_found(0.9)], [_hand_made(0.8), _hand_made(0.82, 1)])
    assert line.gain_error is None


def test_the_network_that_is_nearest_in_cost_is_shown_and_none_that_is_not_alike() -> None:
    found = [_found(0.9, ops=200.0)]
    near, nearer = _hand_made(0.7, ops=280.0), _hand_made(0.6, network="vgg-small", ops=180.0)
    assert [line.network for line in _lines(found, [near, nearer])] == ["vgg-small(channels=8)"]
    assert _lines(found, [_hand_made(0.7, ops=200 * MOST_APART * 1.01)]) == []
    assert _lines(found, [_hand_made(0.7, ops=200 / MOST_APART / 1.01)]) == []
    assert _lines(found, [_hand_made(0.7, method="xnor-net")]) == []


def test_networks_that_are_compared_themselves_serve_as_well_and_have_no_line_of_their_own() -> None:
    found, made = _found(0.9), _hand_made(0.8)
    assert [line.architecture for line in _lines([found, made], [])] == ["a"]
    assert _lines([made], []) == []


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
    lines = against_hand_made([_found(0.9)], [_hand_made(0.8)], [_facts("training", epochs=9), theirs])
    assert len(lines) == is_alike


def test_what_another_arithmetic_trained_is_not_alike() -> None:
    new = replace(_found(0.9), metrics=metrics(test=0.9).model_copy(update={"method_revision": 2}))
    assert _lines([new], [_hand_made(0.8)]) == []


def test_labels_have_no_say_in_what_is_alike() -> None:
    """Found architectures are told apart by template here, and hand-made ones are of two widths of one search."""
    shortcut = replace(_found(0.9, training="a"), space={"name": "tiny", "settings": {"template": "shortcut"}})
    facts = [_facts(key) for key in ("a", "b", "theirs", "wider")]
    told = told_apart([shortcut, _found(0.8, training="b")], facts)
    assert len({entry.label for entry in told}) == 2
    wider = replace(_hand_made(0.6, training="wider", ops=250.0), space={"name": "resnet-20", "settings": {"channels": 9}})
    lines = against_hand_made(told, [_hand_made(0.7), wider], facts)
    assert {(line.method, line.network) for line in lines} == {(entry.label, "resnet-20(channels=8)") for entry in told}


def test_a_setting_that_is_the_network_s_own_changes_nothing() -> None:
    own = replace(_hand_made(0.8), space={"name": "resnet-20", "settings": {"channels": 16, "template": None}})
    assert [line.network for line in _lines([_found(0.9)], [own])] == ["resnet-20"]


def test_trainings_of_one_network_are_pooled_whatever_search_it_came_from() -> None:
    """Each search of it keeps an architecture of its own; a seed that was trained twice alike counts once, the newest."""
    old = _hand_made(0.5, 0, key="01", architecture="first", training="01-old")
    new = [
        _hand_made(test, seed, key=f"02-{seed}", architecture="second", training="02-new") for seed, test in ((0, 0.8), (1, 0.82))
    ]
    (line,) = _lines([_found(0.9)], [old, *new])
    assert (line.seeds, line.hand_made, line.training) == (2, "second", "02-new")
    assert line.test_mean == pytest.approx(0.81)


def test_a_network_of_another_width_or_template_is_another_one() -> None:
    made = _hand_made(0.8, ops=190.0)
    other = replace(
        _hand_made(0.6, 1, ops=200.0), space={"name": "resnet-20", "settings": {"channels": 9, "template": "double-norm"}}
    )
    (line,) = _lines([_found(0.9)], [made, other])
    assert (line.network, line.seeds) == ('resnet-20(channels=9, template="double-norm")', 1)


GENOTYPE = random_genotype(SPACES.get("tiny")).to_dict()
TRAINING = TrainingSpec.model_validate(
    {
        "architectures": ["a"],
        "space": {"name": "tiny", "settings": {"channels": 24}},
        "dataset": "digits",
        "methods": ["bnn", {"name": "rebnn", "settings": {"gamma": "constant"}}],
        "seeds": [3, 4],
        "recipe": {"epochs": 7},
        "robustness": {"eps": 0.1},
        "early_stopping": {},
        "resources": {"max_concurrent": 1},
    }
)
SEARCH = SearchSpec.model_validate(
    {"space": "tiny", "method": "xnor-net", "evaluation": {"batch_size": 32}, "resources": {"workers": 2}}
)


def _ratio(spec: SearchSpec, training: TrainingSpec, method: MethodChoice) -> float:
    """Return the OPs of the hand-made network over those of what was found."""
    precision, image = build_method(method).facts.precision, FACTS.image_format
    made, found = build_space(spec.space), build_space(training.space)
    return (
        network_cost(made, made.only_genotype(), image, precision).ops
        / network_cost(found, found.parse(GENOTYPE), image, precision).ops
    )


@pytest.mark.parametrize("network", reference_names())
@pytest.mark.parametrize("channels", [24, 64])
def test_the_width_is_the_one_whose_operations_are_nearest(network: str, channels: int) -> None:
    training = TRAINING.model_copy(update={"space": Component(name="tiny", settings={"channels": channels})})
    spec = hand_made_search(HandMadeSpec(network=network), training, SEARCH, GENOTYPE, FACTS)
    method, width = training.methods[0], spec.space.settings["channels"]

    def apart(channels: int) -> float:
        wide = spec.model_copy(update={"space": Component(name=network, settings={"channels": channels})})
        return abs(math.log(_ratio(wide, training, method)))

    assert width == min((each for each in (width - 1, width, width + 1) if each >= 2), key=apart)
    assert apart(width) <= math.log(MOST_APART)


def test_it_is_trained_as_what_was_found() -> None:
    spec = hand_made_search(HandMadeSpec(), TRAINING, SEARCH, GENOTYPE, FACTS)
    assert (spec.space.name, spec.dataset, spec.method) == ("resnet-20", TRAINING.dataset, SEARCH.method)
    assert (spec.evaluation, spec.resources) == (SEARCH.evaluation, SEARCH.resources)
    assert spec.training is not None
    assert spec.training.early_stopping is None  # it would choose among other candidates
    shared = set(type(spec.training).model_fields) - {"top_k", "controls", "early_stopping"}
    assert {name: getattr(spec.training, name) for name in shared} == {name: getattr(TRAINING, name) for name in shared}


def test_the_stem_is_that_of_what_was_found() -> None:
    settings = {"channels": 64, "stem": "large"}
    training = TRAINING.model_copy(update={"space": Component(name="tiny", settings=settings)})
    large = replace(FACTS, height=64, width=64)
    assert hand_made_search(HandMadeSpec(), training, SEARCH, GENOTYPE, large).space.settings["stem"] == "large"


def test_methods_that_cost_otherwise_at_its_width_are_left_out_and_have_a_width_of_their_own() -> None:
    """MCN's products are of floats with bits, so its OPs are others' times 64 in the cells alone."""
    methods = [MethodChoice(name="mcn"), *TRAINING.methods]
    training = TRAINING.model_copy(update={"methods": methods})
    with_mcn = hand_made_search(HandMadeSpec(methods=["mcn"]), training, SEARCH, GENOTYPE, FACTS)
    without = hand_made_search(HandMadeSpec(methods=["bnn", "rebnn"]), training, SEARCH, GENOTYPE, FACTS)
    assert with_mcn.training is not None
    assert without.training is not None
    assert with_mcn.training.methods == methods[:1]
    assert without.training.methods == methods[1:]
    assert 1 / MOST_APART <= _ratio(with_mcn, training, methods[0]) <= MOST_APART
    assert with_mcn.space != without.space


def _refused(given: HandMadeSpec, training: TrainingSpec = TRAINING) -> InvalidFieldError:
    with pytest.raises(InvalidFieldError) as caught:
        hand_made_search(given, training, SEARCH, GENOTYPE, FACTS)
    return caught.value


def test_what_cannot_be_compared_is_refused_by_field() -> None:
    assert "resnet-20" in _refused(HandMadeSpec(network="tiny")).allowed
    wide = _refused(HandMadeSpec(channels=512))
    assert (wide.field, wide.given) == ("channels", 512)
    assert "within a factor of 1.5 of the" in wide.allowed
    both = TRAINING.model_copy(update={"methods": [*TRAINING.methods, MethodChoice(name="mcn")]})
    assert "one at a time" in _refused(HandMadeSpec(methods=["bnn", "mcn"]), both).allowed
    assert _refused(HandMadeSpec(methods=["bnn", "mcn"])).field == "methods.1"
    assert _refused(HandMadeSpec(), TRAINING.model_copy(update={"teacher": "c"})).field == "teacher"
    assert _refused(HandMadeSpec(), TRAINING.model_copy(update={"space": Component(name="resnet-18")})).field == "training"

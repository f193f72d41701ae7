"""Hand-made networks of like cost: what a search has to beat with the same method, recipe and images. No SQL."""

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from nas_service.binarization.method import METHODS
from nas_service.catalogue import build_method, build_space
from nas_service.comparison import ComparedPair, compare
from nas_service.data.facts import DatasetFacts
from nas_service.likeness import data_of, dataset_label, network_label, recipe_of
from nas_service.specs import Component, HandMadeSpec, MethodChoice, SearchSpec, SearchTraining, TrainingSection, TrainingSpec
from nas_service.terms import method_label
from nas_service.trained import LiveJob, TrainedCandidate, TrainingFacts
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.network import network_cost
from search_spaces.space import SPACES, SearchSpace, Stem

MOST_APART = 1.5  # OPs of two networks of like cost, the larger figure over the smaller
_WIDTHS = range(2, 1025)


@dataclass(frozen=True)
class HandMadeLine:
    """One method on one found architecture, beside the hand-made network whose OPs are nearest to its own.

    Attributes:
        method: Label.
        architecture: Id of the found one.
        network: Name of the reference network, with the settings that are not its own: `resnet-20(channels=8)`.
        hand_made: Id of its architecture, in its newest training.
        training: Id of that training.
        seeds: Number of its trained candidates, in all trainings; a seed that was trained twice alike counts once.
        test_mean: Its mean test accuracy.
        test_spread: Sample standard deviation over its seeds; None for one seed.
        ops_ratio: OPs of the found one over its own.
        bytes_ratio: Bytes of the found one over its own.
        gain: Mean test accuracy of the found one, less its own.
        gain_error: Standard error of that difference, sqrt(s1^2 / n1 + s2^2 / n2); None where either has one seed.
    """

    method: str
    architecture: str
    network: str
    hand_made: str
    training: str
    seeds: int
    test_mean: float
    test_spread: float | None
    ops_ratio: float
    bytes_ratio: float
    gain: float
    gain_error: float | None


@dataclass(frozen=True)
class LiveNetwork:
    """A search or training of a reference network that is not over.

    Attributes:
        job: Its id.
        kind: Search or training.
        state: Where it stands.
        network: As in `HandMadeLine`.
        methods: Labels of those with which it will be trained as what was found is.
    """

    job: str
    kind: str
    state: str
    network: str
    methods: tuple[str, ...]


def reference_names() -> list[str]:
    """Return the names of the networks of the literature."""
    return [name for name in SPACES.names() if SPACES.get(name).is_reference]


def is_reference(space: str | None) -> bool:
    """Return whether a space of that name is one network of the literature; a name that nobody knows is of none."""
    return space in reference_names()


def against_hand_made(
    candidates: Sequence[TrainedCandidate], others: Sequence[TrainedCandidate], facts: Sequence[TrainingFacts]
) -> list[HandMadeLine]:
    """Return a line for every found pair of which a hand-made network of like cost was trained alike.

    Alike: on the same images with the same method, revision of its arithmetic and recipe, whatever the labels say.

    Args:
        candidates: What is compared; those of reference networks among them serve as such, too.
        others: More candidates of reference networks, trained alike or not.
        facts: Of the trainings of all.
    """
    data, known = data_of(facts), {training.id: training for training in facts}

    @cache
    def recipe(training: str, label: str) -> str:
        return json.dumps(recipe_of(known[training], methods[training, label]), sort_keys=True)

    def likeness(entry: TrainedCandidate) -> str:
        label = method_label(entry.method)
        return json.dumps([data[entry.training], label, entry.metrics.method_revision, recipe(entry.training, label)])

    methods = {(entry.training, method_label(entry.method)): entry.method for entry in [*candidates, *others]}
    found = [entry for entry in candidates if entry.found.control is None and not is_reference(entry.space.get("name"))]
    made = {entry.id: entry for entry in [*others, *candidates] if is_reference(entry.space.get("name"))}
    # Every search of a network keeps an architecture of its own, and they are all the same: told apart by what they are.
    newest = {network_label(entry.space): entry.found.id for entry in sorted(made.values(), key=lambda entry: entry.id)}
    pooled = [
        replace(entry, label=likeness(entry), found=replace(entry.found, id=network_label(entry.space)))
        for entry in made.values()
    ]
    hand_made, pairs = compare(pooled)[0], compare(found)[0]
    keys = {entry.label: likeness(entry) for entry in found}
    lines = [_line(pair, [other for other in hand_made if other.method == keys[pair.method]], newest) for pair in pairs]
    return [line for line in lines if line is not None]


def under_way(
    candidates: Sequence[TrainedCandidate], facts: Sequence[TrainingFacts], live: Sequence[LiveJob]
) -> list[LiveNetwork]:
    """Return the jobs that train a reference network as candidates of the trainings of `facts` were trained.

    On which images is told by names here: a job that has not begun has read none.
    """
    known = {training.id: training for training in facts}
    firsts = {(entry.training, method_label(entry.method), entry.metrics.method_revision): entry.method for entry in candidates}
    alike = {_plan(known[training], method, revision) for (training, _, revision), method in firsts.items()}
    lines = []
    for job in live:
        training = job.training
        if training is None:
            continue
        planned = training.spec["methods"]
        methods = [method_label(method) for method in planned if _plan(training, method, _revision(method)) in alike]
        if methods:
            lines.append(LiveNetwork(job.id, job.kind, job.state, network_label(job.spec["space"]), tuple(methods)))
    return lines


def _plan(training: TrainingFacts, method: Mapping[str, Any], revision: int) -> str:
    return json.dumps([dataset_label(training), method_label(method), revision, recipe_of(training, method)], sort_keys=True)


def _revision(method: Mapping[str, Any]) -> int:
    """Return the revision that a method has today; 1 of one that is not there any more."""
    return METHODS.get(method["name"]).revision if method["name"] in METHODS.names() else 1


def _line(pair: ComparedPair, hand_made: Sequence[ComparedPair], newest: Mapping[str, str]) -> HandMadeLine | None:
    near = [other for other in hand_made if _are_alike(pair.ops, other.ops)]
    if not near:
        return None
    other = min(near, key=lambda one: _apart(pair.ops, one.ops))
    spreads = (pair.test_spread, pair.seeds), (other.test_spread, other.seeds)
    variances = [spread**2 / seeds for spread, seeds in spreads if spread is not None]
    return HandMadeLine(
        method=pair.method,
        architecture=pair.architecture,
        network=other.architecture,
        hand_made=newest[other.architecture],
        training=max(run.training for run in other.runs),
        seeds=other.seeds,
        test_mean=other.test_mean,
        test_spread=other.test_spread,
        ops_ratio=pair.ops / other.ops,
        bytes_ratio=pair.packed_bytes / other.packed_bytes,
        gain=pair.test_mean - other.test_mean,
        gain_error=math.sqrt(sum(variances)) if len(variances) == len(spreads) else None,
    )


def _apart(left: float, right: float) -> float:
    return abs(math.log(left / right))


def _are_alike(left: float, right: float) -> bool:
    return _apart(left, right) <= math.log(MOST_APART)


def hand_made_search(
    given: HandMadeSpec, training: TrainingSpec, found: SearchSpec, genotype: Mapping[str, Any], facts: DatasetFacts
) -> SearchSpec:
    """Return the search, one sample of a reference network, that trains it as `training` trains what was found.

    Early stopping is left out: it would choose among other candidates than there.

    Args:
        given: Which network, how wide, and with which methods.
        training: What it is to be compared with.
        found: The search that found what `training` trains: the sample is trained as its samples are, where they are.
        genotype: The first of what `training` trains, as `Genotype.to_dict`.
        facts: Of the dataset.

    Raises:
        InvalidFieldError: If it is no reference network, if no method is left with which its OPs are like those of what was
            found, or if `training` names a teacher, which knows only the space that was searched.
    """
    if not is_reference(given.network):
        raise InvalidFieldError("network", given.network, "a reference network: " + ", ".join(reference_names()))
    if is_reference(training.space.name):
        allowed = "a training of what a search found: this one is of a network made by hand"
        raise InvalidFieldError("training", training.space.name, allowed)
    if training.teacher is not None:
        allowed = "null: that teacher knows no network but those of its own space"
        raise InvalidFieldError("teacher", training.teacher, allowed)
    space = build_space(training.space)
    side_by_side = _SideBySide(replace(SPACES.get(given.network), stem=space.stem), space, space.parse(genotype), facts)
    methods = _asked(given, training)
    channels = given.channels or side_by_side.width(methods[0])
    alike = [method for method in methods if side_by_side.are_alike(method, channels)]
    if not alike or (given.methods and len(alike) < len(methods)):
        raise InvalidFieldError(*side_by_side.complaint(given, methods, channels))
    section = {name: getattr(training, name) for name in TrainingSection.model_fields}
    settings = {"channels": channels} | ({} if space.stem is Stem.SMALL else {"stem": space.stem.value})
    return SearchSpec(
        name=f"{given.network} beside {training.name or 'what was found'}"[:200],
        space=Component(name=given.network, settings=settings),
        dataset=training.dataset,
        method=found.method,
        evaluation=found.evaluation.model_copy(update={"own": None}),  # one sample, which nobody needs twice
        resources=found.resources,
        keep=1,
        training=SearchTraining(**(section | {"methods": alike, "early_stopping": None}), top_k=1),
    )


def _asked(given: HandMadeSpec, training: TrainingSpec) -> list[MethodChoice]:
    names = [choice.name for choice in training.methods]
    for index, name in enumerate(given.methods or ()):
        if name not in names:
            raise InvalidFieldError(f"methods.{index}", name, "a method of the training: " + ", ".join(names))
    return [choice for choice in training.methods if given.methods is None or choice.name in given.methods]


@dataclass(frozen=True)
class _SideBySide:
    """A reference network of any width, and the found network that it stands beside."""

    reference: SearchSpace
    space: SearchSpace
    genotype: Genotype
    facts: DatasetFacts

    def counted(self, method: MethodChoice, channels: int) -> float:
        """Return the OPs of the reference network."""
        wide = replace(self.reference, channels=channels)
        return network_cost(wide, wide.only_genotype(), self.facts.image_format, build_method(method).facts.precision).ops

    def wanted(self, method: MethodChoice) -> float:
        """Return the OPs of the found one."""
        return network_cost(self.space, self.genotype, self.facts.image_format, build_method(method).facts.precision).ops

    def are_alike(self, method: MethodChoice, channels: int) -> bool:
        """Return whether the two are of like cost."""
        return _are_alike(self.counted(method, channels), self.wanted(method))

    def width(self, method: MethodChoice) -> int:
        """Return the number of channels with which the two are nearest; OPs grow with it."""
        wanted = self.wanted(method)
        above = min(bisect_left(_WIDTHS, wanted, key=lambda channels: self.counted(method, channels)), len(_WIDTHS) - 1)
        return min(_WIDTHS[max(above - 1, 0) : above + 1], key=lambda width: _apart(wanted, self.counted(method, width)))

    def complaint(self, given: HandMadeSpec, methods: Sequence[MethodChoice], channels: int) -> tuple[str, object, str]:
        """Return field, value and what is allowed where costs are not alike."""
        unlike = next(method for method in methods if not self.are_alike(method, channels))
        told = f"{self.counted(unlike, channels):,.0f} OPs with {channels} channels and {unlike.name}"
        allowed = (
            f"a network within a factor of {MOST_APART:g} of the {self.wanted(unlike):,.0f} OPs of what was found; it has {told}"
        )
        if given.channels is not None:
            return "channels", given.channels, allowed
        if len(methods) > 1:
            return (
                "methods",
                [method.name for method in methods],
                f"methods of like cost at one width, or one at a time: {allowed}",
            )
        return "network", given.network, allowed

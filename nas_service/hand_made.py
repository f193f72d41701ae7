"""Hand-made networks of like cost: what a search has to beat with the same method, recipe and images. No SQL."""

import json
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas_service.catalogue import build_method
from nas_service.comparison import ComparedPair, compare
from nas_service.data.facts import DatasetFacts
from nas_service.likeness import data_of, recipe_of
from nas_service.specs import Component, HandMadeSpec, SearchSpec, SearchTraining, TrainingSection, TrainingSpec
from nas_service.trained import TrainedCandidate, TrainingFacts
from search_spaces.cost import Precision
from search_spaces.errors import InvalidFieldError
from search_spaces.network import network_cost
from search_spaces.space import SPACES, SearchSpace

MOST_APART = 1.5  # OPs of two networks of like cost, the larger figure over the smaller
_WIDTHS = range(2, 1025)


@dataclass(frozen=True)
class HandMadeLine:
    """One method on one found architecture, beside the hand-made network whose OPs are nearest to its own.

    Attributes:
        method: Label.
        architecture: Id of the found one.
        network: Name of the reference network.
        hand_made: Id of its architecture.
        training: Id of its training, the newest.
        seeds: Number of its trained candidates.
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


def reference_names() -> list[str]:
    """Return the names of the networks of the literature."""
    return [name for name in SPACES.names() if SPACES.get(name).is_reference]


def is_reference(space: str | None) -> bool:
    """Return whether a space of that name is one network of the literature; a name that nobody knows is of none."""
    return space in reference_names()


def trained_alike(
    candidates: Sequence[TrainedCandidate],
    facts: Sequence[TrainingFacts],
    others: Sequence[TrainedCandidate],
    other_facts: Sequence[TrainingFacts],
) -> list[TrainedCandidate]:
    """Return those of `others` that learnt the same images with a method and recipe of one of `candidates`."""
    keys = data_of([*facts, *other_facts])
    known = {training.id: training for training in [*facts, *other_facts]}

    def likeness(entry: TrainedCandidate) -> tuple[str, str, str]:
        recipe = recipe_of(known[entry.training], entry.method)
        return keys[entry.training], entry.label, json.dumps(recipe, sort_keys=True)

    wanted = set(map(likeness, candidates))
    return [entry for entry in others if likeness(entry) in wanted]


def against_hand_made(candidates: Sequence[TrainedCandidate], others: Sequence[TrainedCandidate]) -> list[HandMadeLine]:
    """Return a line for every found pair of which a hand-made network of like cost was trained alike.

    Args:
        candidates: What is compared; those of reference networks among them serve as such, too.
        others: More candidates of reference networks, trained alike.
    """
    known = {entry.id: entry for entry in [*others, *candidates] if is_reference(entry.found.space)}
    networks = {entry.found.id: str(entry.found.space) for entry in known.values()}
    hand_made, _ = compare(known.values())
    found, _ = compare([entry for entry in candidates if entry.id not in known])
    lines = [_line(pair, [other for other in hand_made if other.method == pair.method], networks) for pair in found]
    return [line for line in lines if line is not None]


def _line(pair: ComparedPair, hand_made: Sequence[ComparedPair], networks: dict[str, str]) -> HandMadeLine | None:
    near = [other for other in hand_made if _apart(pair.ops, other.ops) <= math.log(MOST_APART)]
    if not near:
        return None
    other = min(near, key=lambda one: _apart(pair.ops, one.ops))
    spreads = (pair.test_spread, pair.seeds), (other.test_spread, other.seeds)
    variances = [spread**2 / seeds for spread, seeds in spreads if spread is not None]
    return HandMadeLine(
        method=pair.method,
        architecture=pair.architecture,
        network=networks[other.architecture],
        hand_made=other.architecture,
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


def hand_made_search(
    given: HandMadeSpec, training: TrainingSpec, found: SearchSpec, ops: float, facts: DatasetFacts
) -> SearchSpec:
    """Return the search, one sample of a reference network, that trains it as `training` trains what was found.

    Args:
        given: Which network, and how wide.
        training: What it is to be compared with.
        found: The search that found what `training` trains: its method counts the costs.
        ops: Of the found architecture, as its search counted them.
        facts: Of the dataset.

    Raises:
        InvalidFieldError: If it is no reference network, if no width of it comes near those OPs, or if `training` names a
            teacher, which knows only the space that was searched.
    """
    if not is_reference(given.network):
        raise InvalidFieldError("network", given.network, "a reference network: " + ", ".join(reference_names()))
    if is_reference(training.space.name):
        raise InvalidFieldError(
            "training", training.space.name, "a training of what a search found: this one is of a network made by hand"
        )
    if training.teacher is not None:
        raise InvalidFieldError("teacher", training.teacher, "null: that teacher knows no network but those of its own space")
    channels = given.channels or _width(SPACES.get(given.network), ops, facts, build_method(found.method).facts.precision)
    section = {name: getattr(training, name) for name in TrainingSection.model_fields}
    return SearchSpec(
        name=f"{given.network} beside {training.name or 'what was found'}"[:200],
        space=Component(name=given.network, settings={"channels": channels}),
        dataset=training.dataset,
        method=found.method,
        keep=1,
        training=SearchTraining(**section, top_k=1),
    )


def _width(space: SearchSpace, ops: float, facts: DatasetFacts, precision: Precision) -> int:
    """Return the number of channels with which a reference network's OPs are nearest to `ops`; they grow with it."""

    def counted(channels: int) -> float:
        wide = replace(space, channels=channels)
        return network_cost(wide, wide.only_genotype(), facts.image_format, precision).ops

    above = min(bisect_left(_WIDTHS, ops, key=counted), len(_WIDTHS) - 1)
    width = min(_WIDTHS[max(above - 1, 0) : above + 1], key=lambda channels: _apart(ops, counted(channels)))
    if _apart(ops, counted(width)) > math.log(MOST_APART):
        least, most = (counted(channels) for channels in (_WIDTHS[0], _WIDTHS[-1]))
        allowed = (
            f"a network that comes within a factor of {MOST_APART:g} of {ops:,.0f} OPs; it has {least:,.0f} to {most:,.0f} OPs"
        )
        raise InvalidFieldError("network", space.name, f"{allowed}, {counted(width):,.0f} where it is nearest")
    return width

"""What a training will take, before it starts: candidates, images, attacks, files, and time where like work ran here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from nas_service.capacity import Capacity
from nas_service.catalogue import build_method, build_recipe
from nas_service.data.facts import DatasetFacts
from nas_service.deploy.forms import has_packed_form
from nas_service.estimates.workload import Workload, candidate_work, robustness_work
from nas_service.export.bundle_archive import MAX_TEST_BYTES
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.specs import Component, TrainingSection
from nas_service.timing import Timing, method_key
from search_spaces.cost import FLOAT_BYTES, FULL_PRECISION, Cost, Precision
from search_spaces.network import network_cost
from search_spaces.space import SearchSpace

Costing = Callable[[Precision], Cost]  # what an architecture costs at a precision

_TEXT_BYTES = 15_000  # of a bundle: source, model card, manifest, genotype
_MOMENTS = {OptimizerName.ADAM: 2, OptimizerName.SGD: 1}  # floats that the optimizer keeps of a weight


def costings(space: SearchSpace, genotypes: Sequence[Mapping[str, object]], facts: DatasetFacts) -> list[Costing]:
    """Return what each of these architectures (as `Genotype.to_dict`) costs for images of a dataset."""
    return [partial(network_cost, space, space.parse(genotype), facts.image_format) for genotype in genotypes]


@dataclass(frozen=True)
class Conditions:
    """What an estimate depends on beside the spec.

    Attributes:
        facts: Of the dataset.
        capacity: Of the place where it will run.
        bundled_test_bytes: Test images up to this size go into bundles.
        timings: Of an epoch, by `method_key`, where like work ran here.
        has_teacher: Whether a candidate is named that teaches.
    """

    facts: DatasetFacts
    capacity: Capacity
    bundled_test_bytes: int
    timings: Mapping[str, Timing] = field(default_factory=dict)
    has_teacher: bool = False


@dataclass(frozen=True)
class TrainingEstimate:
    """The figures of `api.views.TrainingEstimateView`."""

    candidates: int
    epochs: int
    training_images: int
    images: int
    attack_steps: int
    full_precision_networks: int
    full_precision_epochs: int
    bundle_bytes: int
    weights_bytes: int
    disk_bytes: int
    checkpoint_bytes: int
    seconds: float | None
    seconds_from: int
    without_c: tuple[str, ...]


@dataclass(frozen=True)
class _MethodShare:
    """What one method's candidates take together: every architecture with every seed."""

    epochs: int
    work: Workload
    bundle_bytes: int
    weights_bytes: int
    largest_checkpoint_bytes: int
    timing: Timing | None
    is_taught: bool


def estimate_training(section: TrainingSection, architectures: Sequence[Costing], conditions: Conditions) -> TrainingEstimate:
    """Return what a checked training section will take at most: nothing is known of what early stopping saves."""
    shares = [_share(section, index, architectures, conditions) for index in range(len(section.methods))]
    candidates = len(architectures) * len(section.methods) * len(section.seeds)
    work = sum((share.work for share in shares), Workload())
    transfers = section.robustness is not None and section.robustness.transfer
    first = transfers or (any(share.is_taught for share in shares) and not conditions.has_teacher)
    networks = len(architectures) if first else 0
    teacher = section.recipe.of_teacher()
    work += candidate_work(teacher, conditions.facts).times(networks)
    teachers = sum(latent_bytes(cost(FULL_PRECISION)) for cost in architectures) if first else 0
    bundles, weights = sum(share.bundle_bytes for share in shares), sum(share.weights_bytes for share in shares) + teachers
    at_once = _at_once(section, conditions.capacity, candidates)
    timings = [share.timing for share in shares]
    known = [timing for timing in timings if timing is not None]
    seconds = sum(share.epochs * share.timing.seconds for share in shares if share.timing is not None) / at_once
    return TrainingEstimate(
        candidates=candidates,
        epochs=sum(share.epochs for share in shares),
        training_images=conditions.facts.train,
        images=work.images,
        attack_steps=work.attack_steps,
        full_precision_networks=networks,
        full_precision_epochs=networks * teacher.epochs,
        bundle_bytes=bundles,
        weights_bytes=weights,
        disk_bytes=bundles + weights,
        checkpoint_bytes=at_once * max(share.largest_checkpoint_bytes for share in shares),
        seconds=seconds if len(known) == len(timings) else None,
        seconds_from=sum(timing.count for timing in known),
        without_c=without_c(section.methods),
    )


def without_c(methods: Iterable[Component]) -> tuple[str, ...]:
    """Return the names of methods whose networks have no exact form in C, each once."""
    return tuple(dict.fromkeys(choice.name for choice in methods if not has_packed_form(build_method(choice))))


def _share(section: TrainingSection, index: int, architectures: Sequence[Costing], conditions: Conditions) -> _MethodShare:
    choice = section.methods[index]
    method, recipe, facts = build_method(choice), build_recipe(section.recipe, choice), conditions.facts
    costs = [cost(method.facts.precision) for cost in architectures]
    count = len(costs) * len(section.seeds)
    tests = facts.test * facts.channels * facts.height * facts.width
    bundled = _TEXT_BYTES + (tests if tests <= min(conditions.bundled_test_bytes, MAX_TEST_BYTES) else 0)
    work = candidate_work(recipe, facts) + robustness_work(section.robustness, facts)
    return _MethodShare(
        epochs=count * recipe.epochs,
        work=work.times(count),
        bundle_bytes=len(section.seeds) * sum(cost.packed_bytes + bundled for cost in costs),
        weights_bytes=len(section.seeds) * sum(latent_bytes(cost) for cost in costs),
        largest_checkpoint_bytes=max(checkpoint_bytes(recipe, cost) for cost in costs),
        timing=conditions.timings.get(method_key(choice.model_dump(), section.recipe.model_dump(mode="json"))),
        is_taught=method.facts.needs_teacher or recipe.distillation > 0,
    )


def latent_bytes(cost: Cost) -> int:
    """Return the size of a network before it is frozen: four bytes for every weight that is one bit afterwards."""
    return cost.packed_bytes + (8 * FLOAT_BYTES - 1) * cost.binary_parameters // 8


def checkpoint_bytes(recipe: Recipe, cost: Cost) -> int:
    """Return the size of a checkpoint of a training: of every weight itself, its moments and its moving average."""
    return (1 + _MOMENTS[recipe.optimizer] + (recipe.ema_decay > 0)) * latent_bytes(cost)


def _at_once(section: TrainingSection, capacity: Capacity, candidates: int) -> int:
    """Return how many trials run at once."""
    resources = section.resources
    fit = [resources.max_concurrent, candidates, int(capacity.cpus // resources.cpus_per_trial)]
    if resources.gpus_per_trial:
        fit.append(int(capacity.gpus / resources.gpus_per_trial))
    return max(1, min(fit))

"""What a search will take, before it starts, with the training that follows it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from nas_service.arm_costs import ArmCosts, arm_costs, counted_image, format_of
from nas_service.c_figures import c_figures, methods_in_c
from nas_service.catalogue import build_method, build_space, planned_strategy
from nas_service.data.facts import DatasetFacts
from nas_service.estimates.cost_ranges import SpaceCosts, space_costs
from nas_service.estimates.training import Conditions, TrainingEstimate, checkpoint_bytes, estimate_training, without_c
from nas_service.estimates.workload import Workload, candidate_work, sample_work, scoring_work
from nas_service.recipes.recipe import Recipe
from nas_service.search.strategy import Strategy
from nas_service.specs import Component, SearchSpec, SearchTraining
from nas_service.timing import Timing
from nas_service.training.candidate.own import short_recipe
from search_spaces.cost import FLOAT_BYTES, FULL_PRECISION, Cost, Precision
from search_spaces.network import ImageFormat, heaviest_cost, supernet_cost
from search_spaces.space import SearchSpace

_COPIES = 5  # weights, gradients, two moments of Adam, and the copy that puts the weights back
_CHECKPOINTS = 2  # the newest, and for a moment the one before it


@dataclass(frozen=True)
class SearchEstimate:
    """The figures of `api.views.EstimateView`."""

    samples: int
    epochs: float
    training_images: int
    images: int
    attack_steps: int
    arms: int
    genotypes: str
    supernet_parameters: int
    actors: int
    memory_bytes: int
    checkpoint_bytes: int
    seconds: float | None
    seconds_from: int
    costs: SpaceCosts
    method: str
    objectives: tuple[str, ...]
    controls: int
    without_c: tuple[str, ...]
    training: TrainingEstimate | None


def estimate_search(spec: SearchSpec, conditions: Conditions, timing: Timing | None) -> SearchEstimate:
    """Return what a checked search takes; `timing` is that of samples that ran here in searches of the same kind."""
    space, facts = build_space(spec.space), conditions.facts
    strategy = planned_strategy(spec)
    actors = spec.actors(conditions.capacity.cpus, conditions.capacity.gpus)
    precisions = [build_method(spec.method).facts.precision, *([FULL_PRECISION] if strategy.needs_parent else [])]
    # Which architectures will be found is not known: none is larger than this one.
    heaviest: Callable[[Precision], Cost] = cache(partial(heaviest_cost, space, facts.image_format))
    own = spec.evaluation.own
    if own is None:
        costs = [supernet_cost(space, facts.image_format, precision) for precision in precisions]
        work = sample_work(spec.evaluation, facts).times(strategy.total * len(precisions))
    else:
        costs = [heaviest(precision) for precision in precisions]
        work = _own_work(own.recipe or Recipe(), strategy, facts)
    kept = 0
    if own is not None and own.recipe is not None:  # as checkpoints, so that the winner need not be trained again
        whole = sum(strategy.fidelity(index) == 1 for index in range(strategy.total))
        kept = whole * max(checkpoint_bytes(own.recipe, cost) for cost in costs)
    parameters = sum(cost.binary_parameters + cost.float_parameters for cost in costs)
    ranges, training, controls = _costs(spec, space, facts.image_format), None, 0
    if spec.training is not None:
        found, controls = _trained(spec.training, space, ranges)
        training = estimate_training(spec.training, [heaviest] * (found + controls), conditions)
    return SearchEstimate(
        samples=strategy.total,
        epochs=work.images / facts.train,
        training_images=facts.train,
        images=work.images,
        attack_steps=work.attack_steps,
        arms=sum(map(len, strategy.possible)),
        genotypes=str(space.size()),
        supernet_parameters=parameters if own is None else 0,
        actors=actors,
        memory_bytes=FLOAT_BYTES * _COPIES * parameters * actors,
        checkpoint_bytes=FLOAT_BYTES * _CHECKPOINTS * parameters if own is None else kept,
        seconds=None if timing is None else timing.seconds * strategy.total / actors,
        seconds_from=0 if timing is None else timing.count,
        costs=ranges,
        method=spec.method.name,
        objectives=tuple(spec.objectives),
        controls=controls,
        without_c=without_c([spec.method]),
        training=training,
    )


def _trained(training: SearchTraining, space: SearchSpace, costs: SpaceCosts) -> tuple[int, int]:
    """Return how many architectures are trained at most, those that are found and controls: no more than there are."""
    there = space.size()
    if there == costs.counted:  # all of them were looked at
        there = round(costs.feasible * there)
    found = min(training.top_k, there)
    return found, min(training.controls, there - found)


def _costs(spec: SearchSpec, space: SearchSpace, image: ImageFormat) -> SpaceCosts:
    """Return what architectures cost, and which methods of the training would break the limits."""

    def costs(component: Component) -> ArmCosts:
        return arm_costs(space, image, build_method(component).facts.precision)

    trained = {} if spec.training is None else {choice.name: costs(choice) for choice in spec.training.methods}
    in_c = None
    if spec.constraints is not None and spec.constraints.in_c:
        in_c = c_figures(space, methods_in_c(spec), format_of(counted_image(image)))
    return space_costs(space, costs(spec.method), spec.constraints, trained, in_c)


def _own_work(recipe: Recipe, strategy: Strategy, facts: DatasetFacts) -> Workload:
    """Return what training every sample from scratch takes, as long as the strategy has it, and scoring it under attack."""
    lengths = Counter(strategy.fidelity(index) for index in range(strategy.total))
    works = [candidate_work(short_recipe(recipe, each), facts).times(count) for each, count in lengths.items()]
    return sum(works, scoring_work(recipe.adversarial, facts.validation).times(strategy.total))

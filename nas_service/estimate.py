"""What a search will take, before it starts."""

from typing import Any

from nas_service.catalogue import Capacity, build_method, build_space, build_strategy
from nas_service.data.facts import DatasetFacts
from nas_service.specs import SearchSpec
from search_spaces.cost import FULL_PRECISION
from search_spaces.network import supernet_cost

_COPIES = 5  # weights, gradients, two moments of Adam, and the copy that puts the weights back


def estimate_search(spec: SearchSpec, facts: DatasetFacts, capacity: Capacity, seconds: list[float]) -> dict[str, Any]:
    """Return the figures of `api.views.EstimateView` for a checked spec.

    Args:
        spec: With its dataset resolved.
        facts: Of its dataset.
        capacity: Of the place where it will run.
        seconds: Of samples that ran here in searches of the same kind.
    """
    space = build_space(spec.space)
    strategy = build_strategy(spec.strategy, space, spec.seed)
    actors = spec.actors(capacity.cpus, capacity.gpus)
    precisions = [build_method(spec.method).precision, *([FULL_PRECISION] if strategy.needs_parent else [])]
    costs = [supernet_cost(space, facts.image_format, precision) for precision in precisions]
    parameters = sum(cost.binary_parameters + cost.float_parameters for cost in costs)
    images = facts.train
    per_sample = images * spec.evaluation.train_fraction * spec.evaluation.epochs
    if spec.evaluation.max_steps is not None:
        per_sample = min(per_sample, spec.evaluation.max_steps * spec.evaluation.batch_size)
    if spec.evaluation.adversarial is not None:
        per_sample /= spec.evaluation.adversarial.replays
    return {
        "samples": strategy.total,
        "epochs": strategy.total * per_sample / images * len(precisions),
        "training_images": images,
        "arms": len(space.arms()),
        "genotypes": str(space.size()),
        "supernet_parameters": parameters,
        "memory_bytes": 4 * _COPIES * parameters * actors,
        "seconds": sum(seconds) / len(seconds) * strategy.total / actors if seconds else None,
        "seconds_from": len(seconds),
    }

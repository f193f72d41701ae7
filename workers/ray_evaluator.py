"""RayEvaluator: a wave of samples on Ray actors. The result depends on the samples, never on who answers first."""

from collections.abc import Callable, Sequence
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError

from nas_service.data.dataset import ImageDataset
from nas_service.search.loop import Evaluation
from nas_service.specs import SearchSpec
from nas_service.training.flat_weights import FlatWeights
from nas_service.training.supernet_trainer import Weights, merge
from search_spaces.genotype import Genotype
from workers.supernet_worker import SupernetWorker

log = structlog.get_logger()

POLL_S = 0.5
MAX_WORKER_FAILURES = 3


class RayEvaluator:
    """Holds the actors, and the master copy of the shared weights that a checkpoint is made of."""

    def __init__(self, spec: SearchSpec, dataset: ImageDataset, actors: int, check: Callable[[], None]) -> None:
        """Start the actors.

        Args:
            spec: The search.
            dataset: Without its test part.
            actors: How many actors share the samples of a wave.
            check: Called while waiting; what it raises ends the wait.
        """
        self._spec = spec.model_dump(mode="json")
        self._resources = {"num_cpus": spec.resources.cpus_per_worker, "num_gpus": spec.resources.gpus_per_worker}
        self._dataset = ray.put(dataset)
        self._check = check
        self._workers = [self._start_worker() for _ in range(actors)]
        self._failures = 0
        self.weights: Weights = self._wait(self._workers[0].weights.remote()).split()

    def load(self, weights: Weights) -> None:
        """Give all actors these weights; the master copy is replaced, not changed, so that a reader keeps its own."""
        self.weights = {**self.weights, **weights}
        shared = ray.put(FlatWeights.of(weights))
        for worker in self._workers:
            worker.load.remote(shared)

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        """Spread the samples over the actors, merge the weights in the order of the samples, and share them."""
        waiting = list(enumerate(genotypes))
        running: dict[Any, tuple[int, int]] = {}  # object reference -> (sample, worker)
        idle = list(range(len(self._workers)))
        results: dict[int, tuple[Evaluation, FlatWeights]] = {}
        while len(results) < len(genotypes):
            while waiting and idle:
                sample, genotype = waiting.pop(0)
                worker = idle.pop(0)
                running[self._workers[worker].evaluate.remote(first_index + sample, genotype)] = (sample, worker)
            for reference in self._next(list(running)):
                sample, worker = running.pop(reference)
                try:
                    results[sample] = ray.get(reference)
                except RayActorError as error:
                    self._replace_worker(worker, error)
                    waiting.insert(0, (sample, genotypes[sample]))
                idle.append(worker)
        ordered = [results[sample] for sample in range(len(genotypes))]
        self.load(merge([weights.split() for _, weights in ordered]))
        return [evaluation for evaluation, _ in ordered]

    def _start_worker(self) -> Any:  # noqa: ANN401 - Ray gives actors no public type
        return ray.remote(SupernetWorker).options(**self._resources).remote(self._spec, self._dataset)

    def _replace_worker(self, position: int, error: RayActorError) -> None:
        """Start another actor for one that died; the sample is evaluated anew from the same weights."""
        self._failures += 1
        if self._failures > MAX_WORKER_FAILURES:
            raise error
        log.warning("worker.replaced", failures=self._failures, error=str(error).splitlines()[0])
        self._workers[position] = self._start_worker()
        self._workers[position].load.remote(FlatWeights.of(self.weights))

    def _next(self, references: list[Any]) -> list[Any]:
        while True:
            self._check()
            done, _ = ray.wait(references, timeout=POLL_S)
            if done:
                return list(done)

    def _wait(self, reference: Any) -> Any:  # noqa: ANN401 - what the actor gives
        self._next([reference])
        return ray.get(reference)

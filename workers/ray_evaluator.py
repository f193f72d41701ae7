"""RayEvaluator: a wave of samples on Ray actors. The result depends on the samples, never on who answers first."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ray
import structlog
from ray.exceptions import RayActorError

from nas_service.search.loop import Evaluation
from nas_service.specs import SearchSpec
from nas_service.training.candidate.own import Shelf
from nas_service.training.state.flat_weights import FlatWeights
from nas_service.training.state.path_weights import Weights
from nas_service.training.supernet.trainer import merge
from search_spaces.genotype import Genotype
from workers.cluster import missing_place
from workers.delivery import Delivery
from workers.supernet_worker import SupernetWorker

log = structlog.get_logger()

POLL_S = 0.5
PLACE_S = 5.0  # without a place for any actor, after which somebody asks why
MAX_WORKER_FAILURES = 3


class Watch(Protocol):
    """Who wants to know how a wave goes on: the driver's hold on its job."""

    def check(self) -> None:
        """Raise why waiting should end, if it should."""
        ...

    def mark(self, took_s: float | None = None, *, known: bool | None = None) -> None:
        """Take note of a sign of progress; arguments as of `Watchdog.mark`."""
        ...

    def holds(self, cpus: float, gpus: float) -> None:
        """Take note of what all actors that are there have together."""
        ...

    def wait_for(self, reason: str) -> None:
        """Take note of what keeps everything from going on."""
        ...

    def go_on(self) -> None:
        """Take note that nothing does any more."""
        ...


def whole(index: int) -> float:
    """Return 1: all samples are of one length."""
    del index
    return 1.0


@dataclass(frozen=True)
class SampleFacts:
    """What holds of a search's samples.

    Attributes:
        share: Of the longest sample, that one of an index is (`Strategy.fidelity`): after short ones a long one is no stall.
        shelf: Where actors keep whole trainings; None: nowhere.
    """

    share: Callable[[int], float] = whole
    shelf: Shelf | None = None


class RayEvaluator:
    """Holds the actors, and the master copy of the shared weights that a checkpoint is made of."""

    def __init__(
        self,
        spec: SearchSpec,
        delivery: Delivery,
        actors: int,
        watch: Watch,
        worker: type = SupernetWorker,
        samples: SampleFacts = SampleFacts(),
    ) -> None:
        """Start the actors.

        Args:
            spec: The search.
            delivery: Of the dataset, without its test part.
            actors: How many actors share the samples of a wave.
            watch: Told of every sample, and asked while waiting; what it raises ends the wait.
            worker: What runs in an actor: `SupernetWorker`, or a class with its methods.
            samples: What holds of them.
        """
        self._spec = spec.model_dump(mode="json")
        self._resources = {"num_cpus": spec.resources.cpus_per_worker, "num_gpus": spec.resources.gpus_per_worker}
        self._worker_class = worker
        self._given = (ray.put(delivery),) if samples.shelf is None else (ray.put(delivery), samples.shelf)
        self._watch, self._share = watch, samples.share
        self._failures = 0
        self._starting: dict[Any, int] = {}  # reference that an actor answers when it is there -> actor
        self._loading: dict[Any, int] = {}  # reference to its last load -> actor
        self._workers: list[Any] = [None] * actors
        for position in range(actors):
            self._start_worker(position)
        (first,) = self._next(list(self._starting))[:1]
        ready = self._starting[first]
        self.weights: Weights = self._wait(self._workers[ready].weights.remote()).split()

    def load(self, weights: Weights) -> None:
        """Give all actors these weights; the master copy is replaced, not changed, so that a reader keeps its own."""
        self.weights = {**self.weights, **weights}
        shared = ray.put(FlatWeights.of(weights))
        starting = set(self._starting.values())  # they get the master copy when they are there
        self._loading = {
            worker.load.remote(shared): position for position, worker in enumerate(self._workers) if position not in starting
        }

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        """Spread the samples over the actors, merge the weights in the order of the samples, and share them.

        An actor takes part once it has a place on the cluster and the shared weights, so that one that never gets a place
        (another search holds it) slows the search down and does not stop it.
        """
        self._failures = 0
        waiting = list(enumerate(genotypes))
        running: dict[Any, tuple[int, int, float]] = {}  # object reference -> (sample, worker, when it could begin)
        idle: list[int] = []
        results: dict[int, tuple[Evaluation, FlatWeights]] = {}
        while len(results) < len(genotypes):
            while waiting and idle:
                sample, genotype = waiting.pop(0)
                worker = idle.pop(0)
                reference = self._workers[worker].evaluate.remote(first_index + sample, genotype)
                running[reference] = (sample, worker, time.monotonic())
            for reference in self._next([*running, *self._loading, *self._starting]):
                if reference in running:
                    sample, worker, begun = running.pop(reference)
                    try:
                        results[sample] = ray.get(reference)
                        idle.append(worker)
                        if results[sample][0].taken_up:  # which says nothing of how long one takes
                            self._watch.mark()
                        else:
                            self._watch.mark((time.monotonic() - begun) / self._share(first_index + sample), known=True)
                    except RayActorError as error:
                        self._replace_worker(worker, error)
                        waiting.insert(0, (sample, genotypes[sample]))
                elif reference in self._loading:
                    worker = self._loading.pop(reference)
                    try:
                        ray.get(reference)
                        idle.append(worker)
                    except RayActorError as error:
                        self._replace_worker(worker, error)
                else:
                    self._greet(reference)
        ordered = [results[sample] for sample in range(len(genotypes))]
        self.load(merge([weights.split() for _, weights in ordered]))
        return [evaluation for evaluation, _ in ordered]

    def _start_worker(self, position: int) -> None:
        worker: Any = ray.remote(self._worker_class).options(**self._resources).remote(self._spec, *self._given)
        self._workers[position] = worker
        self._starting[worker.__ray_ready__.remote()] = position
        self._tell_devices()

    def _greet(self, reference: Any) -> None:  # noqa: ANN401 - Ray gives references no public type
        """Give an actor that is there now the shared weights."""
        position = self._starting.pop(reference)
        try:
            ray.get(reference)
        except RayActorError as error:
            self._replace_worker(position, error)
            return
        self._tell_devices()
        self._loading[self._workers[position].load.remote(FlatWeights.of(self.weights))] = position

    def _tell_devices(self) -> None:
        there = sum(worker is not None for worker in self._workers) - len(self._starting)
        self._watch.holds(there * self._resources["num_cpus"], there * self._resources["num_gpus"])

    def _replace_worker(self, position: int, error: RayActorError) -> None:
        """Start another actor for one that died; the sample is evaluated anew from the same weights."""
        self._failures += 1
        if self._failures > MAX_WORKER_FAILURES:
            raise error
        log.warning("worker.replaced", failures=self._failures, error=str(error).splitlines()[0])
        self._start_worker(position)

    def _next(self, references: list[Any]) -> list[Any]:
        """Wait for at least one of the references; return those that are there."""
        asked_at = time.monotonic()
        while True:
            self._watch.check()
            if ray.wait(references, timeout=POLL_S)[0]:
                self._watch.mark()
                done, _ = ray.wait(references, num_returns=len(references), timeout=0)
                return list(done)
            if all(reference in self._starting for reference in references) and time.monotonic() - asked_at > PLACE_S:
                asked_at = time.monotonic()
                missing = missing_place(self._resources["num_cpus"], self._resources["num_gpus"])
                if missing is None:
                    self._watch.go_on()
                else:
                    self._watch.wait_for(missing)

    def _wait(self, reference: Any) -> Any:  # noqa: ANN401 - what the actor gives
        self._next([reference])
        return ray.get(reference)

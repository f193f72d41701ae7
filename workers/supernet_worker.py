"""SupernetWorker: what a long-lived Ray actor runs; it holds a supernet, or trains from scratch, and trains what it is given."""

import os
import socket
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from nas_service.catalogue import build_method, planned_strategy
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.recipe import Recipe
from nas_service.search.loop import Evaluation
from nas_service.search.strategy import Strategy
from nas_service.specs import SearchSpec
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.keys import whole_training_key
from nas_service.training.candidate.own import OwnPlan, OwnTrainer, Shelf
from nas_service.training.state.flat_weights import FlatWeights
from nas_service.training.supernet.parent_child import PathTrainer, path_trainer
from nas_service.training.supernet.trainer import SupernetPlan
from search_spaces.genotype import Genotype
from workers.delivery import Delivery


def build_search(spec: SearchSpec) -> tuple[SupernetPlan, Strategy]:
    """Return what a checked spec stands for."""
    strategy = planned_strategy(spec)
    plan = SupernetPlan(strategy.space, build_method(spec.method), spec.evaluation, spec.seed, strategy.total)
    return plan, strategy


@dataclass(frozen=True)
class StoreShelf:
    """The artifact store as a `Shelf`: where the whole trainings of one search are kept; crosses processes.

    Attributes:
        artifact_url: Of the store.
        search_id: Of the search.
    """

    artifact_url: str
    search_id: str

    def get(self, genotype: str, training: str) -> bytes | None:
        """See `Shelf`."""
        return self._store.get(whole_training_key(self.search_id, genotype, training))

    def put(self, genotype: str, training: str, checkpoint: bytes) -> None:
        """See `Shelf`."""
        self._store.put(whole_training_key(self.search_id, genotype, training), checkpoint)

    @cached_property  # a client of S3 keeps its connections
    def _store(self) -> ArtifactStore:
        return ArtifactStore(self.artifact_url)


def build_trainer(spec: SearchSpec, dataset: ImageDataset, device: torch.device, shelf: Shelf | None = None) -> PathTrainer:
    """Return what trains and scores the samples of a checked spec; whole trainings of their own are kept on the `shelf`."""
    plan, strategy = build_search(spec)
    own = spec.evaluation.own
    if own is None:
        return path_trainer(plan, dataset, device, with_parent=strategy.needs_parent)
    recipe = own.recipe or Recipe()
    own_plan = OwnPlan(plan.space, plan.method, recipe, own.short_score, spec.seed, strategy.fidelity)
    return OwnTrainer(own_plan, dataset, device, shelf=shelf)


def pick_device(gpus: float) -> torch.device:
    """Return the GPU that Ray gave this process, or the CPU.

    Raises:
        RuntimeError: If GPUs were asked for and torch sees none.
    """
    if not gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        message = "a GPU was asked for, but torch sees none here"
        raise RuntimeError(message)
    return torch.device("cuda")


class SupernetWorker:
    """Trains and scores paths; weights cross process borders flat."""

    def __init__(self, spec: dict[str, Any], delivery: Delivery, shelf: Shelf | None = None) -> None:
        """Keep what the first call builds: what goes wrong there is told as it is; Ray tells only that an actor did not begin.

        Args:
            spec: Of the search.
            delivery: Of its dataset, without the test part.
            shelf: As of `OwnTrainer`.
        """
        self._spec = SearchSpec.model_validate(spec)
        self._delivery, self._shelf = delivery, shelf
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    @cached_property
    def _trainer(self) -> PathTrainer:
        """The supernet of the spec, or what trains from scratch."""
        resources = self._spec.resources
        torch.set_num_threads(resources.cpus_per_worker)
        return build_trainer(self._spec, self._delivery.received(), pick_device(resources.gpus_per_worker), self._shelf)

    def weights(self) -> FlatWeights:
        """Return all shared weights."""
        return FlatWeights.of(self._trainer.weights())

    def load(self, weights: FlatWeights) -> None:
        """Overwrite shared weights."""
        self._trainer.load(weights.split(self._trainer.device))

    def evaluate(self, index: int, genotype: Genotype) -> tuple[Evaluation, FlatWeights]:
        """Train and score a path; return its weights, and leave the shared ones as they are."""
        path = self._trainer.evaluate(index, genotype)
        return replace(path.evaluation, worker=self._name), FlatWeights.of(path.weights)

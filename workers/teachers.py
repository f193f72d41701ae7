"""Teachers of a training: trained once for each architecture before the candidates, kept in the artifact store, shared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
import torch

from nas_service.catalogue import build_method, build_space
from nas_service.data.dataset import ImageDataset
from nas_service.errors import ExportError
from nas_service.specs import MethodChoice, TrainingSpec
from nas_service.storage.artifacts import ArtifactStore
from nas_service.training.candidate.teacher import TeacherPlan, TeacherTrainer, load_teacher
from search_spaces.network import CellStack, ImageFormat
from search_spaces.space import SearchSpace
from workers.supernet_worker import pick_device


@dataclass(frozen=True)
class TeacherSource:
    """Where a trained teacher lies; crosses processes, so it holds plain values only.

    Attributes:
        key: Its weights, in the artifact store.
        genotype: Its architecture, as `Genotype.to_dict`.
        method: Name and settings of the method that it was trained with; None: full precision.
    """

    key: str
    genotype: dict[str, Any]
    method: dict[str, Any] | None = None

    def load(self, space: SearchSpace, image: ImageFormat, store: ArtifactStore) -> CellStack:
        """Read the network.

        Raises:
            ExportError: If the store has lost it.
        """
        content = store.get(self.key)
        if content is None:
            raise ExportError(f"the artifact store has lost the teacher {self.key}")
        method = None if self.method is None else build_method(MethodChoice.model_validate(self.method))
        return load_teacher(space, space.parse(self.genotype), method, image, content)


@dataclass(frozen=True)
class Teachers:
    """The teachers of a training, by architecture.

    Attributes:
        sources: Where they lie.
        accuracies: On validation, of those that were trained just now.
    """

    sources: dict[str, TeacherSource]
    accuracies: dict[str, float]


def _train(plan: TeacherPlan, dataset: ImageDataset, artifact_url: str, key: str, resources: tuple[int, float]) -> float:
    cpus, gpus = resources
    torch.set_num_threads(cpus)
    trainer = TeacherTrainer(plan, dataset, pick_device(gpus))
    accuracy = 0.0
    for report in trainer.fit():
        report.require_finite()
        accuracy = report.validation_accuracy
    ArtifactStore(artifact_url).put(key, trainer.to_bytes())
    return accuracy


def prepare_teachers(
    spec: TrainingSpec,
    genotypes: Mapping[str, dict[str, Any]],
    dataset: ImageDataset,
    artifact_url: str,
    check: Callable[[], None],
    note: Callable[[int], None],
) -> Teachers:
    """Train the teachers that are not there yet, on Ray.

    Args:
        spec: Of the training; its shared recipe is the teachers'.
        genotypes: By architecture, for those that need a teacher.
        dataset: What they learn.
        artifact_url: Where they are kept.
        note: Called with the number of teachers that are still in training, whenever that changes.
        check: Called every second; what it raises ends the wait, and what is not trained by then is not kept.
    """
    space, store = build_space(spec.space), ArtifactStore(artifact_url)
    resources = (spec.resources.cpus_per_trial, spec.resources.gpus_per_trial)
    train = ray.remote(num_cpus=resources[0], num_gpus=resources[1], max_retries=spec.resources.max_failures)(_train)
    shared = ray.put(dataset)
    sources, accuracies, waiting = {}, {}, {}
    for architecture, genotype in genotypes.items():
        plan = TeacherPlan(space, space.parse(genotype), spec.recipe, spec.dataset.model_dump_json())
        key = f"teachers/{plan.digest}.safetensors"
        sources[architecture] = TeacherSource(key, genotype)
        if not store.exists(key):
            waiting[train.remote(plan, shared, artifact_url, key, resources)] = architecture
    if waiting:
        note(len(waiting))
    while waiting:
        done, _ = ray.wait(list(waiting), timeout=1)
        for reference in done:
            accuracies[waiting.pop(reference)] = ray.get(reference)
            note(len(waiting))
        check()
    return Teachers(sources, accuracies)

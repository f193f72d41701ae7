"""One Ray Tune trial: trains one candidate, resumes from its own checkpoint, leaves files in the artifact store."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from ray import tune

from nas_service.catalogue import build_method, build_space
from nas_service.data.dataset import ImageDataset
from nas_service.export.bundle import CandidateFacts, Exported, candidate_bundle
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import Recipe
from nas_service.reports import EpochReport
from nas_service.specs import Component, MethodChoice
from nas_service.storage.artifacts import ArtifactStore, StoredFile
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.robustness import robustness_metrics
from nas_service.training.state.checkpoint import Checkpoint
from workers.supernet_worker import pick_device
from workers.teachers import TeacherSource

EPOCHS = "epochs_done"  # what early stopping compares candidates at ...
SCORE = "validation_accuracy"  # ... and by


@dataclass(frozen=True)
class TrialTask:
    """What one trial has to do; crosses processes, so it holds plain values only.

    Attributes:
        candidate_id: The candidate.
        space: As it was searched.
        genotype: The architecture, as `Genotype.to_dict`.
        method: Name and settings.
        dataset: Name and settings.
        recipe: As JSON.
        seed: Of this training.
        search: Facts for the manifest.
        artifact_url: Where files go.
        bundled_test_bytes: Test images up to this size go into the bundle.
        cpus: Threads.
        gpus: Share of a GPU.
        checkpoint_every_s: Seconds between checkpoints; a trial that is cut off repeats no more than that.
        teacher: The trained network that the candidate learns from, if it needs one.
        robustness: How it is attacked when it is trained, as JSON; None: not at all.
        substitute: The full-precision network that transfer attacks follow, if there are any.
    """

    candidate_id: str
    space: dict[str, Any]
    genotype: dict[str, Any]
    method: dict[str, Any]
    dataset: dict[str, Any]
    recipe: dict[str, Any]
    seed: int
    search: dict[str, Any]
    artifact_url: str
    bundled_test_bytes: int
    cpus: int
    gpus: float
    checkpoint_every_s: float
    teacher: TeacherSource | None = None
    robustness: dict[str, Any] | None = None
    substitute: TeacherSource | None = None


def _key(candidate_id: str, file: str) -> str:
    return f"candidates/{candidate_id}/{file}"


def checkpoint_key(candidate_id: str) -> str:
    """Return where the checkpoint of a training that is under way lies."""
    return _key(candidate_id, "checkpoint.safetensors")


def _epoch_result(report: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "epoch", "report": report, EPOCHS: report["epoch"] + 1, SCORE: report["validation_accuracy"]}


class _Trial:
    """Training, checkpoints and export of one candidate."""

    def __init__(self, task: TrialTask, dataset: ImageDataset) -> None:
        self._task = task
        self._dataset = dataset
        self._space = build_space(Component.model_validate(task.space))
        self._store = ArtifactStore(task.artifact_url)
        space = self._space
        choice = MethodChoice.model_validate(task.method)
        self._method = build_method(choice)
        self._genotype = space.parse(task.genotype)
        plan = CandidatePlan(space, self._genotype, self._method, Recipe.model_validate(task.recipe), task.seed)
        teacher = None if task.teacher is None else task.teacher.load(space, dataset.image_format, self._store)
        self._trainer = CandidateTrainer(plan, dataset, pick_device(task.gpus), teacher)
        self._reports: list[dict[str, Any]] = []
        saved = self._store.get(checkpoint_key(task.candidate_id))
        if saved is not None:
            checkpoint = Checkpoint.from_bytes(saved)
            self._trainer.restore(checkpoint)
            self._reports = checkpoint.facts["reports"]

    def run(self) -> None:
        """Train what is left, reporting every epoch, then report the files.

        Epochs before the checkpoint are reported again: the driver may have died before it wrote them down. The last epoch is
        reported together with the files, so that early stopping cannot come between a whole training and its export. Before a
        long attack it is reported too, as a time that early stopping has decided about already.
        """
        note = {"resumed_from": len(self._reports)} if self._reports else {}
        for earlier in self._reports[: self._trainer.recipe.epochs - 1]:
            tune.report(_epoch_result(earlier) | note)
            note = {}
        saved_at = time.monotonic()
        for report in self._trainer.fit():
            report.require_finite()
            self._reports.append(asdict(report))
            if time.monotonic() - saved_at > self._task.checkpoint_every_s or self._trainer.epoch == self._trainer.recipe.epochs:
                self._save()
                saved_at = time.monotonic()
            if self._trainer.epoch < self._trainer.recipe.epochs:
                tune.report(_epoch_result(self._reports[-1]))
        if self._task.robustness is not None:
            tune.report(_epoch_result(self._reports[-1]) | {"kind": "attacking", EPOCHS: self._trainer.recipe.epochs - 1})
        files, exported = self._export()
        done = {"kind": "done", "files": files, "metrics": exported.metrics, "cost": exported.cost}
        tune.report(_epoch_result(self._reports[-1]) | done)

    def _save(self) -> None:
        checkpoint = self._trainer.checkpoint()
        checkpoint.facts["reports"] = self._reports
        self._store.put(checkpoint_key(self._task.candidate_id), checkpoint.to_bytes())

    def _robustness(self) -> dict[str, Any]:
        """Attack the trained network, if that is asked for."""
        task = self._task
        if task.robustness is None:
            return {}
        source, image = task.substitute, self._dataset.image_format
        substitute = None if source is None else source.load(self._space, image, self._store)
        settings = RobustnessSettings.model_validate(task.robustness)
        return robustness_metrics(self._trainer.network, substitute, self._dataset, settings, task.seed)

    def _export(self) -> tuple[dict[str, StoredFile], Exported]:
        task = self._task
        facts = CandidateFacts(
            candidate_id=task.candidate_id,
            space=Component.model_validate(task.space),
            genotype=self._genotype,
            method=MethodChoice.model_validate(task.method).component,
            dataset=Component.model_validate(task.dataset),
            seed=task.seed,
            recipe=task.recipe,
            metrics=EpochReport(**self._reports[-1]).figures() | self._robustness(),
            search=task.search,
        )
        exported = candidate_bundle(self._trainer.network, self._method, self._dataset, facts, task.bundled_test_bytes)
        latent = Checkpoint(self._trainer.network.state_dict(), {"genotype": self._genotype.to_dict()})
        contents = {"bundle": ("bundle.zip", exported.content), "safetensors": ("latent.safetensors", latent.to_bytes())}
        files = {}
        for kind, (name, content) in contents.items():
            key = _key(task.candidate_id, name)
            self._store.put(key, content)
            files[kind] = StoredFile.of(key, content)
        return files, exported


def train_candidate(config: dict[str, Any], tasks: dict[str, TrialTask], dataset: ImageDataset) -> None:
    """Tune's trainable: train the candidate that the configuration names."""
    task = tasks[config["candidate_id"]]
    torch.set_num_threads(task.cpus)
    _Trial(task, dataset).run()

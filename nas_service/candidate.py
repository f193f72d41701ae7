"""From a task to a bundle: the one way a network is trained, attacked, frozen and written, in a trial or in a plain process."""

from collections.abc import Callable
from typing import Any

import torch

from nas_service.catalogue import build_method, build_recipe, build_space
from nas_service.data.dataset import ImageDataset
from nas_service.export.bundle import Exported, candidate_bundle
from nas_service.reports import Beat, EpochReport, RobustnessFigures, no_beat
from nas_service.specs import LocalTrainingSpec
from nas_service.tasks import CandidateTask
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.run import TrainingRun
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.robustness import Told, robustness_figures, tell_nobody
from search_spaces.genotype import Genotype
from search_spaces.network import CellStack


class CandidateRun(TrainingRun):
    """A candidate: its epochs, then attacks and export."""

    def __init__(
        self,
        task: CandidateTask,
        dataset: ImageDataset,
        device: torch.device,
        teacher: CellStack | None = None,
        beat: Beat = no_beat,
    ) -> None:
        """Build the network.

        Args:
            task: What is to be done.
            dataset: With its test part.
            device: Where.
            teacher: A trained network for the same images and classes, if method or recipe need one.
            beat: Called while training, attacking and exporting go on.
        """
        self._task = task
        self._dataset = dataset
        self._method = build_method(task.method)
        self._beat = beat
        plan = CandidatePlan(build_space(task.space), task.genotype, self._method, task.recipe, task.seed)
        super().__init__(CandidateTrainer(plan, dataset, device, teacher, beat=beat))

    def attack(self, substitute: CellStack | None, told: Told = tell_nobody) -> RobustnessFigures | None:
        """Attack the trained network, if that is asked for; transfer attacks follow `substitute`; `told` hears of each."""
        task = self._task
        if task.robustness is None:
            return None
        network = self.trainer.network
        return robustness_figures(network, substitute, self._dataset, task.robustness, task.seed, beat=self._beat, told=told)

    def export(self, robustness: RobustnessFigures | None) -> Exported:
        """Freeze the trained network and write its bundle, which is proved to classify as the network does."""
        network, last = self.trainer.network, self.reports[-1]
        return candidate_bundle(network, self._method, self._dataset, self._task, last, robustness, beat=self._beat)


def train_to_bundle(
    spec: LocalTrainingSpec,
    genotype: Genotype,
    dataset: ImageDataset,
    bundled_test_bytes: int,
    device: torch.device,
    show: Callable[[EpochReport], Any],
) -> Exported:
    """Train one network in this process, and first a full-precision one if it needs it; return its bundle.

    Args:
        spec: Checked by `check_local_training`.
        genotype: Of the spec's space.
        dataset: Of the spec, with its test part.
        bundled_test_bytes: Test images up to this size go into the bundle.
        device: Where to train.
        show: Called after every epoch.

    Raises:
        FloatingPointError: If the training diverged.
    """
    task = CandidateTask(
        candidate_id="",
        space=spec.space,
        genotype=genotype,
        method=spec.method.component,
        dataset=spec.dataset,
        recipe=build_recipe(spec.recipe, spec.method),
        seed=spec.seed,
        bundled_test_bytes=bundled_test_bytes,
        robustness=spec.robustness,
    )
    full_precision = None
    if task.transfers or task.recipe.distillation > 0 or build_method(task.method).facts.needs_teacher:
        plan = FullPrecisionPlan(build_space(spec.space), genotype, spec.recipe, dataset.lesson)
        lesson = TrainingRun(plan.trainer(dataset, device))
        for report in lesson.train():
            show(report)
        full_precision = lesson.trainer.network
    run = CandidateRun(task, dataset, device, full_precision)
    for report in run.train():
        show(report)
    return run.export(run.attack(full_precision))

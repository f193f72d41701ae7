"""From a spec to a bundle in one plain process: training without Ray and without a database."""

from collections.abc import Callable
from typing import Any

import torch

from nas_service.catalogue import build_method, build_recipe, build_space, open_dataset
from nas_service.export.bundle import CandidateFacts, Exported, candidate_bundle
from nas_service.reports import EpochReport
from nas_service.settings import Settings
from nas_service.specs import LocalTrainingSpec
from nas_service.training.candidate.teacher import TeacherPlan, TeacherTrainer
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.robustness import robustness_metrics
from search_spaces.genotype import Genotype


def train_to_bundle(
    spec: LocalTrainingSpec,
    genotype: Genotype,
    settings: Settings,
    device: torch.device,
    show: Callable[[EpochReport], None],
) -> Exported:
    """Train one network, and first its teacher (or what transfer attacks follow) if it needs one; return its bundle.

    Args:
        spec: Checked by `check_local_training`.
        genotype: Of the spec's space.
        settings: For the data root and the size of bundled test images.
        device: Where to train.
        show: Called after every epoch.

    Raises:
        FloatingPointError: If the training diverged.
    """
    space, method = build_space(spec.space), build_method(spec.method)
    dataset = open_dataset(spec.dataset, settings.data)
    recipe = build_recipe(spec.recipe, spec.method)
    plan = CandidatePlan(space, genotype, method, recipe, spec.seed)
    teacher = None
    if plan.needs_teacher or (spec.robustness is not None and spec.robustness.transfer):
        lesson = TeacherTrainer(TeacherPlan(space, genotype, spec.recipe, ""), dataset, device)
        for report in lesson.fit():
            show(report)
        teacher = lesson.network
    trainer = CandidateTrainer(plan, dataset, device, teacher)
    last: EpochReport | None = None
    for report in trainer.fit():
        report.require_finite()
        show(report)
        last = report
    metrics: dict[str, Any] = {} if last is None else last.figures()
    if spec.robustness is not None:
        metrics |= robustness_metrics(trainer.network, teacher, dataset, spec.robustness, spec.seed)
    facts = CandidateFacts(
        candidate_id="",
        space=spec.space,
        genotype=genotype,
        method=spec.method.component,
        dataset=spec.dataset,
        seed=spec.seed,
        recipe=recipe.model_dump(mode="json"),
        metrics=metrics,
        search={},
    )
    return candidate_bundle(trainer.network, method, dataset, facts, settings.bundled_test_bytes)

"""Every long stage says that it lives: from the thread that works, the more the longer, and without changing a result."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import METHODS, MethodSettings
from nas_service.binarization.network import binary_network
from nas_service.data.dataset import ImageDataset
from nas_service.data.part import Part
from nas_service.deploy.loader import find_compiler
from nas_service.export.bundle import candidate_bundle
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.reports import Beat, no_beat
from nas_service.specs import Component
from nas_service.tasks import CandidateTask
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import ATTACK_BATCH
from nas_service.training.scoring.robustness import measure_robustness, robustness_figures, selection_accuracy
from nas_service.training.supernet.parent_child import path_trainer
from nas_service.training.supernet.trainer import SupernetPlan
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.reports import epoch_report
from tests.samples import digits, tiny_genotype

CPU, TINY, GENOTYPE = torch.device("cpu"), SPACES.get("tiny"), tiny_genotype()
XNOR = METHODS.get("xnor-net").from_settings({})
Stage = Callable[[int, Beat], object]  # with a share of its work, 1 or 2


def _values(network: nn.Module) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in network.state_dict().items()}


def _candidate(work: int, beat: Beat, **recipe: Any) -> object:  # noqa: ANN401 - fields of a recipe
    chosen = Recipe.model_validate({"epochs": 2, "max_steps_per_epoch": 2 * work, **recipe})
    trainer = CandidateTrainer(CandidatePlan(TINY, GENOTYPE, XNOR, chosen, 0), digits(), CPU, beat=beat)
    return [report.model_copy(update={"seconds": 0}) for report in trainer.fit()], _values(trainer.network)


def _attacked_candidate(work: int, beat: Beat) -> object:
    return _candidate(work, beat, adversarial={"attack": "free", "eps": 0.1, "steps": 2})


def _teacher(work: int, beat: Beat) -> object:
    plan = FullPrecisionPlan(TINY, GENOTYPE, Recipe(epochs=1, max_steps_per_epoch=2 * work), "digits")
    trainer = plan.trainer(digits(), CPU, beat=beat)
    return [report.model_copy(update={"seconds": 0}) for report in trainer.fit()], _values(trainer.network)


def _sample(work: int, beat: Beat, *, with_parent: bool = False) -> object:
    settings = EvaluationSettings.model_validate(
        {"max_steps": 2 * work, "adversarial": {"attack": "pgd", "eps": 0.1, "steps": 2}}
    )
    plan = SupernetPlan(TINY, XNOR, settings, 0, total_samples=1)
    path = path_trainer(plan, digits().without_test(), CPU, with_parent=with_parent, beat=beat).evaluate(0, GENOTYPE)
    return replace(path.evaluation, seconds=0), {name: tensor.tolist() for name, tensor in path.weights.items()}


def _sample_with_parent(work: int, beat: Beat) -> object:
    return _sample(work, beat, with_parent=True)


@cache
def _network() -> Network:
    torch.manual_seed(0)
    return binary_network(TINY, GENOTYPE, XNOR, digits().image_format)


@cache
def _substitute() -> Network:
    torch.manual_seed(1)
    return binary_network(TINY, GENOTYPE, FullPrecision(MethodSettings()), digits().image_format)


def _test_part() -> Part:
    part = digits().test
    assert part is not None
    return part


def _suite(work: int, beat: Beat) -> object:
    settings = RobustnessSettings(eps=0.1, images=4, restarts=work)
    return measure_robustness(_network(), _substitute(), _test_part(), settings, 0, beat=beat)


def _selection(work: int, beat: Beat) -> object:
    settings = RobustnessSettings(eps=0.1, images=4 if work == 1 else ATTACK_BATCH + 4)  # one batch or two
    return selection_accuracy(_network(), digits().validation, settings, 0, beat=beat)


def _metrics(work: int, beat: Beat) -> object:
    settings = RobustnessSettings(eps=0.1, images=4, restarts=work, transfer=False)
    return robustness_figures(_network(), None, digits(), settings, 0, beat=beat)


def _larger(dataset: ImageDataset, times: int) -> ImageDataset:
    part = _test_part()
    return replace(dataset, test=Part(np.tile(part.images, (times, 1, 1, 1)), np.tile(part.labels, times)))


def _bundle(work: int, beat: Beat) -> object:
    tiny, xnor, data = (Component(name=name) for name in ("tiny", "xnor-net", "digits"))
    task = CandidateTask("", tiny, GENOTYPE, xnor, data, Recipe(), seed=0, bundled_test_bytes=0)
    return candidate_bundle(_network(), XNOR, _larger(digits(), work), task, epoch_report(), beat=beat)


NORMS = Recipe().norm_batches
# Of a bundle's C: two builds, and 360 validation and 359 test images, 32 at a time; its ONNX: a beat a batch.
C_BEATS = 2 + 12 + 12 if find_compiler() else 0
# How often each beats with the first share of its work: a beat a step, a batch, and a gradient step of an attack.
STAGES: dict[str, tuple[Stage, int]] = {
    "candidate": (_candidate, 2 * (2 + NORMS + 1)),
    "attacked candidate": (_attacked_candidate, 2 * (1 + NORMS + 1)),  # the two steps are two replays of one batch
    "teacher": (_teacher, 2 + NORMS + 1),
    "sample": (_sample, 2 + 2 + 1 + 2 * (1 + 2)),  # trained, calibrated, scored, attacked in two batches
    "sample with parent": (_sample_with_parent, 2 * 11),
    "robustness": (
        _suite,
        9 + 1 + 7 + 4 * 20 + 10 + 20 - 1,
    ),  # a beat for each attack's batch, its gradient steps, 20 draws of noise
    "selection": (_selection, 1 + 20),
    "robustness metrics": (_metrics, (8 + 1 + 7 + 3 * 20 + 10 + 20 - 1) + 21),
    "bundle": (_bundle, 2 + 2 + C_BEATS),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_beats_in_its_own_thread_and_does_what_it_does_without(name: str) -> None:
    stage, expected = STAGES[name]
    threads: list[int] = []

    def beat() -> None:
        threads.append(threading.get_ident())

    told = stage(1, beat)
    assert len(threads) == expected
    assert set(threads) == {threading.get_ident()}
    assert told == stage(1, no_beat)
    threads.clear()
    stage(2, beat)
    assert len(threads) > expected

"""Every binarization method by discovery: its training step may be recorded and replayed, or it says why not, truly."""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from nas_service.binarization.method import METHODS
from nas_service.recipes.acceleration import Acceleration
from nas_service.recipes.recipe import Recipe
from nas_service.reports import EpochReport
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.errors import InvalidFieldError
from search_spaces.network import CellStack
from search_spaces.space import SPACES
from tests.contracts.test_methods import EVERY_METHOD, EVERY_METHOD_TRAINED
from tests.nas_service.training.tape import Tape, WaitedError
from tests.samples import digits, tiny_genotype

EPOCHS, STEPS = 4, 4  # every phase of every method, and in each epoch two steps to warm up and two that are replayed
Figures = list[tuple[Any, ...]]


@functools.cache
def _teacher() -> CellStack:
    plan = FullPrecisionPlan(SPACES.get("tiny"), tiny_genotype(), Recipe(epochs=1, max_steps_per_epoch=2), "digits")
    trainer = plan.trainer(digits(), torch.device("cpu"))
    for _ in trainer.fit():
        pass
    return trainer.network


def _figures(report: EpochReport) -> tuple[Any, ...]:
    return report.train_loss, report.train_accuracy, report.validation_accuracy, report.extra


def _trained(name: str, settings: dict[str, Any], tape: Tape | None) -> tuple[Figures, dict[str, Tensor]]:
    recipe = Recipe(epochs=EPOCHS, max_steps_per_epoch=STEPS, acceleration=Acceleration(fused_optimizer=True))
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), METHODS.get(name).from_settings(settings), recipe, seed=5)
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"), _teacher() if plan.needs_teacher else None)
    trainer.bench.recorder = tape
    figures = [_figures(report) for report in trainer.fit()]
    return figures, {**trainer.network.state_dict(), **trainer._state.state_dict(prefix="state.")}


def _replays(name: str, settings: dict[str, Any]) -> bool:
    """Whether replayed training equals eager training bit for bit: the same operations on the same numbers."""
    tape = Tape()
    try:
        replayed, weights = _trained(name, settings, tape)
    except WaitedError:
        return False
    eager, expected = _trained(name, settings, None)
    assert tape.records == EPOCHS
    assert set(weights) == set(expected)
    return replayed == eager and all(torch.equal(weights[key], expected[key]) for key in expected)


@pytest.mark.few(5)
@EVERY_METHOD_TRAINED
def test_replayed_steps_are_eager_steps_bit_for_bit_unless_the_method_needs_eager_ones(
    name: str, settings: dict[str, Any]
) -> None:
    """Both ways: a method that can be replayed may not refuse it."""
    method = METHODS.get(name).from_settings(settings)
    assert _replays(name, settings) == (method.facts.needs_eager is None)


@EVERY_METHOD
def test_a_method_that_needs_eager_steps_is_refused_in_its_own_words(name: str, settings: dict[str, Any]) -> None:
    facts = METHODS.get(name).from_settings(settings).facts
    if facts.needs_eager is None:
        assert Acceleration(cuda_graph=True).resolve("cuda", facts, 1).cuda_graph
        return
    for field, given in (("cuda_graph", True), ("compile", "regions")):
        with pytest.raises(InvalidFieldError, match=facts.needs_eager) as error:
            Acceleration.model_validate({field: given}).resolve("cuda", facts, 1)
        assert error.value.field == f"acceleration.{field}"
    assert not Acceleration().resolve("cuda", facts, 1).cuda_graph

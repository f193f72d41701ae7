"""Every binarization method by discovery: what the catalogue says of an acceleration is what trainers say of it, and is true."""

import itertools
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch._dynamo.utils import counters

from nas_service.binarization.method import METHODS, Method
from nas_service.capacity import Capacity
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.specs import Place, check_local_training, check_search
from nas_service.errors import InvalidInputError
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.specs import Component, SearchSpec
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.fast.regions import Regions
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer
from search_spaces.errors import InvalidFieldError
from search_spaces.network import CellStack
from search_spaces.space import SPACES
from tests.contracts.test_methods import CONFIGURED, configured
from tests.samples import digits, tiny_genotype

CPU, TINY, DATA = torch.device("cpu"), SPACES.get("tiny"), Path()
HERE = Place(Capacity(cpus=2, gpus=0), DatasetSource(DATA, {}))
# Beside the settings that change what a layer is, those on which it depends whether layers change from epoch to epoch.
VARIANTS = [
    *CONFIGURED,
    ("adabin", {"first_sharpness": 1.0, "last_sharpness": 1.0}),
    ("ir-net", {"first_sharpness": 1.0, "last_sharpness": 1.0}),
    ("rbcn", {"adversarial_weight": 0.0}),
    ("recu", {"first_quantile": 0.9, "last_quantile": 0.9}),
    ("reste", {"last_power": 1.0}),
]
SWITCHES: list[dict[str, Any]] = [{}, {"compile": "regions"}, {"cuda_graph": True}, {"precision": "bf16", "shared_sign": True}]
Complaint = tuple[str, str] | None


@cache
def _teacher() -> CellStack:
    return FullPrecisionPlan(TINY, tiny_genotype(), Recipe(epochs=1), "digits").trainer(digits(), CPU).network


def _candidate(method: Method, recipe: dict[str, Any], operation: str = "dilated-conv-3x3") -> CandidateTrainer:
    plan = CandidatePlan(TINY, tiny_genotype(operation), method, Recipe.model_validate(recipe), 0)
    return CandidateTrainer(plan, digits(), CPU, _teacher() if plan.needs_teacher else None)


def _refusal(build: Callable[[], object]) -> Complaint:
    """Return field and words of what a trainer refuses."""
    try:
        build()
    except InvalidFieldError as error:
        return error.field, error.allowed
    return None


def _agrees(check: Callable[[], object], prefix: str, expected: Complaint) -> bool:
    """Return whether the catalogue complains, under `prefix` alone, of what the trainer refuses; it may know of more at once."""
    try:
        check()
    except InvalidInputError as error:
        found = [
            (problem.field.removeprefix(prefix), problem.allowed)
            for problem in error.problems
            if problem.field.startswith(prefix)
        ]
        return expected in found and len(found) == len(error.problems)
    return expected is None


@configured(VARIANTS)
def test_a_training_is_accepted_where_its_trainer_accepts_it(name: str, settings: dict[str, Any]) -> None:
    """Else it is refused with the same words about the same field, in the service and on the command line."""
    method, choice = METHODS.get(name).from_settings(settings), {"name": name, "settings": settings}
    for epochs, given in itertools.product((1, 2), SWITCHES):
        recipe = {"epochs": epochs, "acceleration": given}
        expected = _refusal(partial(_candidate, method, recipe))
        for training in ({"methods": [choice], "recipe": recipe}, {"methods": [{**choice, "recipe": recipe}]}):
            check = partial(check_search, {"training": training}, HERE)
            assert _agrees(check, "training.methods.0.recipe.", expected), recipe
        local = partial(check_local_training, {"method": choice, "recipe": recipe}, DATA)
        assert _agrees(local, "method.recipe.", expected), recipe


@configured(VARIANTS)
def test_a_search_is_accepted_where_its_trainer_accepts_it(name: str, settings: dict[str, Any]) -> None:
    method = METHODS.get(name).from_settings(settings)
    if method.facts.needs_teacher:
        return
    for epochs, given in itertools.product((1, 2), SWITCHES):
        evaluation = EvaluationSettings.model_validate({"epochs": epochs, "acceleration": given})
        expected = _refusal(partial(SupernetTrainer, SupernetPlan(TINY, method, evaluation, 0, 1), digits(), CPU))
        chosen = Component(name=name, settings=settings)
        spec = SearchSpec(space=Component(name="tiny"), method=chosen, evaluation=evaluation).model_dump(mode="json")
        assert _agrees(partial(check_search, spec, HERE), "evaluation.", expected), evaluation


@configured(VARIANTS, quick={"ir-net", "rebnn+gamma"})
def test_compiled_code_serves_all_epochs_of_a_phase_unless_the_method_says_why_not(name: str, settings: dict[str, Any]) -> None:
    """Both ways: a method whose code would serve may not refuse. torch gives up after eight compilations of a region."""
    method = METHODS.get(name).from_settings(settings)
    if method.facts.needs_eager is not None:
        return
    torch.compiler.reset()
    counters.clear()
    epochs = next(count for count in itertools.count(3) if all(phase.epochs > 1 for phase in method.phases(count)))
    trainer = _candidate(method, {"epochs": epochs, "max_steps_per_epoch": 1}, "skip")  # binary convolutions before cells alone
    trainer.bench.regions = Regions("eager")
    seen = [(report.phase, counters["stats"]["unique_graphs"]) for report in trainer.fit()]
    torch.compiler.reset()
    assert seen[0][1] > 0
    again = [after > before for (phase, before), (later, after) in itertools.pairwise(seen) if phase == later]
    assert any(again) == (method.facts.changes_every_epoch is not None), seen

"""Workloads, held against what the trainers and the suite of attacks really do."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.method import MethodState, Step
from nas_service.binarization.methods.bnn import Bnn, BnnSettings
from nas_service.estimates.workload import candidate_work, sample_work
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.robustness import gradient_steps, measure_robustness
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

CPU = torch.device("cpu")
DIGITS = digits()
ADVERSARIAL = [None, {"eps": 0.1}, {"attack": "free", "eps": 0.1, "steps": 3}]


@dataclass
class _Count:
    images: int = 0


class _CountingState(MethodState):
    def __init__(self, count: _Count) -> None:
        super().__init__()
        self._count = count

    def losses(self, step: Step) -> dict[str, Tensor]:
        self._count.images += len(step.images)
        return {}


class _CountingBnn(Bnn):
    """BNN that counts the images it is trained on."""

    def __init__(self, count: _Count) -> None:
        super().__init__(BnnSettings())
        self._count = count

    def start(self, network: nn.Module) -> MethodState:
        del network
        return _CountingState(self._count)


@pytest.mark.parametrize("adversarial", ADVERSARIAL)
@pytest.mark.parametrize("limit", [None, 7])
def test_a_candidate_trains_on_as_many_images_as_are_counted(adversarial: dict[str, object] | None, limit: int | None) -> None:
    given = {"epochs": 2, "batch_size": 100, "adversarial": adversarial, "max_steps_per_epoch": limit, "augment": False}
    recipe, count = Recipe.model_validate(given), _Count()
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), _CountingBnn(count), recipe, 0)
    for _ in CandidateTrainer(plan, DIGITS, CPU).fit():
        pass
    assert count.images == candidate_work(recipe, DIGITS.facts).images


@pytest.mark.parametrize("adversarial", ADVERSARIAL)
@pytest.mark.parametrize("limit", [None, 6, 500])
def test_a_sample_trains_on_as_many_images_as_are_counted(adversarial: dict[str, object] | None, limit: int | None) -> None:
    given = {"epochs": 2, "batch_size": 50, "adversarial": adversarial, "max_steps": limit}
    settings, count = EvaluationSettings.model_validate(given), _Count()
    plan = SupernetPlan(SPACES.get("tiny"), _CountingBnn(count), settings, 0, 5)
    SupernetTrainer(plan, DIGITS, CPU).evaluate(0, tiny_genotype())
    assert count.images == sample_work(settings, DIGITS.facts).images


class _CountingNetwork(nn.Module):
    """Classifies by one layer, and counts the images that gradients are asked of."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(64, 10)
        self.asked = 0

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad:
            self.asked += len(images)
        logits: Tensor = self.classifier(images.flatten(1))
        return logits


@pytest.mark.parametrize("given", [{}, {"restarts": 2}, {"transfer": False, "restarts": 1}, {"eps": 0}])
def test_the_suite_of_attacks_takes_as_many_gradient_steps_as_are_counted(given: dict[str, object]) -> None:
    settings = RobustnessSettings.model_validate({"eps": 0.1, "images": 7, **given})
    network, substitute = _CountingNetwork(), _CountingNetwork()
    assert DIGITS.test is not None
    measure_robustness(network, substitute, DIGITS.test, settings, 0)
    assert network.asked + substitute.asked == 7 * gradient_steps(settings)

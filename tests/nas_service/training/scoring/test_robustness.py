"""The suite of attacks on a trained network, and the flag for masked gradients."""

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS, Method, MethodSettings
from nas_service.data.loader import ResidentPart
from nas_service.data.part import Part
from nas_service.recipes.adversarial import RobustnessSettings
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy
from nas_service.training.scoring.robustness import TRANSFER, WHITE_BOX, Robustness, measure_robustness, straight_through_signs
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

CPU = torch.device("cpu")
SETTINGS = RobustnessSettings(eps=0.1, images=60, restarts=1)
FEW = SETTINGS.model_copy(update={"images": 4})  # where the figures themselves do not matter


def _trained(method: Method) -> Network:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, Recipe(epochs=3), 0)
    trainer = CandidateTrainer(plan, digits(), CPU)
    list(trainer.fit())
    return trainer.network


@pytest.fixture(scope="module")
def network() -> Network:
    return _trained(METHODS.get("bnn").from_settings({}))


@pytest.fixture(scope="module")
def substitute() -> Network:
    return _trained(FullPrecision(MethodSettings()))


@pytest.fixture(scope="module")
def test_part() -> Part:
    part = digits().test
    assert part is not None
    return part


@pytest.fixture(scope="module")
def measured(network: Network, substitute: Network, test_part: Part) -> Robustness:
    return measure_robustness(network, substitute, test_part, SETTINGS, 0)


class _Saturated(nn.Module):
    """The same decisions with logits so large that the cross entropy's gradient is exactly 0 where the answer is right."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images) * 1e6
        return logits


def test_the_suite_reports_every_attack(measured: Robustness, network: Network, test_part: Part) -> None:
    clean = accuracy(network, ResidentPart.of(test_part, CPU, 60))
    assert set(measured.accuracies) == {
        "clean", *WHITE_BOX, "pgd-20-large-step", "pgd-20-straight-through", TRANSFER, "noise-20",
    }  # fmt: skip
    assert measured.accuracies["clean"] == clean
    assert all(value < clean for name, value in measured.accuracies.items() if name != "clean")
    assert measured.worst <= min(measured.accuracies.values())
    assert measured.images == 60


def test_the_same_seed_attacks_the_same(network: Network, substitute: Network, test_part: Part) -> None:
    first, second = (measure_robustness(network, substitute, test_part, FEW, 0) for _ in range(2))
    assert first == second


def test_eps_zero_is_the_clean_accuracy_everywhere(network: Network, substitute: Network, test_part: Part) -> None:
    measured = measure_robustness(network, substitute, test_part, RobustnessSettings(eps=0, images=60), 0)
    assert set(measured.accuracies.values()) == {measured.worst}
    assert measured.masked_by == ()


def test_a_network_that_only_hides_its_gradients_is_flagged(substitute: Network, test_part: Part) -> None:
    """Its white-box attacks find no gradient; the images made against a network that hides nothing fool it."""
    measured = measure_robustness(_Saturated(substitute), substitute, test_part, SETTINGS, 0)
    assert measured.accuracies["fgsm"] == measured.accuracies["clean"]
    assert measured.accuracies[TRANSFER] < measured.accuracies["pgd-20"]
    assert measured.masked_by
    assert TRANSFER in measured.masked_by


def test_without_transfer_there_is_no_figure_of_it(network: Network, test_part: Part) -> None:
    settings = FEW.model_copy(update={"transfer": False})
    assert TRANSFER not in measure_robustness(network, None, test_part, settings, 0).accuracies
    with pytest.raises(ValueError, match="needs a full-precision network"):
        measure_robustness(network, None, test_part, FEW, 0)


def test_more_restarts_find_no_fewer_mistakes(measured: Robustness, network: Network, test_part: Part) -> None:
    """The first start of several is the only one of one."""
    several = SETTINGS.model_copy(update={"transfer": False, "restarts": 2})
    one, two = measured.accuracies, measure_robustness(network, None, test_part, several, 0).accuracies
    assert all(two[name] <= one[name] for name in two)
    assert two["pgd-20"] < one["pgd-20"]


def test_straight_through_changes_gradients_and_nothing_else(network: Network) -> None:
    pixels = torch.rand(4, 1, 8, 8, requires_grad=True)
    plain = network(pixels)
    (own,) = torch.autograd.grad(plain.sum(), pixels)
    with straight_through_signs(network):
        through = network(pixels)
        (identity,) = torch.autograd.grad(through.sum(), pixels)
    assert torch.equal(plain, through)
    assert not torch.equal(own, identity)
    assert not any(layer.straight_through for layer in binary_layers([network]))

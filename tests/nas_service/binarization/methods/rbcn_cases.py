"""What the tests of RBCN share: layers, networks and one step of training."""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS, Method, MethodSettings, Step
from nas_service.binarization.methods.rbcn import Rbcn, RbcnConv2d, RbcnState
from nas_service.binarization.network import binary_network
from nas_service.binarization.taps import Taps
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.samples import GREY_8, digits, tiny_genotype

SHAPE = ConvShape(in_channels=3, out_channels=5, kernel_size=3, padding=1)
SHAPES = [
    SHAPE,
    ConvShape(in_channels=4, out_channels=4, kernel_size=5, stride=2, padding=4, dilation=2),
    ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4),
    ConvShape(in_channels=8, out_channels=3, kernel_size=1),
]
SCALES = ("spatial", "channel", "scalar")
EVERY_SCALE = pytest.mark.parametrize("scale", SCALES)
NEUTRAL: dict[str, Any] = {
    "kernel_weight": 0,
    "adversarial_weight": 0,
    "scale_learning_rate": 0,
    "alternate": False,
    "norm_pass": False,
}


def make_method(**settings: Any) -> Rbcn:  # noqa: ANN401 - settings of any kind
    method = METHODS.get("rbcn").from_settings(settings)
    assert isinstance(method, Rbcn)
    return method


def make_layer(shape: ConvShape = SHAPE, **settings: Any) -> RbcnConv2d:  # noqa: ANN401 - as above
    layer = make_method(**settings)(shape)
    assert isinstance(layer, RbcnConv2d)
    return layer


def make_student(**settings: Any) -> Network:  # noqa: ANN401 - as above
    return binary_network(SPACES.get("tiny"), tiny_genotype(), make_method(**settings), GREY_8)


@functools.cache
def make_teacher() -> Network:
    torch.manual_seed(5)
    return binary_network(SPACES.get("tiny"), tiny_genotype(), FullPrecision(MethodSettings()), GREY_8).eval()


def make_trainer(method: Method, epochs: int, **recipe: Any) -> CandidateTrainer:  # noqa: ANN401 - as above
    fields = {"max_steps_per_epoch": 2, "batch_size": 16} | recipe
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, Recipe(epochs=epochs, **fields), seed=3)
    return CandidateTrainer(plan, digits(), torch.device("cpu"), make_teacher() if plan.needs_teacher else None)


def train(method: Method, epochs: int = 1, **recipe: Any) -> CandidateTrainer:  # noqa: ANN401 - as above
    trainer = make_trainer(method, epochs, **recipe)
    for _ in trainer.fit():
        pass
    return trainer


def forward_step(network: Network, state: RbcnState, images: Tensor) -> tuple[Step, dict[str, Tensor]]:
    """Run student and teacher on `images` and return what the hooks would see."""
    with Taps(network, state.taps) as seen, Taps(make_teacher(), state.taps) as shown:
        features = network.features(images)
        logits = network.classifier(features)
        with torch.no_grad():
            make_teacher()(images)
        taps, real = dict(seen.outputs), dict(shown.outputs)
    labels = torch.zeros(len(images), dtype=torch.int64)
    return Step(binary_layers([network]), images, labels, features, logits, taps, real), real


def make_state(network: Network, **settings: Any) -> RbcnState:  # noqa: ANN401 - as above
    state = make_method(**settings).start(network)
    assert isinstance(state, RbcnState)
    return state

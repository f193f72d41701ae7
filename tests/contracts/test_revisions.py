"""The arithmetic of every method by discovery: whoever changes what it trains has to raise the method's revision.

Comparisons rest on it: figures of different revisions stand beside each other under different labels. What is held is how far
the latent weights move in a few steps, which rounding hardly changes and a factor on a gradient does.
"""

import functools

import pytest
import torch

from benchmarks.conv_rich import CONV_RICH, SPACE
from benchmarks.live_terms import RATES
from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.network import CellStack
from search_spaces.space import SPACES
from tests.samples import digits

CPU = torch.device("cpu")
MOVED = {  # by method: its revision, then how far the latent weights move with Adam and with SGD
    "adabin": (1, 1.518, 0.6417),
    "bi-real": (1, 1.512, 0.7648),
    "biper": (1, 1.515, 0.7764),
    "bnn": (2, 17.03, 4.218),
    "bonn": (1, 1.131, 0.2349),
    "ir-net": (1, 1.546, 0.6321),
    "mcn": (1, 0.5758, 0.656),
    "pcnn": (1, 1.565, 0.8197),
    "rbcn": (2, 1.506, 1.375),
    "rbonn": (3, 1.512, 2.367),
    "react-net": (1, 1.51, 0.7626),
    "rebnn": (2, 1.51, 2.33),
    "recu": (1, 1.467, 1.49),
    "reste": (2, 1.501, 0.8309),
    "xnor-net": (2, 1.424, 2.618),
}


def _recipe(optimizer: OptimizerName) -> Recipe:
    """Return two epochs, the fewest that have the fine-tuning phases, of two steps."""
    rate = RATES[optimizer]
    return Recipe(epochs=2, max_steps_per_epoch=2, optimizer=optimizer, learning_rate=rate, weight_decay=1e-3, norm_batches=0)


@functools.cache
def _teacher(optimizer: OptimizerName) -> CellStack:
    trainer = FullPrecisionPlan(SPACES.get(SPACE), CONV_RICH, _recipe(optimizer), "").trainer(digits(), CPU)
    list(trainer.fit())
    return trainer.network


def _moved(name: str, optimizer: OptimizerName) -> float:
    method = METHODS.get(name).from_settings({})
    teacher = _teacher(optimizer) if method.facts.needs_teacher else None
    plan = CandidatePlan(SPACES.get(SPACE), CONV_RICH, method, _recipe(optimizer), 0)
    trainer = CandidateTrainer(plan, digits(), CPU, teacher)
    before = [layer.weight.detach().clone() for layer in binary_layers([trainer.network])]
    list(trainer.fit())
    after = [layer.weight.detach() for layer in binary_layers([trainer.network])]
    return sum(float((new - old).norm()) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("name", METHODS.names())
def test_a_revision_stands_for_one_arithmetic(name: str) -> None:
    revision, adam, sgd = MOVED[name]
    assert METHODS.get(name).revision == revision
    seen = [_moved(name, OptimizerName.ADAM), _moved(name, OptimizerName.SGD)]
    assert seen == pytest.approx([adam, sgd], rel=0.01), f"{name} trains otherwise: raise its revision, then write {seen} here"

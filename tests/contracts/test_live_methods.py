"""Every method by discovery, with Adam and with SGD: in its default configuration signs flip, and its own terms act."""

import functools

import pytest
import torch

from benchmarks.conv_rich import CONV_RICH, SPACE
from benchmarks.live_terms import RATES, Course, Sight, look
from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS
from nas_service.recipes.recipe import OptimizerName, Recipe, Schedule
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.latent_figures import signs
from search_spaces.network import CellStack
from search_spaces.space import SPACES
from tests.samples import digits

FLIPS = 0.01  # least share of signs in the first epoch
ACTS = 0.001  # least share of the task's gradient, and of a parameter's size that it moves by
GROWS = 20  # most that a layer's latent weights grow in six epochs of SGD; RBONN's did 33-fold, and ever faster
SMALL = 0.02  # most of what is declared inert: a declaration must not outlive what it says
EVERY_METHOD = pytest.mark.parametrize("name", METHODS.names())
EVERY_OPTIMIZER = pytest.mark.parametrize("optimizer", OptimizerName)


def _course(optimizer: OptimizerName) -> Course:
    """Two epochs, the fewest that have the fine-tuning phases, of a narrow network."""
    return Course(SPACES.get(SPACE), digits(), optimizer, epochs=2, every=4)


@functools.cache
def _teacher(optimizer: OptimizerName) -> CellStack:
    return _course(optimizer).teacher()


def _look(name: str, optimizer: OptimizerName) -> Sight:
    method = METHODS.get(name).from_settings({})
    return look(_course(optimizer), method, 0, _teacher(optimizer) if method.facts.needs_teacher else None)


@pytest.mark.few(5)
@pytest.mark.diagonal
@EVERY_METHOD
@EVERY_OPTIMIZER
def test_by_default_signs_flip_and_what_hardly_acts_says_so(name: str, optimizer: OptimizerName) -> None:
    seen = _look(name, optimizer)
    assert seen.flips[0] > FLIPS
    figures = {**seen.terms, **seen.moved}
    declared = {entry.name for entry in METHODS.get(name).inert if optimizer in entry.optimizers}
    assert declared <= set(figures)
    assert {key: value for key, value in figures.items() if value < ACTS and key not in declared} == {}
    assert {key: value for key, value in figures.items() if value > SMALL and key in declared} == {}


@pytest.mark.slow
@EVERY_METHOD
def test_latent_weights_do_not_run_away(name: str) -> None:
    """With SGD at a constant rate, where what feeds on itself shows first; Adam's steps are bounded."""
    course, optimizer = _course(OptimizerName.SGD), OptimizerName.SGD
    method = METHODS.get(name).from_settings({"recurrence_start": 0.2} if name == "rbonn" else {})  # where its bound holds
    recipe = Recipe(epochs=6, batch_size=64, optimizer=optimizer, learning_rate=RATES[optimizer], schedule=Schedule.CONSTANT)
    teacher = _teacher(optimizer) if method.facts.needs_teacher else None
    trainer = CandidateTrainer(CandidatePlan(course.space, CONV_RICH, method, recipe, 0), digits(), torch.device("cpu"), teacher)
    layers = binary_layers([trainer.network])
    begun = [float(layer.weight.detach().norm()) for layer in layers]
    reports = list(trainer.fit())
    grown = [float(layer.weight.detach().norm()) / norm for layer, norm in zip(layers, begun, strict=True)]
    assert max(grown) < GROWS
    assert reports[-1].train_loss < reports[0].train_loss


@pytest.mark.parametrize("name", ["bonn", "mcn", "rebnn"])
def test_a_training_that_is_watched_is_the_same_training(name: str) -> None:
    """Bit for bit: a second network beside it, two turns a step, a hook on its gradients."""
    course, method = _course(OptimizerName.ADAM), METHODS.get(name).from_settings({})
    trainer = course.trainer(method, 0, None)
    reports = list(trainer.fit())
    seen = look(course, method, 0, None)
    assert seen.flips == [report.flip_ratio for report in reports]
    assert all(torch.equal(*pair) for pair in zip(seen.signs, signs(binary_layers([trainer.network])), strict=True))
    assert seen.validation == reports[-1].validation_accuracy


def test_the_architecture_that_methods_are_seen_on_has_several_binary_kernels_of_3x3() -> None:
    network = _course(OptimizerName.ADAM).build(METHODS.get("bnn").from_settings({}))
    assert len([layer for layer in binary_layers([network]) if layer.shape.kernel_size == 3]) == 4
    assert CONV_RICH.space == SPACE

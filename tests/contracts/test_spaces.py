"""Every space by discovery."""

import copy
import functools
import math
import re
from dataclasses import replace

import pytest
import torch

from nas_service.binarization.method import METHODS
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import FULL_PRECISION
from search_spaces.network import CellStack, network_cost, supernet_cost
from search_spaces.operation import OPERATIONS
from search_spaces.space import SKIP, SPACES, SearchSpace
from search_spaces.template import TEMPLATES
from tests.samples import GREY_8, digits, random_genotype

BNAS = replace(SPACES.get("bnas"), channels=4, cells=5)
RESNET, VGG = replace(SPACES.get("resnet-18"), channels=4, cells=8), replace(SPACES.get("vgg-small"), channels=4)
LAYERS = replace(SPACES.get("nas-bnn"), channels=4)
BINARYNET = replace(SPACES.get("vgg-binarynet"), channels=4)
CHAINS = pytest.mark.parametrize("space", [RESNET, VGG, BINARYNET], ids=lambda space: space.name)
STEP = Recipe(epochs=1, max_steps_per_epoch=1, batch_size=32)
EVERY_SPACE = pytest.mark.parametrize("name", SPACES.names())


@EVERY_SPACE
def test_it_is_filed_under_its_own_name_with_a_summary(name: str) -> None:
    space = SPACES.get(name)
    assert space.name == name
    assert space.summary


@EVERY_SPACE
def test_its_operations_and_template_exist(name: str) -> None:
    space = SPACES.get(name)
    TEMPLATES.get(space.template)
    for edge in space.edges:
        for operation in edge.operations:
            OPERATIONS.get(operation)


@EVERY_SPACE
def test_it_can_be_stacked_and_every_node_has_an_input(name: str) -> None:
    space = SPACES.get(name)
    assert len(space.plan()) == space.cells
    assert {edge.target for edge in space.edges} == set(range(space.inputs, space.inputs + space.nodes))
    assert {plan.cell_type for plan in space.plan()} == {cell.name for cell in space.cell_types}
    assert all(edge.source < edge.target for edge in space.edges)


@EVERY_SPACE
def test_a_genotype_survives_the_round_trip(name: str) -> None:
    space = SPACES.get(name)
    genotype = random_genotype(space)
    assert space.parse(genotype.to_dict()) == genotype


@functools.cache
def _teacher(space: SearchSpace) -> CellStack:
    """A full-precision network after a step: enough to be looked at."""
    trainer = FullPrecisionPlan(space, random_genotype(space), STEP, "digits").trainer(digits(), torch.device("cpu"))
    assert len(list(trainer.fit())) == 1
    return trainer.network


@pytest.mark.few(5)
@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_trains_a_network_of_two_inputs_and_skips_between_cells(name: str) -> None:
    """The methods' own suite runs over cells of one input."""
    changed = _changed(BNAS, name)
    assert {"cells.1.older.1.conv.weight", "cells.3.preprocess.conv.weight"} <= changed


@pytest.mark.diagonal
@pytest.mark.parametrize("name", METHODS.names())
@CHAINS
def test_every_method_trains_every_convolution_of_a_chain(name: str, space: SearchSpace) -> None:
    """The reference networks' kinds, narrower: a stride and real shortcuts, pools without any, and fully connected layers."""
    changed = _changed(space, name)
    convolutions = {key for key in changed if re.search(r"\.conv-3x3\.(conv|0|0\.0)\.weight$", key)}
    assert {int(key.split(".")[1]) for key in convolutions} == set(range(space.cells))
    hidden = {key for key in changed if key.startswith("hidden.") and key.endswith(".0.weight")}
    assert hidden == {f"hidden.{number}.0.weight" for number in range(len(space.hidden_widths))}


@pytest.mark.few(5)
@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_trains_both_convolutions_of_every_searched_layer(name: str) -> None:
    """Dense and in groups, of one width and to another and back."""
    convolutions = {
        key for key in _changed(LAYERS, name) if re.search(r"\.edges\.0-1\..*-conv-[35]x[35]\.[01]\.conv\.weight$", key)
    }
    kept = [choice for choice in random_genotype(LAYERS).choices if choice.operation != SKIP]
    assert len(convolutions) == 2 * len(kept)
    assert len({choice.operation for choice in kept}) > len(kept) // 2


def _changed(space: SearchSpace, method_name: str) -> set[str]:
    """Return which tensors of a network two steps of a training change."""
    method = METHODS.get(method_name).from_settings({})
    plan = CandidatePlan(space, random_genotype(space), method, STEP.model_copy(update={"epochs": 2}), seed=0)
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"), _teacher(space) if plan.needs_teacher else None)
    before = copy.deepcopy(trainer.network.state_dict())
    reports = list(trainer.fit())
    assert all(math.isfinite(report.train_loss) for report in reports)
    after = trainer.network.state_dict()
    return {key for key in before if not torch.equal(before[key], after[key])}


@EVERY_SPACE
def test_a_supernet_of_it_can_be_priced(name: str) -> None:
    """What an estimate shows before a search starts: all weights of all arms, more than any one network has, if there are two."""
    space = SPACES.get(name)
    supernet = supernet_cost(space, GREY_8, FULL_PRECISION).float_parameters
    network = network_cost(space, random_genotype(space), GREY_8, FULL_PRECISION).float_parameters
    assert supernet == network if space.size() == 1 else supernet > network

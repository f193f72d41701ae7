"""Every space by discovery."""

import pytest

from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES
from search_spaces.template import TEMPLATES
from tests.samples import random_genotype

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

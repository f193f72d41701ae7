"""The spaces of CP-NAS, BNAS and BATS: their published structure."""

import pytest
import torch
from torch import nn

from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.network import Network
from search_spaces.space import SPACES, ZEROISE, Role
from tests.samples import GREY_8, random_genotype

NEIGHBOURS = pytest.mark.parametrize(("name", "operations"), [("cp-nas", 8), ("bnas", 7), ("bats", 8)])


@NEIGHBOURS
def test_cells_have_two_inputs_four_nodes_and_fourteen_edges(name: str, operations: int) -> None:
    space = SPACES.get(name)
    assert (space.inputs, space.nodes, len(space.edges)) == (2, 4, 14)
    assert [(cell.name, cell.role) for cell in space.cell_types] == [("normal", Role.NORMAL), ("reduction", Role.REDUCTION)]
    assert all(len(edge.operations) == operations and ZEROISE in edge.operations for edge in space.edges)
    assert len(space.arms()) == 2 * 14 * operations


@NEIGHBOURS
def test_a_genotype_counts_unless_a_node_has_all_its_edges_cut(name: str, operations: int) -> None:
    """Nodes have 2, 3, 4 and 5 incoming edges; of each node's choices one cuts them all."""
    per_cell = 1
    for incoming in (2, 3, 4, 5):
        per_cell *= operations**incoming - 1
    assert SPACES.get(name).size() == per_cell**2


@NEIGHBOURS
def test_reductions_stand_at_a_third_and_two_thirds_of_the_depth(name: str, operations: int) -> None:
    plans = SPACES.get(name).plan()
    assert [plan.index for plan in plans if plan.role is Role.REDUCTION] == [8 // 3, 16 // 3]


def test_only_bnas_skips_between_cells_and_has_no_skip_and_no_separable_arm() -> None:
    assert [name for name in SPACES.names() if SPACES.get(name).inter_cell_skips] == ["bnas"]
    operations = SPACES.get("bnas").edges[0].operations
    assert not [name for name in operations if name == "skip" or "separable" in name]
    assert not any(plan.skips == (plan.index == 0) for plan in SPACES.get("bnas").plan())  # all but the first


@pytest.mark.parametrize("index", [1, 2], ids=["normal", "reduction"])
def test_a_skip_between_cells_adds_the_previous_output_or_its_halved_form_twice(index: int) -> None:
    """The cell's own output is silenced: 16 channels a node, 64 a cell, 128 after a reduction."""
    space = SPACES.get("bnas")
    cell = Network(space, random_genotype(space), FullPrecisionConv(), GREY_8).cells[index]
    previous, older = torch.randn(2, 64, 8, 8), torch.randn(2, 48 if index == 1 else 64, 8, 8)
    with_skip = cell(previous, older=older)
    skip = cell.get_submodule("skip")
    cell.register_module("skip", None)
    added = with_skip - cell(previous, older=older)
    half = nn.functional.avg_pool2d(previous, 2)
    expected = previous if index == 1 else torch.cat([half, half], 1)
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)  # a sum of floats up to about 50 minus one of its terms
    assert not list(skip.parameters())

"""SearchSpace: counting, stacking, configuring."""

from dataclasses import replace
from itertools import product

import pytest

from search_spaces.cost import FULL_PRECISION
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice
from search_spaces.network import supernet_cost
from search_spaces.space import SPACES, ZEROISE, Role, SpaceSettings, connect_all
from search_spaces.spaces.abandit import ABLATION_OPERATIONS
from tests.samples import GREY_8
from tests.search_spaces.cells import two_inputs


def test_abandit_general_has_the_published_size() -> None:
    """Ten edges, six cell types, seven operations (ABanditNAS section 3.1 without Gabor filter and denoising)."""
    space = SPACES.get("abandit-general")
    assert [edge.name for edge in space.edges] == ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3", "0-4", "1-4", "2-4", "3-4"]
    assert len(space.cell_types) == 6
    assert space.arms_per_edge == 7
    assert space.size() == 7**60
    assert len(space.arms()) == 420


def test_strides_and_channels_fall_where_the_authors_code_has_them() -> None:
    """L // 3 and 2 L // 3: for six cells the third and the fifth."""
    plans = SPACES.get("abandit-general").plan()
    assert [plan.cell_type for plan in plans] == ["a", "b", "c", "d", "e", "f"]
    assert [plan.index for plan in plans if plan.role is Role.REDUCTION] == [2, 4]
    assert [plan.channels for plan in plans] == [16, 16, 32, 32, 64, 64]
    assert [plan.in_channels for plan in plans] == [48, 64, 64, 128, 128, 256]


@pytest.mark.parametrize("cells", range(6, 25))
def test_a_cell_type_keeps_its_role_at_any_depth(cells: int) -> None:
    """The authors' code stretches all types alike, so that in ten cells strides fall on types b and d (1.7.7)."""
    space = SPACES.get("abandit-general").configure(SpaceSettings(cells=cells))
    plans = space.plan()
    roles = {cell.name: cell.role for cell in space.cell_types}
    assert all(plan.role is roles[plan.cell_type] for plan in plans)
    assert [plan.index for plan in plans if plan.role is Role.REDUCTION] == [cells // 3, 2 * cells // 3]
    assert {plan.cell_type for plan in plans} == set(roles)
    assert [plan.cell_type for plan in plans] == sorted(plan.cell_type for plan in plans)


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_a_depth_that_leaves_a_type_out_is_refused(cells: int) -> None:
    with pytest.raises(InvalidFieldError, match="cells"):
        SPACES.get("abandit-general").configure(SpaceSettings(cells=cells))


def test_configure_changes_only_what_was_given() -> None:
    space = SPACES.get("abandit-general")
    assert space.configure(SpaceSettings()) == space
    assert space.configure(SpaceSettings(channels=8)) == replace(space, channels=8)


def test_operations_given_replace_those_of_every_edge() -> None:
    space = SPACES.get("tiny").configure(SpaceSettings(operations=["skip", "avg-pool-3x3"]))
    assert {edge.operations for edge in space.edges} == {("skip", "avg-pool-3x3")}
    with pytest.raises(InvalidFieldError, match="every operation once"):
        SPACES.get("tiny").configure(SpaceSettings(operations=["skip", "skip"]))


def test_a_node_that_no_input_reaches_is_refused() -> None:
    space = replace(SPACES.get("tiny"), edges=connect_all(nodes=2, operations=("skip", ZEROISE)))
    whole = dict.fromkeys(((cell, edge) for cell in "ab" for edge in ("0-1", "0-2", "1-2")), "skip")
    assert space.genotype({**whole, ("a", "0-1"): "skip", ("a", "0-2"): ZEROISE}).operation("a", "0-2") == ZEROISE
    with pytest.raises(InvalidFieldError, match=r"genotype\.cells\.b: .*node 1, which is dead"):
        space.genotype({**whole, ("b", "0-1"): ZEROISE})
    with pytest.raises(InvalidFieldError, match=r"genotype\.cells\.a: .*node 1, which is dead"):  # 1-2 hangs from a dead node
        space.genotype({**whole, ("a", "0-1"): ZEROISE, ("a", "0-2"): ZEROISE})


def test_cells_with_two_inputs_number_their_nodes_after_both() -> None:
    edges = connect_all(nodes=4, operations=("skip",), inputs=2)
    assert len(edges) == 14
    assert [edge.name for edge in edges[:2]] == ["0-2", "1-2"]
    assert replace(SPACES.get("tiny"), edges=edges, inputs=2).nodes == 4


def test_abandit_adds_the_two_defence_operations_to_the_seven_general_ones() -> None:
    space = SPACES.get("abandit")
    assert space.size() == 9**60
    assert space.edges[0].operations[7:] == ("gabor-conv-3x3", "denoise")
    assert space.edges[0].operations[:7] == SPACES.get("abandit-general").edges[0].operations


@pytest.mark.parametrize("count", range(7, 12))
def test_the_ablation_of_abandit_is_a_setting(count: int) -> None:
    """From the seven general operations to eleven, one more at a time."""
    space = SPACES.get("abandit").configure(SpaceSettings(operations=list(ABLATION_OPERATIONS[:count])))
    assert space.size() == count**60
    assert set(space.edges[0].operations) >= set(SPACES.get("abandit-general").edges[0].operations)
    supernet_cost(space, GREY_8, FULL_PRECISION)  # every name is an operation


def test_abandit_mini_can_be_enumerated() -> None:
    space = SPACES.get("abandit-mini")
    assert space.size() == 729
    assert space.edges[0].operations == SPACES.get("abandit").edges[0].operations
    assert all(plan.role is Role.NORMAL for plan in space.plan())


def test_size_counts_what_can_be_built_and_no_genotype_with_a_dead_node() -> None:
    """Two nodes of 2 operations: node 1 must skip, node 2 must not cut both edges: 1 * (2 * 2 - 1) a cell; enumerated too."""
    space = replace(SPACES.get("tiny"), edges=connect_all(nodes=2, operations=("skip", ZEROISE)))
    places = [(cell.name, edge.name) for cell in space.cell_types for edge in space.edges]
    live = 0
    for operations in product(("skip", ZEROISE), repeat=len(places)):
        choices = [Choice(*place, operation) for place, operation in zip(places, operations, strict=True)]
        live += space.dead_node(choices) is None
    assert space.size() == live == 9


def test_a_space_in_which_every_edge_is_cut_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="an operation other than zeroise"):
        SPACES.get("tiny").configure(SpaceSettings(operations=[ZEROISE]))


def test_a_type_may_stand_in_several_stages() -> None:
    plans = two_inputs("skip", "max-pool-3x3").plan()
    assert [plan.cell_type for plan in plans] == ["normal", "normal", "reduction", "normal", "reduction", "normal"]
    assert len(two_inputs("skip", "max-pool-3x3").cell_types) == 2


def test_a_cell_with_two_inputs_takes_from_the_two_before_it() -> None:
    """The stem has 3 * 4 channels and stands for both inputs of the first cell; behind a reduction the older output is larger."""
    plans = two_inputs("skip", "max-pool-3x3").plan()
    assert [plan.channels for plan in plans] == [4, 4, 8, 8, 16, 16]
    assert [plan.in_channels for plan in plans] == [12, 8, 8, 16, 16, 32]
    assert [plan.older_channels for plan in plans] == [12, 12, 8, 8, 16, 16]
    assert [plan.halves_older for plan in plans] == [False, False, False, True, False, True]
    assert all(plan.older_channels is None for plan in SPACES.get("tiny").plan())

"""The cost of a network part by part: every sum is that of the whole, in every space with every method."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_service.binarization.method import METHODS
from search_spaces.cost import FULL_PRECISION, Size
from search_spaces.layers import layer_costs
from search_spaces.network import ImageFormat, network_cost
from search_spaces.space import SPACES
from tests.samples import random_genotype

IMAGE = ImageFormat(3, Size(33, 28), 10, (0.0,) * 3, (1.0,) * 3)
PRECISIONS = {name: METHODS.get(name).from_settings({}).facts.precision for name in METHODS.names()} | {"none": FULL_PRECISION}


@pytest.mark.parametrize("space_name", SPACES.names())
@settings(deadline=None, max_examples=30)
@given(method=st.sampled_from(sorted(PRECISIONS)), seed=st.integers(0, 1000))
def test_the_sums_of_all_parts_are_the_cost_of_the_network(space_name: str, method: str, seed: int) -> None:
    space = SPACES.get(space_name)
    genotype, precision = random_genotype(space, seed), PRECISIONS[method]
    rows = layer_costs(space, genotype, IMAGE, precision)
    whole = network_cost(space, genotype, IMAGE, precision)
    assert sum(row.parameters for row in rows if row.weight_bits == 1) == whole.binary_parameters
    assert sum(row.parameters for row in rows if row.weight_bits == 32) == whole.float_parameters
    assert (sum(row.flops for row in rows), sum(row.bops for row in rows)) == (whole.flops, whole.bops)
    assert sum(row.bytes for row in rows) == whole.packed_bytes
    assert sum(row.ops for row in rows) == pytest.approx(whole.ops)
    assert min(min(row.parameters, row.flops, row.bops, row.bytes) for row in rows) >= 0


def test_parts_name_cell_edge_operation_and_layer() -> None:
    space = SPACES.get("tiny")
    genotype = random_genotype(space, 1)
    rows = layer_costs(space, genotype, IMAGE, PRECISIONS["bnn"])
    assert [row.layer for row in rows[:3]] == ["normalisation of pixels", "stem: 3x3 convolution", "stem: batch norm"]
    assert [row.layer for row in rows[-2:]] == ["head: batch norm", "head: classifier"]
    cells = [row.cell for row in rows if row.cell is not None]
    assert cells == sorted(cells)
    assert set(cells) == {plan.index for plan in space.plan()}
    for row in rows:
        if row.edge is not None and row.cell_type is not None:
            assert row.operation == genotype.operation(row.cell_type, row.edge)

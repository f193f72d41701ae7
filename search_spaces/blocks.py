"""Blocks: the parts of a stacked network in the order in which an image passes them, from its description. No torch."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from search_spaces.cost import FLOAT_BYTES, FULL_PRECISION, BareConvCost, ConvShape, Cost, Size, batch_norm_cost, linear_cost
from search_spaces.space import CellPlan, Edge, Role, SearchSpace


class EntryBlock(NamedTuple):
    """The 1x1 convolution that brings an input of a cell to the cell's width, in the space's template."""

    plan: CellPlan
    name: str
    shape: ConvShape
    size: Size


class EdgeBlock(NamedTuple):
    """An operation on an edge of a cell."""

    plan: CellPlan
    edge: Edge
    operation: str
    stride: int
    size: Size


class FloatLayer(NamedTuple):
    """A layer that is full precision whatever the method."""

    name: str
    cost: Cost


def entry_shape(in_channels: int, plan: CellPlan) -> ConvShape:
    """Return the shape of the convolution that brings an input to the cell's width."""
    return ConvShape(in_channels=in_channels, out_channels=plan.channels, kernel_size=1)


def cell_blocks(
    space: SearchSpace, size: Size, operations: Callable[[str, Edge], Sequence[str]]
) -> Iterator[EntryBlock | EdgeBlock]:
    """Yield the blocks of all cells for images of `size`, with `operations(cell type, edge)` on every edge."""
    for plan in space.plan():
        if plan.older_channels is not None:
            yield EntryBlock(plan, "older input", entry_shape(plan.older_channels, plan), size)
        yield EntryBlock(plan, "input", entry_shape(plan.in_channels, plan), size)
        stride = 2 if plan.role is Role.REDUCTION else 1
        for edge in space.edges:
            from_input = edge.source < plan.inputs
            for name in operations(plan.cell_type, edge):
                yield EdgeBlock(plan, edge, name, stride if from_input else 1, size if from_input else size.strided(stride))
        size = size.strided(stride)


def stem_layers(space: SearchSpace, channels: int, size: Size) -> tuple[FloatLayer, ...]:
    """Return what comes before the first cell, for images of so many channels."""
    stem = ConvShape(in_channels=channels, out_channels=space.plan()[0].in_channels, kernel_size=3, padding=1)
    return (
        FloatLayer("normalisation of pixels", Cost(packed_bytes=2 * FLOAT_BYTES * channels)),  # mean and std
        FloatLayer("stem: 3x3 convolution", BareConvCost(FULL_PRECISION)(stem, size)),
        FloatLayer("stem: batch norm", batch_norm_cost(stem.out_channels)),
    )


def head_layers(space: SearchSpace, classes: int) -> tuple[FloatLayer, ...]:
    """Return what comes after the last cell, for so many classes."""
    features = space.nodes * space.plan()[-1].channels
    return (
        FloatLayer("head: batch norm", batch_norm_cost(features)),
        FloatLayer("head: classifier", linear_cost(features, classes)),
    )

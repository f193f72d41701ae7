"""Blocks: the parts of a stacked network in the order in which an image passes them, from its description. No torch."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from search_spaces.cost import FLOAT_BYTES, FULL_PRECISION, BareConvCost, ConvShape, Cost, Size, batch_norm_cost, linear_cost
from search_spaces.space import CellPlan, Chain, Edge, SearchSpace, Stem


class EntryBlock(NamedTuple):
    """The 1x1 convolution that brings an input of a cell to the cell's width, in the space's template."""

    plan: CellPlan
    name: str
    shape: ConvShape
    size: Size


class EdgeBlock(NamedTuple):
    """An operation on an edge of a cell; `channels` are those of its input."""

    plan: CellPlan
    edge: Edge
    operation: str
    channels: int
    stride: int
    size: Size


class HiddenBlock(NamedTuple):
    """A fully connected layer before the classifier, in the space's template: a 1x1 convolution of a map of one position."""

    name: str
    shape: ConvShape
    size: Size = Size(1, 1)


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
    size = _halved(size, space.stem.halvings)
    for plan in space.plan():
        if plan.chain is None:
            if plan.older_channels is not None:
                yield EntryBlock(plan, "older input", entry_shape(plan.older_channels, plan), size)
            yield EntryBlock(plan, "input", entry_shape(plan.in_channels, plan), size)
        inner = size.strided(2 if plan.halves else 1)
        for edge in space.edges:
            stride = plan.stride(edge.source)
            for name in operations(plan.cell_type, edge):
                yield EdgeBlock(plan, edge, name, plan.edge_channels(edge.source), stride, size if stride > 1 else inner)
        size = inner


def _halved(size: Size, times: int) -> Size:
    for _ in range(times):
        size = size.strided(2)
    return size


def stem_shape(space: SearchSpace, channels: int) -> ConvShape:
    """Return the shape of the stem's convolution, for images of so many channels."""
    kernel_size, stride = {Stem.SMALL: (3, 1), Stem.STRIDED: (3, 2), Stem.LARGE: (7, 2)}[space.stem]
    width = space.plan()[0].in_channels
    return ConvShape(in_channels=channels, out_channels=width, kernel_size=kernel_size, stride=stride, padding=kernel_size // 2)


def stem_layers(space: SearchSpace, channels: int, size: Size) -> tuple[FloatLayer, ...]:
    """Return what comes before the first cell, for images of so many channels."""
    stem = stem_shape(space, channels)
    return (
        FloatLayer("normalisation of pixels", Cost(packed_bytes=2 * FLOAT_BYTES * channels)),  # mean and std
        FloatLayer(f"stem: {stem.kernel_size}x{stem.kernel_size} convolution", BareConvCost(FULL_PRECISION)(stem, size)),
        FloatLayer("stem: batch norm", batch_norm_cost(stem.out_channels)),
    )


def pooled_features(space: SearchSpace, size: Size) -> int:
    """Return how many numbers are left of an image of `size` behind the last pool."""
    plans = space.plan()
    features = space.nodes * plans[-1].channels
    if space.chain is not Chain.POOLED:
        return features
    last = _halved(size, space.stem.halvings + sum(plan.halves for plan in plans))
    return features * last.height * last.width


def hidden_blocks(space: SearchSpace, size: Size) -> tuple[HiddenBlock, ...]:
    """Return the fully connected layers between the last pool and the classifier, for images of `size`."""
    widths = enumerate(pairwise((pooled_features(space, size), *space.hidden_widths)), start=1)
    return tuple(
        HiddenBlock(f"fully connected {number}", ConvShape(in_channels=inputs, out_channels=outputs, kernel_size=1))
        for number, (inputs, outputs) in widths
    )


def classifier_inputs(space: SearchSpace, size: Size) -> int:
    """Return how many numbers the classifier sees of an image of `size`."""
    return space.hidden_widths[-1] if space.hidden_multipliers else pooled_features(space, size)


def head_layers(space: SearchSpace, classes: int, size: Size) -> tuple[FloatLayer, ...]:
    """Return what is full precision after the last cell, for so many classes and images of `size`."""
    norm = FloatLayer("head: batch norm", batch_norm_cost(pooled_features(space, size)))
    classifier = FloatLayer("head: classifier", linear_cost(classifier_inputs(space, size), classes))
    return (norm, classifier) if space.chain is None else (classifier,)

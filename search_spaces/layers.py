"""Layers: the cost of a network part by part, by cell, edge, layer and bit width; the sums are `network_cost`. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from search_spaces.blocks import EdgeBlock, EntryBlock, HiddenBlock, cell_blocks, head_layers, hidden_blocks, stem_layers
from search_spaces.cost import FLOAT_BYTES, ConvShape, Cost, Precision, Size, taking_cost
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, block_cost
from search_spaces.operation import OPERATIONS
from search_spaces.space import SearchSpace
from search_spaces.template import BlockCost

_BINARY, _FLOAT = 1, 32  # bits


@dataclass(frozen=True)
class LayerCost:
    """A part of a network that counts.

    Attributes:
        cell: Place of the cell, from 0; None for stem, hidden layers and classifier.
        cell_type: Name of its type.
        edge: Name of the edge; None outside of edges.
        operation: On the edge; None outside of edges.
        layer: What it is, in words.
        weight_bits: Of its parameters: 1 or 32.
        parameters: Number of them.
        flops: Multiply-accumulates with a float operand, for one image.
        bops: Multiply-accumulates of two binary operands, for one image.
        ops: FLOPs + BOPs / 64.
        bytes: In the frozen network.
    """

    cell: int | None
    cell_type: str | None
    edge: str | None
    operation: str | None
    layer: str
    weight_bits: int
    parameters: int
    flops: int
    bops: int
    ops: float
    bytes: int


@dataclass(frozen=True)
class _Named:
    """A cost with the words for it; `part` says what the layer belongs to, where the cell and the edge do not."""

    layer: str
    cost: Cost
    part: str = ""


def layer_costs(space: SearchSpace, genotype: Genotype, image: ImageFormat, precision: Precision) -> list[LayerCost]:
    """Return the parts of `Network(space, genotype, ...)` that have parameters, bytes or multiply-accumulates, in order."""
    cost = block_cost(space, precision)
    rows = [row for layer in stem_layers(space, image.channels, image.size) for row in _rows(None, _Named(*layer))]
    for block in cell_blocks(space, image.size, lambda cell, edge: [genotype.operation(cell, edge.name)]):
        rows += [row for layer in _layers(cost, block) for row in _rows(block, layer)]
    for hidden in hidden_blocks(space, image.size):
        rows += [row for layer in _layers(cost, hidden) for row in _rows(None, layer)]
    return rows + [row for layer in head_layers(space, image.classes, image.size) for row in _rows(None, _Named(*layer))]


def _layers(cost: BlockCost, block: EntryBlock | EdgeBlock | HiddenBlock) -> Iterator[_Named]:
    """Yield the convolutions of a block, what their template puts around each, and what the operation has beside them."""
    seen: list[tuple[ConvShape, Size]] = []

    def watch(shape: ConvShape, size: Size) -> Cost:
        seen.append((shape, size))
        return cost(shape, size)

    part = "" if isinstance(block, EdgeBlock) else block.name
    if isinstance(block, EntryBlock | HiddenBlock):
        whole = watch(block.shape, block.size)
    else:
        operation = OPERATIONS.get(block.operation)()
        taking = watch if block.channels == block.plan.channels else taking_cost(block.channels, watch)
        whole = operation.cost(taking, block.plan.channels, block.stride, block.size)
    rest = whole
    for shape, size in seen:
        conv, around = cost.bare(shape, size), cost(shape, size)
        name = _conv_name(shape)
        yield _Named(name, conv, part)
        yield _Named(f"norm, activation and shortcut of the {name}", around - conv, part)
        rest -= around
    yield _Named("its own filters, products and norm", rest)


def _conv_name(shape: ConvShape) -> str:
    kind = "depthwise " if 1 < shape.groups == shape.in_channels else f"{shape.groups}-group " if shape.groups > 1 else ""
    return f"{shape.kernel_size}x{shape.kernel_size} {kind}convolution"


def _rows(block: EntryBlock | EdgeBlock | None, layer: _Named) -> Iterator[LayerCost]:
    """Yield a layer, its floats apart from its bits: the factors that scale a binary convolution."""
    cost = layer.cost
    if not any((cost.binary_parameters, cost.float_parameters, cost.flops, cost.bops, cost.packed_bytes)):
        return
    edge = block if isinstance(block, EdgeBlock) else None
    before = f"{layer.part}: " if layer.part else ""
    name = before + layer.layer
    place = partial(
        LayerCost,
        None if block is None else block.plan.index,
        None if block is None else block.plan.cell_type,
        None if edge is None else edge.edge.name,
        None if edge is None else edge.operation,
    )
    if cost.binary_parameters == 0:
        yield place(name, _FLOAT, cost.float_parameters, cost.flops, cost.bops, cost.ops, cost.packed_bytes)
        return
    floats = cost.float_parameters * FLOAT_BYTES
    yield place(name, _BINARY, cost.binary_parameters, cost.flops, cost.bops, cost.ops, cost.packed_bytes - floats)
    if cost.float_parameters:
        yield place(f"{before}scales of the {layer.layer}", _FLOAT, cost.float_parameters, 0, 0, 0.0, floats)

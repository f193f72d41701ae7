"""Network: stem, stacked cells and classifier, built from a space and a genotype.

Shape legend: N images, C channels, H and W pixels. Submodules are named by place
(`cells.<index>.edges.<edge>.<operation>`), the same in a network and in a supernet, so weights carry over by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from search_spaces.blocks import (
    EntryBlock,
    cell_blocks,
    classifier_inputs,
    entry_shape,
    head_layers,
    hidden_blocks,
    pooled_features,
    stem_layers,
    stem_shape,
)
from search_spaces.conv_factory import ConvFactory, FullPrecisionConv, Pooled, Taking
from search_spaces.cost import ConvShape, Cost, Precision, Size, taking_cost
from search_spaces.genotype import Genotype
from search_spaces.halving import halving
from search_spaces.operation import OPERATIONS
from search_spaces.space import ZEROISE, CellPlan, Chain, Edge, Role, SearchSpace
from search_spaces.template import TEMPLATES, BlockCost

Choose = Callable[[str], str]  # edge -> operation
Run = Callable[[nn.Module, Tensor], Tensor]  # calls a module, in whatever way is fast


def run_module(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return `module(inputs)`: the plain way."""
    outputs: Tensor = module(inputs)
    return outputs


@dataclass(frozen=True)
class ImageFormat:
    """What goes into a network and how many classes come out.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        size: Height and width in pixels.
        classes: Number of classes.
        mean: Mean of each channel of pixels in [0, 1], subtracted inside the network.
        std: Standard deviation of each channel, divided by inside the network.
    """

    channels: int
    size: Size
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Normalize(nn.Module):
    """(x - mean) / std per channel; inside the network so that its input, and any attack on it, is in pixels [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Keep both as buffers of shape (1, C, 1, 1)."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return (inputs - self.mean) / self.std


class WeightlessInput(nn.Module):
    """What a cell adds, or in a searched chain takes, of the previous cell's output: all of it, or in a reduction its 2x2
    means, twice side by side.

    Without weights: duplicated channels are how ReActNet widens a shortcut.
    """

    def __init__(self, role: Role) -> None:
        """Halve the size and double the channels in a reduction."""
        super().__init__()
        self.copies = 2 if role is Role.REDUCTION else 1
        self.halve = halving(self.copies)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same, or to (N, 2C, ceil(H / 2), ceil(W / 2))."""
        halved: Tensor = self.halve(inputs)
        return halved if self.copies == 1 else torch.cat([halved, halved], dim=1)


class Cell(nn.Module):
    """One cell: a 1x1 convolution of each input to the cell's width, then nodes that sum their incoming edges.

    `preprocess` is the convolution of the previous cell's output, `older` that of the cell before it, halved first where it is
    larger; a cell with one input has no `older`. A link of a chain has no convolution there: nothing, or where a searched one
    halves its size, 2x2 means.
    `edges[edge]` holds the modules of that edge by operation: one in a network, all of them in a supernet. An edge that is cut
    is left out.

    Attributes:
        run: Calls the modules of the edges.
        out_channels: Channels of its output.
    """

    def __init__(
        self, plan: CellPlan, edges: Sequence[Edge], operations: Callable[[Edge], Sequence[str]], conv: ConvFactory
    ) -> None:
        """Build the modules of `operations(edge)` for every edge."""
        super().__init__()
        self.inputs = plan.inputs
        self.run: Run = run_module
        self._wiring = tuple((edge.name, edge.source, edge.target) for edge in edges)
        self.out_channels = (max(edge.target for edge in edges) + 1 - plan.inputs) * plan.channels
        self.preprocess = entry_module(plan, conv)
        if (older := older_entry_module(plan, conv)) is not None:
            self.older = older
        self.skip = WeightlessInput(plan.role) if plan.skips else None
        self.edges = nn.ModuleDict()
        for edge in edges:
            self.edges[edge.name] = nn.ModuleDict({name: edge_module(plan, edge, name, conv) for name in operations(edge)})

    def path(self, choice: Choose) -> list[nn.Module]:
        """Return the modules that a forward pass with `choice` runs through."""
        chosen = (self._chosen(edge, choice) for edge, _, _ in self._wiring)
        entries = [self.preprocess] if self.inputs == 1 else [self.older, self.preprocess]
        return [module for module in (*entries, *chosen) if module is not None]

    def forward(self, inputs: Tensor, choice: Choose | None = None, older: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, nodes * channels, H', W'); without a choice every edge has one operation.

        `inputs` is the previous cell's output, `older` (given to cells with two inputs) that of the cell before it.
        """
        entered = inputs if self.preprocess is None else self.run(self.preprocess, inputs)
        nodes: dict[int, Tensor] = {self.inputs - 1: entered}
        if older is not None:
            nodes[0] = self.run(self.older, older)
        for edge, source, target in self._wiring:
            if (operation := self._chosen(edge, choice)) is not None:
                output = self.run(operation, nodes[source])
                nodes[target] = nodes[target] + output if target in nodes else output
        ends = [nodes[index] for index in sorted(nodes) if index >= self.inputs]
        outputs = ends[0] if len(ends) == 1 else torch.cat(ends, dim=1)
        return outputs if self.skip is None else outputs + self.skip(inputs)

    def _chosen(self, edge: str, choice: Choose | None) -> nn.Module | None:
        """Return the operation of an edge, or None where it is cut."""
        operations = self.edges[edge]
        assert isinstance(operations, nn.ModuleDict)  # noqa: S101 - for the type checker; set in __init__
        (only,) = operations if choice is None else (choice(edge),)
        return None if only == ZEROISE else operations[only]


def entry_module(plan: CellPlan, conv: ConvFactory) -> nn.Module | None:
    """Return what the previous cell's output passes first; None: nothing."""
    if plan.chain is None:
        return conv(entry_shape(plan.in_channels, plan))
    return WeightlessInput(plan.role) if plan.chain is Chain.AVERAGED and plan.halves else None


def older_entry_module(plan: CellPlan, conv: ConvFactory) -> nn.Module | None:
    """Return what the output of the cell before the previous one passes first; None: the cell does not see it."""
    if plan.older_channels is None:
        return None
    return nn.Sequential(halving(2 if plan.halves_older else 1), conv(entry_shape(plan.older_channels, plan)))


def edge_module(plan: CellPlan, edge: Edge, operation: str, conv: ConvFactory) -> nn.Module:
    """Return an operation as it stands on an edge of a cell."""
    taken = plan.edge_channels(edge.source)
    block = conv if taken == plan.channels else Taking(taken, conv)
    return OPERATIONS.get(operation)()(block, plan.channels, plan.stride(edge.source))


def block_factory(space: SearchSpace, conv: ConvFactory) -> ConvFactory:
    """Return what makes the convolutions of a space's cells: those of `conv` in its template."""
    return TEMPLATES.get(space.template)().wrap(Pooled(conv) if space.chain is Chain.POOLED else conv)


def _stem(space: SearchSpace, image_channels: int) -> nn.Sequential:
    shape = stem_shape(space, image_channels)
    conv, norm = FullPrecisionConv()(shape), nn.BatchNorm2d(shape.out_channels)
    return nn.Sequential(conv, norm, *([nn.MaxPool2d(3, 2, padding=1)] if space.stem.pools else []))


class CellStack(nn.Module):
    """Stem, cells, hidden layers (if the space has any) and classifier; what a network and a supernet share.

    The stem (convolution, batch norm) and the classifier (batch norm, global average pool, linear) are full
    precision, the convention of every method but BinaryNet. The batch norm before the pool is ours: a node sums up to
    four edges and the cells add up, so without it the scale of the features, and with it the loss, runs away. A chain, whose
    cells add nothing up, has none. A hidden layer, which is fully connected, is a block like those in cells: a 1x1 convolution in
    the template, whose input is one position with a channel for each number that the last pool leaves.

    Attributes:
        image: What it was built for.
        run: Calls stem, last batch norm and hidden layers.
    """

    def __init__(
        self,
        space: SearchSpace,
        conv: ConvFactory,
        image: ImageFormat,
        operations: Callable[[str, Edge], Sequence[str]],
    ) -> None:
        """Build the modules of `operations(cell type, edge)` in every cell of `space.plan()`."""
        super().__init__()
        self.image = image
        self.run: Run = run_module
        block = block_factory(space, conv)
        plans = space.plan()
        self.cell_types = tuple(plan.cell_type for plan in plans)
        self.inputs = space.inputs
        self.normalize = Normalize(image.mean, image.std)
        self.stem = _stem(space, image.channels)
        self.cells = nn.ModuleList(Cell(plan, space.edges, partial(operations, plan.cell_type), block) for plan in plans)
        self.head_norm = nn.BatchNorm2d(pooled_features(space, image.size)) if space.chain is None else nn.Identity()
        self.pool = nn.Identity() if space.chain is Chain.POOLED else nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.hidden = nn.ModuleList(block(hidden.shape) for hidden in hidden_blocks(space, image.size))
        self.classifier = nn.Linear(classifier_inputs(space, image.size), image.classes)

    def features(self, images: Tensor, genotype: Genotype | None = None) -> Tensor:
        """Map pixels in [0, 1] (N, C, H, W) to the classifier's input (N, features), along the path of `genotype`."""
        older = outputs = self.run(self.stem, self.normalize(images))
        for cell, cell_type in zip(self.cells, self.cell_types, strict=True):
            choice = {"choice": partial(genotype.operation, cell_type)} if genotype else {}
            two = {"older": older} if self.inputs > 1 else {}
            older, outputs = outputs, cell(outputs, **choice, **two)
        outputs = self.pool(self.run(self.head_norm, outputs))
        if self.hidden:
            outputs = outputs.flatten(1).unflatten(1, (-1, 1, 1))
        for layer in self.hidden:
            outputs = self.run(layer, outputs)
        flat: Tensor = self.flatten(outputs)
        return flat


class Network(CellStack):
    """The network of one genotype."""

    def __init__(self, space: SearchSpace, genotype: Genotype, conv: ConvFactory, image: ImageFormat) -> None:
        """Build only the operations that the genotype names.

        Raises:
            InvalidFieldError: If the genotype is not one of `space`.
        """
        self.genotype = space.parse(genotype.to_dict())
        super().__init__(space, conv, image, lambda cell, edge: [self.genotype.operation(cell, edge.name)])

    def forward(self, images: Tensor) -> Tensor:
        """Map pixels in [0, 1] (N, C, H, W) to logits (N, classes)."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def block_cost(space: SearchSpace, precision: Precision) -> BlockCost:
    """Return what a convolution in the template of `space` costs at a precision."""
    return BlockCost(space.template, precision, pools=space.chain is Chain.POOLED)


def network_cost(space: SearchSpace, genotype: Genotype, image: ImageFormat, precision: Precision) -> Cost:
    """Count the cost of `Network(space, genotype, ...)` for one image from its description, building nothing."""
    return _stack_cost(space, image, precision, lambda cell, edge: [genotype.operation(cell, edge.name)])


def supernet_cost(space: SearchSpace, image: ImageFormat, precision: Precision) -> Cost:
    """Count the parameters of a supernet; its operations are those of running every arm at once, which nobody does."""
    return _stack_cost(space, image, precision, lambda _, edge: edge.operations)


def heaviest_cost(space: SearchSpace, image: ImageFormat, precision: Precision) -> Cost:
    """Count the cost of the genotype that takes most bytes: on every edge the operation with the largest packed size."""
    block = block_cost(space, precision)

    def packed_bytes(operation: str) -> int:
        return _operation_cost(block, operation, space.channels, space.channels, 1, image.size).packed_bytes

    return _stack_cost(space, image, precision, lambda _, edge: [max(edge.operations, key=packed_bytes)])


@lru_cache(maxsize=10_000)
def _conv_cost(block: BlockCost, shape: ConvShape, size: Size) -> Cost:
    return block(shape, size)


@lru_cache(maxsize=10_000)
def _operation_cost(block: BlockCost, name: str, in_channels: int, channels: int, stride: int, size: Size) -> Cost:
    conv = block if in_channels == channels else taking_cost(in_channels, block)
    return OPERATIONS.get(name)().cost(conv, channels, stride, size)


def _stack_cost(
    space: SearchSpace, image: ImageFormat, precision: Precision, operations: Callable[[str, Edge], Sequence[str]]
) -> Cost:
    conv, operation = partial(_conv_cost, block_cost(space, precision)), partial(_operation_cost, block_cost(space, precision))
    total = sum((conv(block.shape, block.size) for block in hidden_blocks(space, image.size)), Cost())
    for _, cost in (*stem_layers(space, image.channels, image.size), *head_layers(space, image.classes, image.size)):
        total += cost
    for block in cell_blocks(space, image.size, operations):
        if isinstance(block, EntryBlock):
            total += conv(block.shape, block.size)
        else:
            total += operation(block.operation, block.channels, block.plan.channels, block.stride, block.size)
    return total

"""Assembly: the program of any genotype put together from blocks that were traced once, without building the network.

Constants are those of blocks as they are initialised: their sizes are what counts.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial

import numpy as np
import torch
from torch import nn

from nas_service.binarization.method import Method
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import (
    Add,
    Concat,
    Flatten,
    GlobalMean,
    Linear,
    MaxPool,
    Operation,
    Program,
    Shape,
    Stem,
    Step,
    Window,
)
from nas_service.deploy.tracing import trace_block
from nas_service.export.packed import freeze_layers
from nas_service.export.real_layers import PIXEL_BITS
from search_spaces.blocks import hidden_blocks, pooled_features, stem_shape
from search_spaces.genotype import Genotype
from search_spaces.network import (
    ImageFormat,
    WeightlessInput,
    block_factory,
    edge_module,
    entry_module,
    older_entry_module,
)
from search_spaces.space import ZEROISE, CellPlan, Chain, SearchSpace

_Block = tuple[tuple[Step, ...], int]
_Make = Callable[[], nn.Module | None]


class Assembler:
    """Puts programs of a space and a method together; blocks are built, frozen and traced when they are first met.

    Attributes:
        space: Of the genotypes.
        method: Makes the layers, and freezes them.
        image: What goes in.
        plans: The stacked cells.
        conv: Makes the convolutions of cells and hidden layers.
    """

    def __init__(self, space: SearchSpace, method: Method, image: ImageFormat) -> None:
        """Begin with no blocks."""
        self.space, self.method, self.image = space, method, image
        self.plans = space.plan()
        self.conv = block_factory(space, method)
        self._blocks: dict[Hashable, _Block | None] = {}

    def program(self, genotype: Genotype) -> Program:
        """Return the program of a genotype of the space.

        Raises:
            InvalidFieldError: If the genotype is not one of the space.
            ExportError: If a block has no exact form in C, naming what.
        """
        operations = {(choice.cell, choice.edge): choice.operation for choice in genotype.choices}
        self.space.genotype(operations)
        return _Assembly(self, operations).build()

    def block(self, key: tuple[str, Hashable], make: _Make, shape: Shape) -> _Block | None:
        """Return the block that `make` makes for a map of `shape`; None if it makes none. Its key begins with its name."""
        if (key, shape) not in self._blocks:
            self._blocks[key, shape] = self._traced(key[0], make, shape)
        return self._blocks[key, shape]

    def _traced(self, name: str, make: _Make, shape: Shape) -> _Block | None:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            made = make()
            if made is None:
                return None
            root = nn.Sequential(OrderedDict({name: made})).eval()
            self.method.adapt(root)
            return trace_block(freeze_layers(root.eval(), self.method), shape)


class _Assembly:
    """One program."""

    def __init__(self, source: Assembler, operations: Mapping[tuple[str, str], str]) -> None:
        self._source, self._operations, self._steps = source, operations, list[Step]()

    def build(self) -> Program:
        space, image = self._source.space, self._source.image
        shape = Shape(image.size.height, image.size.width, image.channels)
        older = at = self._stem(space, shape)
        for plan in self._source.plans:
            older, at = at, self._cell(plan, at, older)
        features = pooled_features(space, image.size)
        if space.chain is None:
            at = self._norm(at)
        if space.chain is not Chain.POOLED:
            at = self._add(GlobalMean(), (at,), Shape(1, 1, features))
        elif self._shape(at).pixels > 1:
            at = self._add(Flatten(), (at,), Shape(1, 1, features))
        for hidden in hidden_blocks(space, image.size):
            at = self._put(at, ("fully connected", hidden.shape), partial(self._source.conv, hidden.shape))
        inputs, classes = self._shape(at).channels, image.classes
        classifier = Linear(np.zeros((classes, inputs), np.float32), np.zeros(classes, np.float32))
        self._add(classifier, (at,), Shape(1, 1, classes))
        return Program(shape, tuple(self._steps), tuple(map(str, range(classes))))

    def _shape(self, at: int) -> Shape:
        return self._steps[at].shape

    def _add(self, operation: Operation, inputs: tuple[int, ...], shape: Shape, name: str = "") -> int:
        self._steps.append(Step(operation, inputs, shape, name))
        return len(self._steps) - 1

    def _norm(self, at: int) -> int:
        ones = np.ones(self._shape(at).channels, np.float32)
        return self._add(Pointwise(Kind.AFFINE, (ones, ones)), (at,), self._shape(at))

    def _put(self, at: int, key: tuple[str, Hashable], make: _Make) -> int:
        """Append the steps of a block that is given map `at`, and return the map that it makes."""
        block = self._source.block(key, make, self._shape(at))
        if block is None:
            return at
        (_, *steps), made = block
        shift = len(self._steps) - 1
        for step in steps:
            inputs = tuple([source + shift if source else at for source in step.inputs])
            self._steps.append(Step(step.operation, inputs, step.shape, step.name))
        return made + shift if made else at

    def _stem(self, space: SearchSpace, image: Shape) -> int:
        conv = stem_shape(space, image.channels)
        window = Window(conv.kernel_size, conv.stride, conv.padding)
        sides = [(side + 2 * window.padding - window.size) // window.stride + 1 for side in (image.height, image.width)]
        weight = np.zeros((conv.out_channels, window.size, window.size, image.channels), np.int64)
        mean, step = np.zeros(image.channels, np.int64), np.ones(conv.out_channels, np.float32)
        shape = Shape(sides[0], sides[1], conv.out_channels)
        at = self._norm(self._add(Stem(weight, mean, step, PIXEL_BITS, window), (), shape))
        if not space.stem.pools:
            return at
        halved = Shape((shape.height - 1) // 2 + 1, (shape.width - 1) // 2 + 1, shape.channels)
        return self._add(MaxPool(Window(3, 2, 1)), (at,), halved)

    def _cell(self, plan: CellPlan, given: int, older: int) -> int:
        """Append a cell as `search_spaces.network.Cell` computes it."""
        conv, edges = self._source.conv, self._source.space.edges
        kind = (plan.role, plan.in_channels, plan.channels, plan.older_channels, plan.halves_older, plan.halves)
        nodes = {plan.inputs - 1: self._put(given, ("input", kind), partial(entry_module, plan, conv))}
        if plan.inputs > 1:
            nodes[0] = self._put(older, ("older input", kind), partial(older_entry_module, plan, conv))
        for edge in edges:
            if (name := self._operations[plan.cell_type, edge.name]) == ZEROISE:
                continue
            key = (name, (plan.edge_channels(edge.source), plan.channels, plan.stride(edge.source)))
            made = self._put(nodes[edge.source], key, partial(edge_module, plan, edge, name, conv))
            known = nodes.get(edge.target)
            nodes[edge.target] = made if known is None else self._add(Add(), (known, made), self._shape(made))
        ends = [nodes[number] for number in sorted(nodes) if number >= plan.inputs]
        at = ends[0]
        if len(ends) > 1:
            shape = self._shape(at)
            at = self._add(Concat(), tuple(ends), Shape(shape.height, shape.width, shape.channels * len(ends)))
        if not plan.skips:
            return at
        kept = self._put(given, ("previous cell", plan.role), partial(WeightlessInput, plan.role))
        return self._add(Add(), (at, kept), self._shape(at))

"""SearchSpace: nodes, edges, cell types, allowed operations and the rule that stacks cells into a network. No torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from math import prod

from pydantic import Field

from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.given import GivenModel
from search_spaces.registry import Registry

ZEROISE = "zeroise"  # the operation that cuts an edge: its output is 0
SKIP = "skip"  # the operation that computes nothing: its output is its input


class Role(StrEnum):
    """What a cell does to its input's size."""

    NORMAL = "normal"
    REDUCTION = "reduction"  # halves height and width, doubles channels


class Stem(StrEnum):
    """The full-precision layers between the pixels and the first cell."""

    SMALL = "small"  # 3x3 convolution, batch norm: for images of 8 to 64 pixels
    STRIDED = "strided"  # the same with stride 2: a quarter of the maps' memory and of their operations, for small devices
    LARGE = "large"  # 7x7 convolution with stride 2, batch norm, 3x3 max pool with stride 2: for images of 224 pixels

    @property
    def halvings(self) -> int:
        """How often it halves height and width."""
        return {Stem.SMALL: 0, Stem.STRIDED: 1, Stem.LARGE: 2}[self]

    @property
    def pools(self) -> bool:
        """Whether a 3x3 max pool with stride 2 follows its batch norm."""
        return self is Stem.LARGE


class Chain(StrEnum):
    """How a chain, whose cells are one operation each, changes its size and ends."""

    STRIDED = "strided"  # ResNet: a reduction's convolution has stride 2; the classifier sees the mean over all positions
    POOLED = "pooled"  # VGG: 2x2 max pools behind the last convolution of a stage; the classifier sees every position by itself
    AVERAGED = (
        "averaged"  # searched: a reduction takes 2x2 means, their channels twice; the classifier sees the mean over all positions
    )


@dataclass(frozen=True)
class CellType:
    """A kind of cell that is searched; every cell of the type has the same operations and the same role.

    Attributes:
        name: What genotypes call it.
        role: What it does to the size.
        required: Whether all its edges compute something: `skip` is none of their operations.
    """

    name: str
    role: Role = Role.NORMAL
    required: bool = False

    def allows(self, operation: str) -> bool:
        """Return whether an edge of such a cell may hold an operation that the edge lists."""
        return not (self.required and operation == SKIP)


@dataclass(frozen=True)
class Edge:
    """A directed edge of a cell from an earlier node to a later one; the first nodes are the cell's inputs."""

    source: int
    target: int
    operations: tuple[str, ...]

    @property
    def name(self) -> str:
        """`source-target`, for example `0-3`."""
        return f"{self.source}-{self.target}"


@dataclass(frozen=True)
class CellPlan:
    """One cell of a stacked network.

    Attributes:
        index: Its place, from 0.
        cell_type: Name of its type.
        role: Role of its type.
        in_channels: Channels of the previous cell's output, or of the stem's.
        channels: Width of each of its nodes.
        older_channels: Channels of the output of the cell before the previous one; None where a cell has one input.
        halves_older: Whether that output is twice as high and wide as the previous cell's, a reduction.
        skips: Whether the previous cell's output is added to the cell's own.
        chain: Of which chain it is a link: then its operation, or nothing that has weights, brings its input to its width.
        ends_stage: Whether a reduction or the classifier follows.
    """

    index: int
    cell_type: str
    role: Role
    in_channels: int
    channels: int
    older_channels: int | None = None
    halves_older: bool = False
    skips: bool = False
    chain: Chain | None = None
    ends_stage: bool = False

    @property
    def inputs(self) -> int:
        """Number of input nodes."""
        return 1 if self.older_channels is None else 2

    @property
    def halves(self) -> bool:
        """Whether its output is half as high and wide as its input."""
        return self.ends_stage if self.chain is Chain.POOLED else self.role is Role.REDUCTION

    def stride(self, source: int) -> int:
        """Return the stride of the edges that leave a node: 2 where that is an input of a cell that halves."""
        return 2 if self.halves and self.chain is not Chain.AVERAGED and source < self.inputs else 1

    def edge_channels(self, source: int) -> int:
        """Return the channels of a node that edges leave, as they arrive there."""
        return self.in_channels if self.chain in {Chain.STRIDED, Chain.POOLED} and source < self.inputs else self.channels


class SpaceSettings(GivenModel):
    """What a user may change about a named space; a field left out keeps the space's own value."""

    channels: int | None = Field(None, ge=2, le=1024, description="Width of a node in the first cells.")
    cells: int | None = Field(None, ge=1, le=64, description="Number of stacked cells.")
    template: str | None = Field(None, description="The block around a binary convolution, by name.")
    stem: Stem | None = Field(
        None,
        strict=False,
        description="small: for images of up to 64 pixels; strided: half the size, for small devices; large: a quarter, for 224.",
    )
    operations: list[str] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="The operations every edge may choose from, in order, instead of the space's own.",
    )


def connect_all(nodes: int, operations: tuple[str, ...], inputs: int = 1) -> tuple[Edge, ...]:
    """Return the edges of a fully connected cell: each of `nodes` intermediate nodes takes from every node before it."""
    return tuple(Edge(i, j, operations) for j in range(inputs, inputs + nodes) for i in range(j))


@dataclass(frozen=True)
class SearchSpace:
    """What can be built: one frozen value, no behaviour of its own beyond counting and checking.

    A cell is a directed acyclic graph over its inputs (the outputs of the cells before it, each through a 1x1
    convolution to `channels`) and the intermediate nodes; a node is the sum of its incoming edges and the cell's output
    is the concatenation of the intermediate nodes. In a reduction cell the edges that leave an input have stride 2.

    A cell with two inputs takes the outputs of the two cells before it; the stem's stands for those that are not there. Where
    the cell between the two is a reduction, the older output is larger, and the mean of each 2x2 square makes it equal.

    With skips between cells, each cell but the first adds the previous cell's output to its own; a reduction, which halves the
    size and doubles the channels, adds the mean of each 2x2 square to both halves of its channels. Neither has weights.

    A `chain` has cells of one operation each, no 1x1 convolution before a cell and no batch norm before the classifier. A
    reference network is a chain with one architecture. Where its pools are inside the blocks, a cell that ends a stage halves the
    size, and the reduction that follows only doubles the channels. In a chain that is searched every cell is a layer; where it is
    not required, `skip` leaves it out, which is how depth is searched.

    Attributes:
        cell_types: What is searched. In stacking order, reductions divide the normal types into stages.
        stacking: Names of the types in stacking order, where a type stands in more than one stage; empty: each type once, in
            the order of `cell_types`.
        edges: The edges of a cell, in order of target and source.
        cells: How many cells are stacked.
        inputs: 1: node 0 is the previous cell; 2: node 0 is the cell before the previous one, node 1 the previous cell.
        channels: Node width in the first stage; every reduction doubles it.
        stem: The layers before the first cell.
        stem_multiplier: The stem makes `stem_multiplier * channels` channels.
        template: Name of the block that wraps a binary convolution.
        inter_cell_skips: Whether cells add the previous cell's output to their own.
        chain: How a chain changes its size and ends; None: cells with a 1x1 convolution before each.
        hidden_multipliers: One for each fully connected layer between the last cell and the classifier, which has
            `multiplier * channels` outputs and stands in the template as every convolution of a cell does.
    """

    name: str
    summary: str
    cell_types: tuple[CellType, ...]
    edges: tuple[Edge, ...]
    cells: int
    channels: int = 16
    stem_multiplier: int = 3
    template: str = "double-norm"
    inputs: int = 1
    stacking: tuple[str, ...] = ()
    inter_cell_skips: bool = False
    stem: Stem = Stem.SMALL
    chain: Chain | None = None
    hidden_multipliers: tuple[int, ...] = ()

    @property
    def nodes(self) -> int:
        """Number of intermediate nodes of a cell."""
        return max(edge.target for edge in self.edges) + 1 - self.inputs

    @property
    def arms_per_edge(self) -> int:
        """K, the largest number of operations on any edge."""
        return max(len(edge.operations) for edge in self.edges)

    @property
    def is_reference(self) -> bool:
        """Whether it is one network of the literature: nothing is searched."""
        return self.chain in {Chain.STRIDED, Chain.POOLED}

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Outputs of the fully connected layers before the classifier."""
        return tuple(multiplier * self.channels for multiplier in self.hidden_multipliers)

    def arms(self) -> tuple[Choice, ...]:
        """Return every arm (cell type, edge, operation) in the space's order, one that a required cell rules out among them."""
        return tuple(
            Choice(cell.name, edge.name, operation)
            for cell in self.cell_types
            for edge in self.edges
            for operation in edge.operations
        )

    def size(self) -> int:
        """Return the number of genotypes: of the choices on a node's incoming edges, all but the one that cuts them all."""
        count = 1
        for cell in self.cell_types:
            for node in range(self.inputs, self.inputs + self.nodes):
                incoming = [self.allowed(cell, edge) for edge in self.edges if edge.target == node]
                count *= prod(map(len, incoming)) - all(ZEROISE in operations for operations in incoming)
        return int(count)

    def allowed(self, cell: CellType, edge: Edge) -> tuple[str, ...]:
        """Return the operations that an edge of a cell type may hold."""
        return tuple(filter(cell.allows, edge.operations))

    def may_hold(self, arm: Choice) -> bool:
        """Return whether the cell type of one of its arms allows the operation: not a skip where the cell is required."""
        return next(cell for cell in self.cell_types if cell.name == arm.cell).allows(arm.operation)

    def dead_node(self, choices: Iterable[Choice]) -> tuple[str, int] | None:
        """Return cell type and number of the first node that no input reaches, or None: only zeroise cuts an edge."""
        operations = {(choice.cell, choice.edge): choice.operation for choice in choices}
        for cell in self.cell_types:
            live = set(range(self.inputs))
            for node in range(self.inputs, self.inputs + self.nodes):
                incoming = (edge for edge in self.edges if edge.target == node and edge.source in live)
                if all(operations[cell.name, edge.name] == ZEROISE for edge in incoming):
                    return cell.name, node
                live.add(node)
        return None

    def genotype(self, operations: Mapping[tuple[str, str], str]) -> Genotype:
        """Build a genotype from (cell type, edge) -> operation, checked and in the space's order.

        Raises:
            InvalidFieldError: Naming a missing edge, an unknown one, an operation that the edge does not allow, or a node
                that no input reaches.
        """
        choices = []
        left = dict(operations)
        for cell in self.cell_types:
            for edge in self.edges:
                given = left.pop((cell.name, edge.name), None)
                if given not in (names := self.allowed(cell, edge)):
                    raise InvalidFieldError(f"genotype.cells.{cell.name}.{edge.name}", given, "one of: " + ", ".join(names))
                choices.append(Choice(cell.name, edge.name, given))
        if left:
            (cell_name, edge_name), given = next(iter(left.items()))
            known = (
                f"cell types {', '.join(cell.name for cell in self.cell_types)}; edges {', '.join(e.name for e in self.edges)}"
            )
            raise InvalidFieldError(f"genotype.cells.{cell_name}.{edge_name}", given, known)
        if (dead := self.dead_node(choices)) is not None:
            allowed = f"an operation other than {ZEROISE} on a path from an input to node {dead[1]}, which is dead"
            raise InvalidFieldError(f"genotype.cells.{dead[0]}", dict.fromkeys(self._into(dead[1]), ZEROISE), allowed)
        return Genotype(self.name, tuple(choices))

    def _into(self, node: int) -> list[str]:
        return [edge.name for edge in self.edges if edge.target == node]

    def only_genotype(self) -> Genotype:
        """Return the genotype of a space that has one, such as a reference network."""
        (operations,) = {edge.operations for edge in self.edges}
        (operation,) = operations
        return self.genotype({(cell.name, edge.name): operation for cell in self.cell_types for edge in self.edges})

    def parse(self, payload: object) -> Genotype:
        """Read a genotype of this space from the form that `Genotype.to_dict` writes.

        Raises:
            InvalidFieldError: Naming the field that is wrong.
        """
        read = Genotype.from_dict(payload)
        if read.space != self.name:
            raise InvalidFieldError("genotype.space", read.space, self.name)
        return self.genotype({(choice.cell, choice.edge): choice.operation for choice in read.choices})

    def plan(self) -> tuple[CellPlan, ...]:
        """Return the stacked cells.

        With r reductions and L cells the reductions stand at i * L // (r + 1) for i = 1..r (DARTS and ABanditNAS's code:
        L // 3 and 2 * L // 3). The cells between are filled with the normal types of their own stage, stretched evenly.
        So a type keeps its role at any depth; the authors' code stretches all types alike and then strides fall on
        other types in a deeper network.

        Raises:
            InvalidFieldError: If a stage would have fewer cells than normal types, or cells and no type.
        """
        stages: list[list[CellType]] = [[]]
        reductions = []
        types_by_name = {cell_type.name: cell_type for cell_type in self.cell_types}
        for cell_type in map(types_by_name.__getitem__, self.stacking or types_by_name):
            if cell_type.role is Role.REDUCTION:
                reductions.append(cell_type)
                stages.append([])
            else:
                stages[-1].append(cell_type)
        cuts = [-1, *(i * self.cells // len(stages) for i in range(1, len(stages))), self.cells]
        sequence: list[CellType] = []
        for stage, (cut, next_cut) in enumerate(pairwise(cuts)):
            if stage:
                sequence.append(reductions[stage - 1])
            length, types = next_cut - cut - 1, stages[stage]
            if length < len(types) or (length and not types):
                raise InvalidFieldError(
                    "cells",
                    self.cells,
                    f"a depth that gives stage {stage + 1} of {self.name} at least {len(types)} cells",
                )
            sequence.extend(types[i * len(types) // length] for i in range(length))
        return self._widths(sequence)

    def _widths(self, sequence: list[CellType]) -> tuple[CellPlan, ...]:
        plans = []
        channels, in_channels = self.channels, self.stem_multiplier * self.channels
        older_channels, halves_older = in_channels, False
        for index, (name, role) in enumerate((cell_type.name, cell_type.role) for cell_type in sequence):
            if role is Role.REDUCTION:
                channels *= 2
            plan = CellPlan(index, name, role, in_channels, channels, skips=self.inter_cell_skips and index > 0, chain=self.chain)
            if index + 1 == len(sequence) or sequence[index + 1].role is Role.REDUCTION:
                plan = replace(plan, ends_stage=True)
            if self.inputs > 1:
                plan = replace(plan, older_channels=older_channels, halves_older=halves_older)
            plans.append(plan)
            older_channels, halves_older = in_channels, role is Role.REDUCTION
            in_channels = self.nodes * channels
        return tuple(plans)

    def configure(self, settings: SpaceSettings) -> "SearchSpace":
        """Return this space with the settings that were given.

        Names of operations and templates are checked where networks are built; here only the structure is.

        Raises:
            InvalidFieldError: If the depth does not fit the cell types, an operation is listed twice, all edges are cut, or a
                reference network is given operations.
        """
        space = replace(
            self,
            **{key: value for key, value in settings.model_dump(exclude={"operations"}).items() if value is not None},
        )
        if settings.operations is not None and self.is_reference:
            raise InvalidFieldError("operations", settings.operations, f"nothing: {self.name} is one network of fixed operations")
        if settings.operations is not None:
            operations = tuple(settings.operations)
            if len(set(operations)) < len(operations):
                raise InvalidFieldError("operations", settings.operations, "every operation once")
            if operations == (ZEROISE,):
                raise InvalidFieldError("operations", settings.operations, f"an operation other than {ZEROISE} among them")
            if not all(any(map(cell.allows, set(operations) - {ZEROISE})) for cell in self.cell_types):
                raise InvalidFieldError(
                    "operations", settings.operations, f"an operation other than {SKIP} among them, for cells that have none"
                )
            space = replace(space, edges=tuple(Edge(e.source, e.target, operations) for e in self.edges))
        space.plan()
        return space


SPACES: Registry[SearchSpace] = Registry("search space", "search_spaces.spaces")

"""Memory: where the maps of a network lie in one arena, by when they live.

A map lives from the stage that makes it to the last one that reads it. Maps that are only put side by side lie inside of the
map that they become. A stage whose output takes each number of an input that dies with it writes over that input, and so does one
that shrinks a map that dies with it: what it has written never reaches what it has yet to read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.deploy.program import AvgPool, BinaryConv, Concat, GroupMean, MaxPool, RealConv, Shape, Window
from nas_service.deploy.stages import Other, Stage

ALIGNMENT = 16  # bytes


@dataclass(frozen=True)
class Place:
    """Where a map lies: channel c of pixel p is number p stride + c from `offset` on.

    Attributes:
        offset: Bytes from the beginning of the arena.
        stride: Numbers from one pixel to the next.
    """

    offset: int
    stride: int


@dataclass(frozen=True)
class Room:
    """The arena.

    Attributes:
        places: Of every map that is stored, by number.
        scratch: Byte at which the room begins that each stage may use for itself, by the map it makes.
        total: Bytes.
        copies: Concatenations that have to be copied, by number: for each part, whether it lies there already.
    """

    places: dict[int, Place]
    scratch: dict[int, int]
    total: int
    copies: dict[int, tuple[bool, ...]]


@dataclass
class _Part:
    """A map, with maps that lie inside of it, for the stages that it lives."""

    size: int
    first: int
    last: int


class _Block:
    """What is placed as one: maps that are written over one another, one after the other, all from one byte on.

    Attributes:
        parts: Those maps.
        size: Of the largest, in bytes.
        first: When the first one is written.
        last: When the last one is read.
        offset: Where it lies; -1: not yet anywhere.
    """

    def __init__(self, size: int, first: int, last: int) -> None:
        self.parts = [_Part(size, first, last)]
        self.size, self.first, self.last, self.offset = size, first, last, -1

    def write_over(self, size: int, when: int, last: int) -> None:
        """Add a map that is written over the last one, which dies then."""
        self.parts.append(_Part(size, when, last))
        self.size, self.last = max(self.size, size), last

    def taken(self, other: "_Block") -> list[tuple[int, int]]:
        """Return from where to where the block may not begin, as `other` lies there at the same time."""
        return [
            (other.offset - own.size, _aligned(other.offset + part.size))
            for own in self.parts
            for part in other.parts
            if own.first <= part.last and part.first <= own.last
        ]


def place_maps(stages: Sequence[Stage], scratch: Sequence[int]) -> Room:
    """Return where everything lies; `scratch` is what each stage needs beside its maps, in bytes."""
    return _Placing(stages, scratch).place()


class _Placing:
    def __init__(self, stages: Sequence[Stage], scratch: Sequence[int]) -> None:
        self._stages, self._scratch = stages, scratch
        self._shapes: dict[int, Shape] = {stage.output: stage.shape for stage in stages}
        self._bytes = {stage.output: stage.stored_bytes for stage in stages}
        self._unit = stages[0].number_bytes
        self._dies = {stage.output: when for when, stage in enumerate(stages)}
        for when, stage in enumerate(stages):
            for step in stage.reads:
                self._dies[step] = when
        self._dies[stages[-1].output] = len(stages)
        self._inside: dict[int, tuple[int, int]] = {}  # map -> the map it lies in, first channel there
        self._copies: dict[int, tuple[bool, ...]] = {}
        self._members: dict[int, list[int]] = {}  # maps that lie in one, itself among them

    def place(self) -> Room:
        """Place concatenations first, then share, then find room by size."""
        for stage in self._stages:
            if isinstance(stage.head, Concat):
                self._put_inside(stage)
        for step in self._shapes:
            self._members.setdefault(self._root(step), []).append(step)
        blocks: dict[int, _Block] = {}
        owner: dict[int, int] = {}
        for when, stage in enumerate(self._stages):
            root = self._root(stage.output)
            if root not in blocks and (reused := self._reused(stage, when, owner, blocks)) is not None:
                owner[root] = reused
                blocks[reused].write_over(self._bytes[root], when, self._last(root))
                blocks[root] = blocks[reused]
            elif root not in blocks:
                blocks[root] = _Block(self._bytes[root], when, self._last(root))
                owner[root] = root
        own = [blocks[root] for root, held in owner.items() if root == held]
        needs = {when: _Block(size, when, when) for when, size in enumerate(self._scratch) if size}
        total = _arrange([*own, *needs.values()])
        places = {step: self._place_of(step, blocks) for step in self._shapes}
        scratch = {stage.output: needs[when].offset if when in needs else 0 for when, stage in enumerate(self._stages)}
        return Room(places, scratch, total, self._copies)

    def _put_inside(self, stage: Stage) -> None:
        """Let the parts of a concatenation lie in it, where they are maps of their own; the others are copied."""
        channel, there = 0, []
        for position, step in enumerate(stage.inputs):
            fits = step not in self._inside and step not in self._copies and stage.inputs.index(step) == position
            if fits:
                self._inside[step] = (stage.output, channel)
            there.append(fits)
            channel += self._shapes[step].channels
        self._copies[stage.output] = tuple(there)

    def _root(self, step: int) -> int:
        while step in self._inside:
            step = self._inside[step][0]
        return step

    def _last(self, root: int) -> int:
        return max(self._dies[step] for step in self._members[root])

    def _reused(self, stage: Stage, when: int, owner: dict[int, int], blocks: dict[int, _Block]) -> int | None:
        """Return the block of an input that is read number by number, or packed first, and dies here; None: there is none."""
        if self._root(stage.output) != stage.output or len(self._members[stage.output]) > 1:
            return None
        candidates = [entry.step for entry in stage.tail if isinstance(entry, Other) and not entry.multiplies]
        packed, source = isinstance(stage.head, BinaryConv), self._shapes[stage.inputs[0]] if stage.inputs else stage.shape
        over = packed or shrinks(stage, source)
        if isinstance(stage.head, RealConv):  # it reads a window of its input for every number that it stores
            candidates = [step for step in candidates if step not in stage.inputs]
        if stage.head is None or over:
            candidates += stage.inputs
        for step in candidates:
            alone = step not in self._inside and len(self._members[step]) == 1
            fits = self._shapes[step] == stage.shape and self._bytes[step] == stage.stored_bytes
            fits = fits or (over and step in stage.inputs and self._fits(step, stage))
            if alone and step in owner and fits and self._dies[step] == when:
                held = blocks[owner[step]]
                if held.last == when:
                    return owner[step]
        return None

    def _fits(self, step: int, stage: Stage) -> bool:
        """Return whether a stage's output fits where a map lies that nothing of the stage's tail reads."""
        return self._bytes[step] >= stage.stored_bytes and step not in stage.reads[len(stage.inputs) :]

    def _place_of(self, step: int, blocks: dict[int, _Block]) -> Place:
        channel, root = 0, step
        while root in self._inside:
            root, first = self._inside[root]
            channel += first
        return Place(blocks[root].offset + self._unit * channel, self._shapes[root].channels)


def shrinks(stage: Stage, source: Shape) -> bool:
    """Return whether a stage may write floats over a map that it reads: no window of later pixels begins before what is written.

    Pixels are made one after the other, all channels of one or 16 at a time, each behind all that it is made of. A number's place
    in its pixel is, of so many channels, that of what it is made of.
    """
    if stage.bits is not None:
        return False
    match stage.head:
        case GroupMean():
            return True
        case MaxPool(window=window) | AvgPool(window=window):
            down = min(source.width * _begin(y, window) - stage.shape.width * y for y in range(stage.shape.height))
            return down + min(_begin(x, window) - x for x in range(stage.shape.width)) >= 0
        case _:
            return False


def _begin(at: int, window: Window) -> int:
    return max(0, at * window.stride - window.padding)


def _arrange(blocks: Sequence[_Block]) -> int:
    """Give every block an offset, the largest first, each the lowest that nothing alive at the same time takes."""
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda entry: (-entry.size, entry.first)):
        alive = [other for other in placed if other.first <= block.last and block.first <= other.last]
        block.offset = 0
        for start, end in sorted((pair for other in alive for pair in block.taken(other)), key=lambda pair: pair[1]):
            if start < block.offset < end:
                block.offset = end
        placed.append(block)
    return max((_aligned(block.offset + block.size) for block in blocks), default=ALIGNMENT)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT

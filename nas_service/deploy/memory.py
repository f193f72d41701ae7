"""Memory: where the maps of a network lie in one arena, by when they live.

A map lives from the stage that makes it to the last one that reads it. Maps that are only put side by side lie inside of the
map that they become. A stage whose output takes each number of an input that dies with it writes over that input.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.deploy.program import BinaryConv, Concat, RealConv, Shape
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
class _Block:
    """What is placed as one: a map, with maps that lie inside of it."""

    size: int
    first: int
    last: int
    offset: int = -1


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
                blocks[reused].last = max(blocks[reused].last, self._last(root))
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
        packed = isinstance(stage.head, BinaryConv)
        if isinstance(stage.head, RealConv):  # it reads a window of its input for every number that it stores
            candidates = [step for step in candidates if step not in stage.inputs]
        if stage.head is None or packed:
            candidates += stage.inputs
        for step in candidates:
            alone = step not in self._inside and len(self._members[step]) == 1
            fits = self._shapes[step] == stage.shape and self._bytes[step] == stage.stored_bytes
            fits = fits or (packed and step in stage.inputs and self._fits(step, stage))
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


def _arrange(blocks: Sequence[_Block]) -> int:
    """Give every block an offset, the largest first, each the lowest that nothing alive at the same time takes."""
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda entry: (-entry.size, entry.first)):
        alive = sorted((entry.offset, entry.size) for entry in placed if entry.first <= block.last and block.first <= entry.last)
        offset = 0
        for start, size in alive:
            if offset + block.size <= start:
                break
            offset = max(offset, _aligned(start + size))
        block.offset = offset
        placed.append(block)
    return max((_aligned(block.offset + block.size) for block in blocks), default=ALIGNMENT)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT

"""Stages: the steps of a program put together as they are run.

Pointwise operations in front of a sign become its thresholds. What follows a convolution, or begins with some map, and goes
through pointwise operations, sums and factors of groups that nothing else reads becomes the stage's epilogue: each number is
computed once and stored once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nas_service.deploy.pointwise import Pointwise
from nas_service.deploy.program import Add, BinaryConv, Operation, Program, RealConv, Shape, Stem, Step, TimesGroup
from nas_service.deploy.thresholds import Thresholds, find_thresholds, is_monotone

if TYPE_CHECKING:
    from nas_service.deploy.sign_bits import SignBits


@dataclass(frozen=True)
class Other:
    """In an epilogue: the map that is added, or whose channel multiplies a group of channels.

    Attributes:
        step: Number of the map.
        multiplies: Whether it does.
        repeats: Whether what is added has the map's channels again and again.
    """

    step: int
    multiplies: bool = False
    repeats: bool = False


Tail = tuple[Pointwise | Other, ...]


@dataclass(frozen=True, eq=False)
class Stage:
    """What is run at once.

    Attributes:
        head: What it begins with; None: with the input itself.
        inputs: Maps that the head reads.
        tail: What then happens to each number, in order.
        shape: Of the map that is stored.
        output: Number of that map.
        name: For people.
        thresholds: Of the head's sign, if it takes one of floats.
        bits: Where signs are stored and no floats: when a count of differing bits is a 1, or of which floats the sign is taken.
        number_bytes: Of each number that is stored.
    """

    head: Operation | None
    inputs: tuple[int, ...]
    tail: Tail
    shape: Shape
    output: int
    name: str
    thresholds: Thresholds | None = None
    bits: "SignBits | Thresholds | None" = None
    number_bytes: int = 4

    @property
    def stored_bytes(self) -> int:
        """Bytes of the map that is stored."""
        return self.shape.floats * self.number_bytes if self.bits is None else self.shape.pixels * -(-self.shape.channels // 8)

    @property
    def reads(self) -> tuple[int, ...]:
        """Every map that it reads."""
        return (*self.inputs, *(entry.step for entry in self.tail if isinstance(entry, Other)))


@dataclass(frozen=True)
class Judge:
    """What tells the thresholds of a sign behind a chain of pointwise operations: their constants, if nothing else is given.

    Attributes:
        monotone: Whether every operation of a chain rises or falls in each channel.
        find: The thresholds behind a monotone chain, for so many channels.
    """

    monotone: Callable[[Sequence[Pointwise]], bool] = is_monotone
    find: Callable[[Sequence[Pointwise], int], Thresholds] = find_thresholds


_HEADS = (BinaryConv, RealConv, Stem)


def make_stages(program: Program, judge: Judge = Judge()) -> list[Stage]:
    """Return the stages of a program, in an order in which they can be run."""
    return _Maker(program.steps, judge).make()


class _Maker:
    """Puts steps together, from the first to the last."""

    def __init__(self, steps: Sequence[Step], judge: Judge) -> None:
        self._steps, self._judge = steps, judge
        self._users: list[list[int]] = [[] for _ in steps]
        for index, step in enumerate(steps):
            for source in step.inputs:
                self._users[source].append(index)
        self._into_signs = self._chains_before_signs()
        self._taken: set[int] = {place for chain in self._into_signs.values() for place in chain}

    def _chains_before_signs(self) -> dict[int, list[int]]:
        """Return the pointwise steps that end in the sign of each binary convolution and are read by nothing else."""
        chains = {}
        for index, step in enumerate(self._steps):
            if not isinstance(step.operation, BinaryConv):
                continue
            chain: list[int] = []
            place = step.inputs[0]
            while isinstance(operation := self._steps[place].operation, Pointwise) and len(self._users[place]) == 1:
                if not self._judge.monotone([operation]):
                    break
                chain.insert(0, place)
                place = self._steps[place].inputs[0]
            chains[index] = chain
        return chains

    def make(self) -> list[Stage]:
        """Return the stages, each where the last of its steps stands."""
        stages = [self._stage(index) for index in range(len(self._steps)) if index not in self._taken]
        return sorted(stages, key=lambda stage: stage.output)

    def _stage(self, index: int) -> Stage:
        step = self._steps[index]
        self._taken.add(index)
        chain = self._into_signs.get(index, [])
        thresholds, inputs = None, step.inputs
        if isinstance(step.operation, BinaryConv):
            inputs = self._steps[chain[0]].inputs if chain else inputs
            operations = [self._steps[place].operation for place in chain]
            channels = self._steps[inputs[0]].shape.channels
            thresholds = self._judge.find([entry for entry in operations if isinstance(entry, Pointwise)], channels)
        stage = Stage(step.operation, inputs, (), step.shape, index, step.name, thresholds)
        if isinstance(step.operation, Pointwise | Add | TimesGroup):
            stage = replace(stage, head=None, inputs=step.inputs[:1], tail=(self._entry(index, step.inputs[0]),))
        elif not isinstance(step.operation, _HEADS):
            return stage
        while (user := self._next(stage)) is not None:
            self._taken.add(user)
            stage = replace(stage, tail=(*stage.tail, self._entry(user, stage.output)), output=user)
        return stage

    def _next(self, stage: Stage) -> int | None:
        """Return the one step that reads what a stage has so far, if it can be the next of its tail."""
        users = self._users[stage.output]
        if len(users) != 1 or users[0] in self._taken:
            return None
        step = self._steps[users[0]]
        if isinstance(step.operation, Pointwise):
            return users[0]
        if isinstance(step.operation, TimesGroup):
            return users[0] if step.inputs[0] == stage.output else None
        return users[0] if isinstance(step.operation, Add) and step.inputs[0] != step.inputs[1] else None

    def _entry(self, index: int, carried: int) -> Pointwise | Other:
        """Return a step as the next of a tail that carries a map."""
        step = self._steps[index]
        if isinstance(step.operation, Pointwise):
            return step.operation
        other = step.inputs[1] if step.inputs[0] == carried else step.inputs[0]
        return Other(other, multiplies=isinstance(step.operation, TimesGroup))

"""Planning: the constants of a network in whole numbers, for given exponents of its maps.

Between two maps a stage's numbers have 32 bits. What they can be at most is known for every image: a count of signs is at most
its weights, a stored number at most 2^15, and so on. Before a sum, a slope or a bound the numbers get as many bits behind the
point as keep all that follows, up to the next factor, below 2^BITS; so nothing overflows and nothing has to be cut off. Factors
that follow one another (a scale, a batch norm) are one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log2

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.int16.exponents import LARGEST, find_exponents
from nas_service.deploy.int16.heads import Head, plan_head
from nas_service.deploy.int16.steps import LEAST, MOST, Bend, Clip, Fold, IntStep, Plus, Rectify, Scale, Shift, Times
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import Ints
from nas_service.deploy.stages import Other, Stage, Tail
from nas_service.deploy.thresholds import Thresholds
from nas_service.errors import ExportError

BITS = 24  # of the largest number before a sum
_UNEVEN = 16  # channels are taken to have at least this share of the bits of the largest
_MOST_RIGHT = -30  # a shift: nothing is left of a number then
_LARGEST = 2**31
_WIDE = (-_LARGEST, _LARGEST - 1)
_LINEAR = {Kind.AFFINE, Kind.ADD, Kind.SUBTRACT, Kind.MULTIPLY, Kind.NEGATE}
_Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IntThresholds:
    """Of each channel: the sign is +1 where (x >= limit) != flips, of whole numbers x.

    Attributes:
        limit: (C,).
        flips: bool (C,).
    """

    limit: Ints
    flips: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class IntStage:
    """A stage in whole numbers.

    Attributes:
        stage: What it computes.
        head: Constants of what it begins with.
        steps: What then happens to each number.
        exponent: The number q that is stored, or compared, stands for q 2^-exponent.
        shift: What is stored is stored(v, shift).
        thresholds: Of the head's sign, if it takes one of numbers.
        bits: Of the sign that is stored, if that is one of numbers.
    """

    stage: Stage
    head: Head
    steps: tuple[IntStep, ...] = ()
    exponent: int = 0
    shift: int = 0
    thresholds: IntThresholds | None = None
    bits: IntThresholds | None = None


def plan_network(stages: Sequence[Stage], peaks: Mapping[int, float]) -> list[IntStage]:
    """Return the stages of a network in whole numbers, with exponents by the peaks of its maps.

    An exponent is lower than the peak allows where a stage's own numbers have fewer bits behind the point.

    Raises:
        ExportError: If a stage has no such form, naming it.
    """
    most: dict[int, int] = {}
    while True:
        exponents = find_exponents(stages, peaks, most)
        planned = plan_stages(stages, exponents)
        lower = {entry.stage.output: entry.exponent + entry.shift for entry in planned if entry.shift < 0}
        lower |= {entry.stage.output: entry.exponent - 1 for entry in planned if entry.head.factor >= _LARGEST}
        if not lower:
            return planned
        if (least := min(lower, key=lower.__getitem__)) and lower[least] < -LARGEST:
            named = next(entry.stage.name for entry in planned if entry.stage.output == least)
            raise ExportError(f"{named}: its numbers and those that they are put beside differ by too much for one exponent")
        most |= lower


def plan_stages(stages: Sequence[Stage], exponents: Mapping[int, int]) -> list[IntStage]:
    """Return the stages of a network in whole numbers, for given exponents of its maps.

    Raises:
        ExportError: If a stage has no such form, naming it.
    """
    shapes = {stage.output: stage.shape for stage in stages}
    planned = []
    for stage in stages:
        head = plan_head(stage, shapes, exponents)
        thresholds = None
        if stage.thresholds is not None:
            thresholds = _whole(stage.thresholds, exponents[stage.inputs[0]], (LEAST, MOST))
        if not head.has_tail or (stage.bits is not None and not isinstance(stage.bits, Thresholds)):
            planned.append(IntStage(stage, head, exponent=exponents.get(stage.output, 0), thresholds=thresholds))
            continue
        tail = _Tail(head, stage.shape.channels, exponents)
        working = tail.write(stage.tail)
        if isinstance(stage.bits, Thresholds):
            bits = _whole(stage.bits, working, _WIDE)
            planned.append(IntStage(stage, head, tuple(tail.steps), working, 0, thresholds, bits))
        else:
            exponent = exponents[stage.output]
            planned.append(IntStage(stage, head, tuple(tail.steps), exponent, min(working - exponent, -_MOST_RIGHT), thresholds))
    return planned


def _whole(thresholds: Thresholds, exponent: int, ends: tuple[int, int]) -> IntThresholds:
    """Return thresholds of values as those of numbers: x 2^-exponent >= limit where x >= ceil(limit 2^exponent)."""
    limit = np.ceil(np.ldexp(thresholds.limit.astype(np.float64), exponent))
    never = limit > ends[1]
    limit = np.where(never | (limit < ends[0]), ends[0], limit)
    return IntThresholds(limit.astype(np.int64), thresholds.falls ^ never)


@dataclass
class _Tail:
    """Writes the steps of a tail. A value is v gain (+ m ones) + offset, and |v| and |m| are at most `reach` and `ones_reach`."""

    head: Head
    channels: int
    exponents: Mapping[int, int]
    steps: list[IntStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reach = np.broadcast_to(self.head.reach, (self.channels,)).astype(np.float64)
        self._gain = np.broadcast_to(self.head.gain, (self.channels,)).astype(np.float64)
        self._ones, self._offset = self.head.ones, np.broadcast_to(self.head.offset, (self.channels,)).astype(np.float64)
        self._is_settled = False

    def write(self, tail: Tail) -> int:
        """Write all steps, and return the exponent of what comes out."""
        for place, entry in enumerate(tail):
            if isinstance(entry, Pointwise) and entry.kind in _LINEAR:
                self._fold(entry)
                continue
            if not self._is_settled:
                self._settle(tail[place:])
            if isinstance(entry, Pointwise):
                self._bent(entry)
            elif entry.multiplies:
                self._times(entry)
            else:
                by = max(self._exponent - self.exponents[entry.step], _MOST_RIGHT)
                self.steps.append(Plus(entry.step, by, entry.repeats))
                self._reach = self._reach + max(2.0 ** (15 + by), 1)
        if not self._is_settled:
            self._settle(())
        return self._exponent

    @property
    def _exponent(self) -> int:
        return round(-log2(self._gain[0]))

    def _fold(self, entry: Pointwise) -> None:
        """Put a factor and an offset into those that are not yet written."""
        constants = [values.astype(np.float64) for values in entry.constants]
        factor: _Doubles | float = 1.0
        offset: _Doubles | float = 0.0
        match entry.kind:
            case Kind.AFFINE:
                factor, offset = constants
            case Kind.MULTIPLY:
                factor = constants[0]
            case Kind.NEGATE:
                factor = -1.0
            case Kind.ADD:
                offset = constants[0]
            case _:
                offset = -constants[0]
        self._gain, self._offset = self._gain * factor, self._offset * factor + offset
        self._ones = None if self._ones is None else self._ones * factor
        self._is_settled = False

    def _settle(self, following: Tail) -> None:
        """Write what is folded, with as many bits behind the point as what follows leaves room for."""
        reach = np.maximum(self._reach, self._reach.max() / _UNEVEN)
        value = reach * np.abs(self._gain) + np.abs(self._offset)
        if self._ones is not None:
            value = value + self.head.reach * np.abs(self._ones)
        most = self._most(float(value.max()), following)
        exponent = BITS - ceil(log2(most)) if most > 0 else LARGEST  # of zeros any
        self._is_settled = True
        if self._is_power_of_two():
            by = max(exponent - self._exponent, _MOST_RIGHT)
            if by:
                self.steps.append(Shift(by))
            self._reach, self._gain = np.ceil(self._reach * 2.0**by) + 1, self._gain * 2.0**-by
            return
        lift = lift_of(float(self._reach.max()))
        factor, offset = whole(self._gain, exponent + 32 - lift), whole(self._offset, exponent)
        ones = None if self._ones is None else whole(self._ones, exponent + 32 - lift)
        self.steps.append(Scale(lift, factor, offset, ones))
        self._reach = np.ceil(value * 2.0**exponent) + 2
        self._gain, self._offset, self._ones = np.full(self.channels, 2.0**-exponent), np.zeros(self.channels), None

    def _is_power_of_two(self) -> bool:
        """Return whether all values are v times one power of two."""
        gain = float(self._gain[0])
        return (
            self._ones is None
            and gain > 0
            and log2(gain).is_integer()
            and not self._offset.any()
            and bool((self._gain == gain).all())
        )

    def _most(self, value: float, following: Tail) -> float:
        """Return the largest magnitude before the next factor, beginning with `value`."""
        for entry in following:
            if isinstance(entry, Other):
                if entry.multiplies:
                    break
                value += 2.0 ** (15 - self.exponents[entry.step])
            elif entry.kind in _LINEAR:
                break
            elif entry.kind in {Kind.PRELU, Kind.MAXOUT}:
                value *= max(1.0, *(float(np.abs(values).max()) for values in entry.constants))
        return value

    def _bent(self, entry: Pointwise) -> None:
        lift, exponent = lift_of(float(self._reach.max())), self._exponent
        slopes = [np.abs(values).astype(np.float64) for values in entry.constants]
        match entry.kind:
            case Kind.RELU:
                self.steps.append(Rectify())
            case Kind.CLIP:
                least, most = (np.clip(whole(values, exponent), *_WIDE) for values in entry.constants)
                self.steps.append(Clip(least, most))
                self._reach = np.maximum(self._reach, np.maximum(np.abs(least), np.abs(most)).clip(0, self._reach.max()))
            case Kind.PRELU:
                self.steps.append(Bend(lift, whole(entry.constants[0], 32 - lift)))
                self._reach = np.ceil(self._reach * np.maximum(1, slopes[0])) + 1
            case _:
                lower, upper = (whole(values, 32 - lift) for values in entry.constants)
                self.steps.append(Fold(lift, lower, upper))
                self._reach = np.ceil(self._reach * np.maximum(slopes[0], slopes[1])) + 1

    def _times(self, entry: Other) -> None:
        lift = lift_of(float(self._reach.max()))
        self.steps.append(Times(entry.step, lift))
        exponent = self._exponent + self.exponents[entry.step] + lift - 17
        self._reach = np.ceil(self._reach * 2.0 ** (lift - 2)) + 1
        self._gain = np.full(self.channels, 2.0**-exponent)
        self._is_settled = False


def lift_of(reach: float) -> int:
    """Return by how much numbers up to `reach` can be shifted to the left in 32 bits."""
    return 30 - floor(log2(max(reach, 1)))


def whole(values: NDArray[np.floating], exponent: int) -> Ints:
    """Return the whole numbers nearest to values 2^exponent."""
    return np.rint(np.ldexp(np.asarray(values, np.float64), exponent)).astype(np.int64)

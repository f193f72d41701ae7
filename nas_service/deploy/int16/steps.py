"""Steps: what happens to each number of a stage of an int16 network, in whole numbers of 32 bits.

Each is defined once, in numpy, as generated C computes it. There are three ways to round, all to the nearest, a half upwards:

    high(a, b)     = floor((a b + 2^31) / 2^32), of two numbers of 32 bits: one instruction on many processors
    shifted(a, k)  = a 2^k, or floor(a 2^k + 1/2) where k is below 0
    stored(a, k)   = shifted(a, -k), then at least -32768 and at most 32767

No other number is rounded or cut off: `planning` chooses the constants such that nothing passes 2^31, whatever the image.
"""

from dataclasses import dataclass

import numpy as np

from nas_service.deploy.program import Ints

LEAST, MOST = -(2**15), 2**15 - 1  # of a stored number
_LARGEST = 2**31


@dataclass(frozen=True, eq=False)
class Scale:
    """v becomes offset + high(v 2^lift, factor), and + high(m 2^lift, ones) with the sum m of the signs under a window.

    Attributes:
        lift: Of a stage.
        factor: (C,).
        offset: (C,).
        ones: (C,), or None.
    """

    lift: int
    factor: Ints
    offset: Ints
    ones: Ints | None = None


@dataclass(frozen=True, eq=False)
class Shift:
    """v becomes shifted(v, by)."""

    by: int


@dataclass(frozen=True, eq=False)
class Bend:
    """v stays where it is above 0, else it becomes high(v 2^lift, factor); factor: (C,)."""

    lift: int
    factor: Ints


@dataclass(frozen=True, eq=False)
class Fold:
    """With r = v where it is above 0, else 0: v becomes high(r 2^lift, upper) + high((v - r) 2^lift, lower); (C,) each."""

    lift: int
    lower: Ints
    upper: Ints


@dataclass(frozen=True, eq=False)
class Rectify:
    """v stays where it is above 0, else it becomes 0."""


@dataclass(frozen=True, eq=False)
class Clip:
    """v becomes at least `least` and at most `most`; (C,) each."""

    least: Ints
    most: Ints


@dataclass(frozen=True, eq=False)
class Plus:
    """v becomes v + shifted(x, by), with x of map `step`, whose channels are taken again and again where it `repeats`."""

    step: int
    by: int
    repeats: bool = False


@dataclass(frozen=True, eq=False)
class Times:
    """v becomes high(v 2^lift, x 2^15), with x of map `step`, one channel for a group of channels of v."""

    step: int
    lift: int


IntStep = Scale | Shift | Bend | Fold | Rectify | Clip | Plus | Times


def high(left: Ints, right: Ints) -> Ints:
    """Return the upper half of a product, rounded."""
    return (_fits(left) * _fits(right) + 2**31) >> 32


def shifted(values: Ints, by: int) -> Ints:
    """Return numbers times a power of two, rounded."""
    return _fits(values << by) if by >= 0 else (values + (1 << (-by - 1))) >> -by


def stored(values: Ints, shift: int) -> Ints:
    """Return numbers as a map has them."""
    return np.clip(shifted(_fits(values), -shift), LEAST, MOST)


def mean(sums: Ints, count: Ints | int) -> Ints:
    """Return sums of numbers of 16 bits over their count: to the nearest, a half upwards."""
    return (2 * sums + count) // (2 * np.asarray(count, np.int64))


def apply(step: IntStep, values: Ints, other: Ints | None = None, ones: Ints | None = None) -> Ints:  # noqa: PLR0911 - one for each
    """Map numbers (..., C) to the same shape.

    Args:
        step: What is done.
        values: v.
        other: What `Plus` and `Times` read, (..., C).
        ones: m, for `Scale`.
    """
    match step:
        case Scale():
            scaled = step.offset + high(values << step.lift, step.factor)
            return _fits(scaled if step.ones is None or ones is None else scaled + high(ones << step.lift, step.ones))
        case Shift():
            return _fits(shifted(values, step.by))
        case Bend():
            return np.where(values > 0, values, high(values << step.lift, step.factor))
        case Fold():
            positive = np.maximum(values, 0)
            return _fits(high(positive << step.lift, step.upper) + high((values - positive) << step.lift, step.lower))
        case Rectify():
            return np.maximum(values, 0)
        case Clip():
            return np.minimum(np.maximum(values, step.least), step.most)
        case Plus():
            assert other is not None  # noqa: S101 - for the type checker
            return _fits(values + shifted(other, step.by))
        case Times():
            assert other is not None  # noqa: S101 - for the type checker
            return high(values << step.lift, other << 15)


def _fits(values: Ints) -> Ints:
    """Return numbers as they are; more than 32 bits would be a mistake of whoever chose the constants."""
    if values.size and not -_LARGEST <= int(values.min()) <= int(values.max()) < _LARGEST:
        message = f"numbers up to {int(np.abs(values).max())} do not fit 32 bits"
        raise OverflowError(message)
    return values

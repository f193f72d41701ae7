"""Heads: the constants of what a stage begins with, in whole numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, floor, log2

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.int16.steps import MOST
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import (
    BinaryConv,
    GlobalMean,
    Ints,
    Linear,
    Magnitude,
    NonLocalMean,
    RealConv,
    Shape,
    Stem,
)
from nas_service.deploy.stages import Stage
from nas_service.errors import ExportError

_Doubles = NDArray[np.float64]
_SUM = 2**30  # what a sum of 32 bits may be at most
_TINY = 1e-30  # instead of 0, to divide by


@dataclass(frozen=True, eq=False)
class Head:
    """What a head gives: numbers v of at most `reach`, and m of at most that, for values v gain + m ones + offset.

    Attributes:
        has_tail: Whether a tail follows; without one the head's own rule says what is stored.
        reach: (C,) or one number.
        gain: (C,) or one number.
        offset: (C,) or one number.
        ones: (C,), or None: there is no m.
        weights: In whole numbers: of a real convolution as its own, of a classifier (O, C), of factors of positions (P, k, k).
        bias: Of a classifier, (O,).
        shift: Of a stem: v = shifted(sum, -shift). Of a mean: the lift of its sum.
        steps: Of a classifier: logits are float32(sum) steps, float32 (O,) or one power of two.
        factor: Of a mean: what is stored is high(sum 2^lift, factor).
    """

    has_tail: bool = True
    reach: float | _Doubles = 2.0**15
    gain: float | _Doubles = 1.0
    offset: float | _Doubles = 0.0
    ones: _Doubles | None = None
    weights: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    bias: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shift: int = 0
    steps: Floats = field(default_factory=lambda: np.ones(1, np.float32))
    factor: int = 0


def plan_head(stage: Stage, shapes: Mapping[int, Shape], exponents: Mapping[int, int]) -> Head:  # noqa: C901, PLR0911 - one for each
    """Return what a stage begins with.

    Raises:
        ExportError: If it has no form in whole numbers, naming the stage.
    """
    exponent = exponents.get(stage.inputs[0], 0) if stage.inputs else 0
    match stage.head:
        case None:
            return Head(gain=2.0**-exponent)
        case Stem() as stem:
            return _stem(stem)
        case BinaryConv() as conv if conv.kernel_scale is not None:
            return _positional(conv, conv.kernel_scale)
        case BinaryConv(sums=None) as conv:
            return Head(reach=conv.fan_in)
        case BinaryConv(sums=(scale, ones, offset)) as conv:
            return Head(reach=conv.fan_in, gain=_double(scale), offset=_double(offset), ones=_double(ones))
        case RealConv() as conv:
            return _real_conv(conv, exponent)
        case Magnitude(groups=groups, window=window):
            count = window.size**2 * (shapes[stage.inputs[0]].channels // groups)
            return _mean(stage, count, exponents[stage.output] - exponent)
        case GlobalMean():
            return _mean(stage, shapes[stage.inputs[0]].pixels, exponents[stage.output] - exponent)
        case Linear() as linear:
            return _linear(linear, exponent)
        case NonLocalMean():
            reason = "a non-local mean, whose products of maps need more than 16 bits"
            raise ExportError(f"{stage.name}: {reason}, cannot be written with int16 activations")
        case _:
            return Head(has_tail=False)


def _double(values: NDArray[np.float32]) -> _Doubles:
    return values.astype(np.float64)


def _stem(stem: Stem) -> Head:
    ends = np.maximum(np.abs(stem.mean), np.abs((255 << stem.pixel_bits) - stem.mean))
    sums = (np.abs(stem.weight) * ends).sum((1, 2, 3))
    shift = max(0, int(sums.max()).bit_length() - 30)
    return Head(reach=np.ceil(sums / 2**shift) + 1, gain=_double(stem.step) * 2.0**shift, shift=shift)


def _real_conv(conv: RealConv, exponent: int) -> Head:
    """Give each output as many bits as its sum leaves room for: weights, rounded towards 0, that sum to less than 2^15."""
    flat = np.abs(_double(conv.weight)).reshape(len(conv.weight), -1)
    bits = np.floor(np.log2(MOST / np.maximum(flat.sum(1), _TINY))).clip(-60, 60)
    weights = np.trunc(conv.weight * 2.0 ** bits[:, None, None, None]).astype(np.int64)
    reach = np.abs(weights).reshape(len(weights), -1).sum(1)
    return Head(reach=reach * 2.0**15, gain=2.0 ** -(bits + exponent), weights=weights)


def _positional(conv: BinaryConv, scales: NDArray[np.float32]) -> Head:
    per_position = conv.bits.shape[3]
    sums = np.maximum(_double(np.abs(scales)).sum((1, 2)) * per_position, _TINY)
    bits = np.floor(np.log2(_SUM / sums)).clip(-60, 24)
    weights = np.rint(scales * 2.0 ** bits[:, None, None]).astype(np.int64)
    reach = np.abs(weights).sum((1, 2)) * per_position
    outputs = len(conv.bits)
    return Head(reach=np.resize(_double(reach), outputs), gain=np.resize(2.0**-bits, outputs), weights=weights)


def _mean(stage: Stage, count: int, finer: int) -> Head:
    lift = 30 - floor(log2(count * 2**15))
    if lift < 0:
        message = f"{stage.name}: a mean of {count} numbers cannot be written with int16 activations; allowed: up to {2**15}"
        raise ExportError(message)
    return Head(has_tail=False, shift=lift, factor=round(2.0 ** (finer + 32 - lift) / count))


def _linear(linear: Linear, exponent: int) -> Head:
    if linear.step is not None:
        unit = _double(linear.step) * 2.0**-exponent
        return Head(has_tail=False, weights=linear.grid, bias=_whole(linear.bias / unit), steps=unit.astype(np.float32))
    most = float(np.abs(linear.weight).max(initial=0))
    bits = floor(log2(MOST / most)) if most > 0 else 0
    bias = float(np.abs(linear.bias).max(initial=0))
    if bias > 0:
        bits = min(bits, 30 - ceil(log2(bias)) - exponent)
    bits = max(-60, min(60, bits))
    weights, offsets = (
        _whole(np.ldexp(_double(values), by)) for values, by in ((linear.weight, bits), (linear.bias, bits + exponent))
    )
    steps = np.array([2.0 ** -(bits + exponent)], np.float32)
    return Head(has_tail=False, weights=weights, bias=offsets, steps=steps)


def _whole(values: _Doubles) -> Ints:
    return np.rint(values).astype(np.int64)

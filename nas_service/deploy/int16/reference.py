"""Reference: a network of int16 activations computed in numpy's integers of 64 bits, which is what generated C is compared with.

It knows of stages and their constants, and nothing of places, bits in words, lanes or instructions. Sums of signs are computed in
float32 matrices, which hold them exactly.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.int16.planning import IntStage, IntThresholds
from nas_service.deploy.int16.steps import LEAST, Plus, Times, apply, high, mean, shifted, stored
from nas_service.deploy.int16.windows import by_group, positions, taps
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import (
    AvgPool,
    BinaryConv,
    Concat,
    Flatten,
    Gather,
    GlobalMean,
    GroupMean,
    Ints,
    Linear,
    Magnitude,
    MaxPool,
    RealConv,
    Shape,
    Stem,
)
from nas_service.deploy.sign_bits import SignBits

_Maps = Mapping[int, Ints]


def run_stages(stages: Sequence[IntStage], images: NDArray[np.uint8], keep: bool = False) -> dict[int, Ints]:  # noqa: FBT001, FBT002 - says what
    """Return maps of images (N, H, W, C) by number: (N, h, w, C) as stored, or as signs of 0 and 1; the last one's are sums.

    Args:
        stages: Of a network.
        images: uint8.
        keep: Whether all maps are wanted, not the last alone.
    """
    maps: dict[int, Ints] = {}
    last = {step: when for when, stage in enumerate(stages) for step in stage.stage.reads}
    for when, stage in enumerate(stages):
        maps[stage.stage.output] = _stage(stage, images, maps)
        for step in [step for step, at in last.items() if at == when and not keep]:
            del maps[step]
    return maps


def run_network(stages: Sequence[IntStage], images: NDArray[np.uint8]) -> Floats:
    """Return logits, float32 (N, classes), of images (N, H, W, C): sums rounded to float32 once, times their steps."""
    last = stages[-1]
    sums = run_stages(stages, images)[last.stage.output].reshape(len(images), -1)
    return np.asarray(sums.astype(np.float32) * last.head.steps)


def _stage(stage: IntStage, images: NDArray[np.uint8], maps: _Maps) -> Ints:
    own, shape = stage.stage, stage.stage.shape
    inputs = [maps[step] for step in own.inputs]
    ones: Ints | None = None
    match own.head:
        case None:
            values = inputs[0]
        case Stem() as stem:
            values = _stem(stem, stage.head.shift, images, shape)
        case BinaryConv() as conv:
            values, ones = _binary_conv(conv, stage, inputs[0])
            if isinstance(own.bits, SignBits):
                return _of_counts(own.bits, (conv.fan_in - values) // 2)
        case RealConv(groups=groups, window=window):
            seen_by, weights = taps(inputs[0], window, shape, 0), stage.head.weights
            values = np.asarray(sum(by_group(seen, weights[:, row, column], groups) for row, column, seen in seen_by))
        case _:
            return np.asarray(_RULES[type(own.head)](stage, inputs))
    for step in stage.steps:
        other = maps[step.step] if isinstance(step, Plus | Times) else None
        if isinstance(step, Times) and other is not None:
            other = np.repeat(other, shape.channels // other.shape[3], axis=3)
        if isinstance(step, Plus) and step.repeats and other is not None:
            other = np.tile(other, shape.channels // other.shape[3])
        values = apply(step, values, other, ones)
    if stage.bits is not None:
        return _signs(values, stage.bits).astype(np.int64)
    result: Ints = stored(values, stage.shift)
    return result


def _stem(stem: Stem, shift: int, images: NDArray[np.uint8], shape: Shape) -> Ints:
    pixels = (images.astype(np.int64) << stem.pixel_bits) - stem.mean
    seen_by = taps(pixels, stem.window, shape, 0)
    sums = np.asarray(sum(seen @ stem.weight[:, row, column].T for row, column, seen in seen_by))
    return np.asarray((sums + ((1 << shift) >> 1)) >> shift)


def _signs(values: Ints, thresholds: IntThresholds) -> NDArray[np.bool_]:
    return np.asarray((values >= thresholds.limit) != thresholds.flips)


def _binary_conv(conv: BinaryConv, stage: IntStage, given: Ints) -> tuple[Ints, Ints | None]:
    """Return sums of signs times weights, or times factors of positions as well, and where they are asked for sums of signs."""
    is_plus = given > 0 if stage.thresholds is None else _signs(given, stage.thresholds)
    signs, weights = np.where(is_plus, 1, -1).astype(np.float32), np.where(conv.bits, 1, -1).astype(np.float32)
    shape, sums, ones = stage.stage.shape, np.zeros((), np.int64), np.zeros((), np.int64)
    for row, column, seen in taps(signs, conv.window, shape, 1 if conv.pads_plus else -1):
        tap = by_group(seen, weights[:, row, column], conv.groups).astype(np.int64)
        if conv.kernel_scale is not None:
            tap = tap * np.resize(stage.head.weights[:, row, column], shape.channels)
        sums = sums + tap
        if conv.sums is not None:
            ones = ones + by_group(seen, np.ones_like(weights[:, row, column]), conv.groups).astype(np.int64)
    return sums, ones if conv.sums is not None else None


def _of_counts(bits: SignBits, differing: Ints) -> Ints:
    """Return signs that are stored by how many bits differ."""
    return np.asarray(((differing <= bits.most) | (differing >= bits.least)) != bits.flips).astype(np.int64)


def _max_pool(stage: IntStage, inputs: list[Ints]) -> Ints:
    assert isinstance(stage.stage.head, MaxPool)  # noqa: S101 - for the type checker
    found = np.max([seen for _, _, seen in taps(inputs[0], stage.stage.head.window, stage.stage.shape, LEAST)], axis=0)
    bits = stage.stage.bits
    return np.asarray((found > 0) != bits.flips).astype(np.int64) if isinstance(bits, SignBits) else found


def _avg_pool(stage: IntStage, inputs: list[Ints]) -> Ints:
    assert isinstance(stage.stage.head, AvgPool)  # noqa: S101 - for the type checker
    window, shape = stage.stage.head.window, stage.stage.shape
    sums = sum(seen for _, _, seen in taps(inputs[0], window, shape, 0))
    return mean(np.asarray(sums), positions(inputs[0], window, shape))


def _group_mean(stage: IntStage, inputs: list[Ints]) -> Ints:
    assert isinstance(stage.stage.head, GroupMean)  # noqa: S101 - for the type checker
    groups = stage.stage.head.groups
    return mean(np.sum(np.split(inputs[0], groups, axis=3), axis=0), groups)


def _magnitude(stage: IntStage, inputs: list[Ints]) -> Ints:
    assert isinstance(stage.stage.head, Magnitude)  # noqa: S101 - for the type checker
    head = stage.stage.head
    grouped = np.abs(inputs[0]).reshape(*inputs[0].shape[:3], head.groups, -1).sum(4)
    return _factored(stage, np.asarray(sum(seen for _, _, seen in taps(grouped, head.window, stage.stage.shape, 0))))


def _factored(stage: IntStage, sums: Ints) -> Ints:
    return stored(high(shifted(sums, stage.head.shift), np.asarray(stage.head.factor)), 0)


def _gather(stage: IntStage, inputs: list[Ints]) -> Ints:
    assert isinstance(stage.stage.head, Gather)  # noqa: S101 - for the type checker
    index = stage.stage.head.index
    return np.where(index >= 0, inputs[0][..., index], 0)


def _linear(stage: IntStage, inputs: list[Ints]) -> Ints:
    sums = inputs[0].reshape(len(inputs[0]), -1) @ stage.head.weights.T + stage.head.bias
    return sums.reshape(len(sums), 1, 1, -1)


_RULES: dict[type, Callable[[IntStage, list[Ints]], Any]] = {
    AvgPool: _avg_pool,
    Concat: lambda _, inputs: np.concatenate(inputs, axis=3),
    Flatten: lambda _, inputs: inputs[0].transpose(0, 3, 1, 2).reshape(len(inputs[0]), 1, 1, -1),
    Gather: _gather,
    GlobalMean: lambda stage, inputs: _factored(stage, inputs[0].sum((1, 2), keepdims=True)),
    GroupMean: _group_mean,
    Linear: _linear,
    Magnitude: _magnitude,
    MaxPool: _max_pool,
}

"""Calibration: the largest magnitude of every map of a program over training images, in float32."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.int16.windows import by_group, positions, taps
from nas_service.deploy.pointwise import Floats, Pointwise
from nas_service.deploy.program import (
    Add,
    AvgPool,
    BinaryConv,
    Concat,
    Flatten,
    Gather,
    GlobalMean,
    GroupMean,
    Linear,
    Magnitude,
    MaxPool,
    NonLocalMean,
    Program,
    RealConv,
    Shape,
    Stem,
    Step,
    TimesGroup,
)

_BATCH = 32  # images at once


def find_peaks(program: Program, images: NDArray[np.uint8], steps: Iterable[int]) -> dict[int, float]:
    """Return the largest magnitude of the maps `steps` over images (N, C, H, W)."""
    peaks = dict.fromkeys(steps, 0.0)
    last = {source: when for when, step in enumerate(program.steps) for source in step.inputs}
    rows = images.transpose(0, 2, 3, 1)
    for start in range(0, len(rows), _BATCH):
        maps: dict[int, Floats] = {}
        for when, step in enumerate(program.steps):
            maps[when] = _step(step, rows[start : start + _BATCH], [maps[source] for source in step.inputs])
            if when in peaks:
                peaks[when] = max(peaks[when], float(np.abs(maps[when]).max()))
            for source in step.inputs:
                if last[source] == when:
                    maps.pop(source, None)
    return peaks


def _step(step: Step, images: NDArray[np.uint8], inputs: list[Floats]) -> Floats:
    operation = step.operation
    if isinstance(operation, Pointwise):
        return operation.apply(inputs[0])
    if isinstance(operation, Stem):
        pixels = (images.astype(np.float64) * 2.0**operation.pixel_bits) - operation.mean
        seen_by = taps(pixels, operation.window, step.shape, 0)
        sums = sum(seen @ operation.weight[:, row, column].T for row, column, seen in seen_by)
        return np.asarray(sums, np.float32) * operation.step
    return np.asarray(_RULES[type(operation)](operation, inputs, step.shape), np.float32)


def _binary_conv(conv: BinaryConv, inputs: list[Floats], shape: Shape) -> Floats:
    signs, weights = np.where(inputs[0] >= 0, 1, -1).astype(np.float32), np.where(conv.bits, 1, -1).astype(np.float32)
    counts: Any = np.float32(0)
    ones: Any = np.float32(0)
    for row, column, seen in taps(signs, conv.window, shape, 1 if conv.pads_plus else -1):
        factors: Any = 1.0 if conv.kernel_scale is None else np.resize(conv.kernel_scale[:, row, column], shape.channels)
        counts = counts + by_group(seen, weights[:, row, column], conv.groups) * factors
        if conv.sums is not None:
            ones = ones + by_group(seen, np.ones_like(weights[:, row, column]), conv.groups)
    if conv.sums is None:
        return np.asarray(counts)
    scale, sum_scale, offset = conv.sums
    return np.asarray(counts * scale + ones * sum_scale + offset)


def _real_conv(conv: RealConv, inputs: list[Floats], shape: Shape) -> Any:  # noqa: ANN401 - a sum
    seen_by = taps(inputs[0], conv.window, shape, 0)
    return sum(by_group(seen, conv.weight[:, row, column], conv.groups) for row, column, seen in seen_by)


def _magnitude(entry: Magnitude, inputs: list[Floats], shape: Shape) -> Any:  # noqa: ANN401 - a sum
    means = np.abs(inputs[0]).reshape(*inputs[0].shape[:3], entry.groups, -1).mean(4)
    return sum(seen for _, _, seen in taps(means, entry.window, shape, 0)) / entry.window.size**2


def _max_pool(pool: MaxPool, inputs: list[Floats], shape: Shape) -> Floats:
    return np.asarray(np.max([seen for _, _, seen in taps(inputs[0], pool.window, shape, -np.inf)], axis=0))


def _avg_pool(pool: AvgPool, inputs: list[Floats], shape: Shape) -> Any:  # noqa: ANN401 - a quotient
    return sum(seen for _, _, seen in taps(inputs[0], pool.window, shape, 0)) / positions(inputs[0], pool.window, shape)


def _non_local_mean(entry: NonLocalMean, inputs: list[Floats], _: Shape) -> Floats:
    rows = inputs[0].reshape(len(inputs[0]), -1, inputs[0].shape[3])
    moments = rows.transpose(0, 2, 1) @ rows
    energy = np.maximum(np.trace(moments, axis1=1, axis2=2), entry.least)
    return np.asarray(rows @ (moments / energy[:, None, None]).transpose(0, 2, 1)).reshape(inputs[0].shape)


_RULES: dict[type, Callable[[Any, list[Floats], Shape], Any]] = {
    Add: lambda _, inputs, _shape: inputs[0] + inputs[1],
    AvgPool: _avg_pool,
    BinaryConv: _binary_conv,
    Concat: lambda _, inputs, _shape: np.concatenate(inputs, axis=3),
    Flatten: lambda _, inputs, _shape: inputs[0].transpose(0, 3, 1, 2).reshape(len(inputs[0]), 1, 1, -1),
    Gather: lambda entry, inputs, _: np.where(entry.index >= 0, inputs[0][..., entry.index], np.float32(0)),
    GlobalMean: lambda _, inputs, _shape: inputs[0].mean((1, 2), keepdims=True),
    GroupMean: lambda entry, inputs, _: np.mean(np.split(inputs[0], entry.groups, axis=3), axis=0),
    Linear: lambda entry, inputs, _: (inputs[0].reshape(len(inputs[0]), -1) @ entry.weight.T + entry.bias)[:, None, None],
    Magnitude: _magnitude,
    MaxPool: _max_pool,
    NonLocalMean: _non_local_mean,
    RealConv: _real_conv,
    TimesGroup: lambda _, inputs, shape: inputs[0] * np.repeat(inputs[1], shape.channels // inputs[1].shape[3], axis=3),
}

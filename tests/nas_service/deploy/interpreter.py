"""A second, slow reading of programs, in numpy, number by number as their docstrings say: what generated C is compared with.

It knows nothing of stages, thresholds, bits or places. Every sum that is rounded goes in the order that C99 writes it, so all maps
have to be equal to the last bit.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    TimesGroup,
    Window,
)

Numbers = NDArray[Any]


def run_program(program: Program, image: NDArray[np.uint8]) -> list[Floats]:
    """Return every map of an image (H, W, C), each (h, w, c)."""
    maps: list[Floats] = []
    for step in program.steps:
        operation = step.operation
        if isinstance(operation, Pointwise):
            made = operation.apply(maps[step.inputs[0]])
        elif isinstance(operation, Stem):
            made = _stem(operation, image, step.shape)
        else:
            made = _RULES[type(operation)](operation, [maps[place] for place in step.inputs], step.shape)
        assert made.dtype == np.float32
        assert made.shape == (step.shape.height, step.shape.width, step.shape.channels), step
        maps.append(made)
    return maps


def _taps(window: Window, padded: Numbers, shape: Shape) -> Iterator[tuple[int, int, Numbers]]:
    """Yield, row by row, every position under a window and what all outputs see there, (h, w, c)."""
    down, right = ((side - 1) * window.stride + 1 for side in (shape.height, shape.width))
    for row in range(window.size):
        for column in range(window.size):
            top, left = row * window.dilation, column * window.dilation
            yield row, column, padded[top : top + down : window.stride, left : left + right : window.stride]


def _padded(values: Numbers, window: Window, shape: Shape, fill: float) -> Numbers:
    """Pad as a window says, and below and on the right as far as its last position reaches."""
    reach = window.dilation * (window.size - 1)
    needs = [(side - 1) * window.stride + reach + 1 - window.padding for side in (shape.height, shape.width)]
    after = [max(need - side, 0) for need, side in zip(needs, values.shape[:2], strict=True)]
    return np.pad(values, ((window.padding, after[0]), (window.padding, after[1]), (0, 0)), constant_values=fill)


def _stem(stem: Stem, image: NDArray[np.uint8], shape: Shape) -> Floats:
    pixels = (image.astype(np.int64) << stem.pixel_bits) - stem.mean
    sums = np.zeros((shape.height, shape.width, shape.channels), np.int64)
    for row, column, seen in _taps(stem.window, _padded(pixels, stem.window, shape, 0), shape):
        sums += np.einsum("hwc,oc->hwo", seen, stem.weight[:, row, column])
    return np.asarray(sums.astype(np.float32) * stem.step)


def _by_group(seen: Numbers, weights: Numbers, groups: int) -> Numbers:
    """Multiply what is seen, (h, w, c), with weights (o, c / groups)."""
    parts = zip(np.split(seen, groups, axis=2), np.split(weights, groups), strict=True)
    return np.concatenate([np.einsum("hwc,oc->hwo", part, weight) for part, weight in parts], axis=2)


def _binary_conv(conv: BinaryConv, inputs: list[Floats], shape: Shape) -> Floats:
    signs = np.where(inputs[0] >= 0, 1, -1).astype(np.int64)
    padded = _padded(signs, conv.window, shape, 1 if conv.pads_plus else -1)
    weights = np.where(conv.bits, 1, -1).astype(np.int64)
    counts = np.zeros((shape.height, shape.width, shape.channels), np.int64)
    scaled, seen_signs = counts.astype(np.float64), counts.copy()
    for row, column, seen in _taps(conv.window, padded, shape):
        tap = _by_group(seen, weights[:, row, column], conv.groups)
        counts += tap
        seen_signs += _by_group(seen, np.ones_like(weights[:, row, column]), conv.groups)
        if conv.kernel_scale is not None:
            factors = np.resize(conv.kernel_scale[:, row, column].astype(np.float64), shape.channels)
            scaled = scaled + tap * factors
    if conv.kernel_scale is not None:
        counts = scaled  # type: ignore[assignment]
    result = counts.astype(np.float32)
    if conv.sums is not None:
        scale, sum_scale, offset = conv.sums
        result = (result * scale + seen_signs.astype(np.float32) * sum_scale) + offset
    return np.asarray(result)


def _real_conv(conv: RealConv, inputs: list[Floats], shape: Shape) -> Floats:
    sums = np.zeros((shape.height, shape.width, shape.channels))
    per_group, outputs = conv.weight.shape[3], shape.channels // conv.groups
    padded = _padded(inputs[0].astype(np.float64), conv.window, shape, 0)
    for row, column, seen in _taps(conv.window, padded, shape):
        for channel in range(per_group):
            sums = sums + np.repeat(seen[..., channel::per_group], outputs, axis=2) * conv.weight[:, row, column, channel].astype(
                float
            )
    return np.asarray(sums.astype(np.float32))


def _magnitude(entry: Magnitude, inputs: list[Floats], shape: Shape) -> Floats:
    grouped = np.abs(inputs[0].astype(np.float64)).reshape(*inputs[0].shape[:2], entry.groups, -1)
    means = np.zeros(grouped.shape[:3])
    for channel in range(grouped.shape[3]):
        means = means + grouped[..., channel]
    share = 1.0 / entry.window.size**2
    means = means / grouped.shape[3] * share
    sums = np.zeros((shape.height, shape.width, shape.channels))
    for _, _, seen in _taps(entry.window, _padded(means, entry.window, shape, 0), shape):
        sums = sums + seen
    return np.asarray(sums.astype(np.float32))


def _max_pool(pool: MaxPool, inputs: list[Floats], shape: Shape) -> Floats:
    padded = _padded(inputs[0], pool.window, shape, -np.inf)
    return np.asarray(np.max([seen for _, _, seen in _taps(pool.window, padded, shape)], axis=0))


def _avg_pool(pool: AvgPool, inputs: list[Floats], shape: Shape) -> Floats:
    inside = _padded(np.ones_like(inputs[0]), pool.window, shape, 0)
    counts = sum(seen for _, _, seen in _taps(pool.window, inside, shape))
    total = np.zeros((shape.height, shape.width, shape.channels), np.float32)
    for _, _, seen in _taps(pool.window, _padded(inputs[0], pool.window, shape, 0), shape):
        total = total + seen
    return np.asarray(total / counts, np.float32)


def _in_order(terms: Numbers) -> Floats:
    """Add up the first axis in order, in float32."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return np.asarray(total)


def _group_mean(mean: GroupMean, inputs: list[Floats], shape: Shape) -> Floats:
    parts = np.stack(np.split(inputs[0], mean.groups, axis=2))
    return np.asarray(_in_order(parts) / np.float32(mean.groups))


def _global_mean(_: GlobalMean, inputs: list[Floats], shape: Shape) -> Floats:
    rows = inputs[0].reshape(-1, shape.channels)
    return np.asarray(_in_order(rows) / np.float32(len(rows))).reshape(1, 1, -1)


def _linear(linear: Linear, inputs: list[Floats], shape: Shape) -> Floats:
    return _in_order(np.stack([linear.bias, *(linear.weight * inputs[0].reshape(-1)).T])).reshape(1, 1, -1)


def _non_local_mean(entry: NonLocalMean, inputs: list[Floats], shape: Shape) -> Floats:
    rows = inputs[0].reshape(-1, shape.channels).astype(np.float64)
    moments = np.zeros((shape.channels, shape.channels))
    for row in rows:
        moments = moments + np.outer(row, row)
    energy = 0.0
    for moment in np.diagonal(moments):
        energy += float(moment)
    moments = moments / max(energy, entry.least)
    sums = np.zeros_like(rows)
    for channel in range(shape.channels):
        sums = sums + rows[:, channel, None] * moments[:, channel]
    return np.asarray(sums.astype(np.float32)).reshape(inputs[0].shape)


def _times_group(_: TimesGroup, inputs: list[Floats], shape: Shape) -> Floats:
    return np.asarray(inputs[0] * np.repeat(inputs[1], shape.channels // inputs[1].shape[2], axis=2))


def _gather(gather: Gather, inputs: list[Floats], shape: Shape) -> Floats:
    return np.where(gather.index >= 0, inputs[0][..., gather.index], np.float32(0))


_RULES: dict[type, Callable[[Any, list[Floats], Shape], Floats]] = {
    BinaryConv: _binary_conv,
    RealConv: _real_conv,
    Magnitude: _magnitude,
    TimesGroup: _times_group,
    Add: lambda _, inputs, shape: inputs[0] + inputs[1],
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    Concat: lambda _, inputs, shape: np.concatenate(inputs, axis=2),
    Gather: _gather,
    GroupMean: _group_mean,
    NonLocalMean: _non_local_mean,
    GlobalMean: _global_mean,
    Flatten: lambda _, inputs, shape: np.ascontiguousarray(inputs[0].transpose(2, 0, 1)).reshape(1, 1, -1),
    Linear: _linear,
}

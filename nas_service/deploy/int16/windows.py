"""Windows over maps of many images, (N, H, W, C), in numpy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.program import Shape, Window

Numbers = NDArray[Any]


def taps(maps: Numbers, window: Window, shape: Shape, fill: float) -> Iterator[tuple[int, int, Numbers]]:
    """Yield, row by row, every position under a window and what all outputs see there, (N, h, w, C).

    Args:
        maps: (N, H, W, C).
        window: Its geometry.
        shape: Of the outputs.
        fill: What stands where the window leaves the map.
    """
    reach = window.dilation * (window.size - 1)
    needs = [(side - 1) * window.stride + reach + 1 - window.padding for side in (shape.height, shape.width)]
    after = [max(need - side, 0) for need, side in zip(needs, maps.shape[1:3], strict=True)]
    around = ((0, 0), (window.padding, after[0]), (window.padding, after[1]), (0, 0))
    padded = np.pad(maps, around, constant_values=fill)
    down, right = ((side - 1) * window.stride + 1 for side in (shape.height, shape.width))
    for row in range(window.size):
        for column in range(window.size):
            top, left = row * window.dilation, column * window.dilation
            yield row, column, padded[:, top : top + down : window.stride, left : left + right : window.stride]


def by_group(seen: Numbers, weights: Numbers, groups: int) -> Numbers:
    """Return what is seen, (N, h, w, C), times weights (O, C / groups), (N, h, w, O)."""
    if weights.shape[1] == 1:
        return np.repeat(seen, len(weights) // groups, axis=3) * weights[:, 0]
    parts = zip(np.split(seen, groups, axis=3), np.split(weights, groups), strict=True)
    return np.concatenate([part @ weight.T for part, weight in parts], axis=3)


def positions(like: Numbers, window: Window, shape: Shape) -> Numbers:
    """Return under how many positions of a window there is a map of the size of `like`, (1, h, w, 1)."""
    inside = np.ones((1, *like.shape[1:3], 1), np.int64)
    return np.asarray(sum(seen for _, _, seen in taps(inside, window, shape, 0)))

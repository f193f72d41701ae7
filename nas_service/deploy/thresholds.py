"""Thresholds: what stands between a map and a sign, turned into one comparison a channel.

A chain of pointwise operations that rise, or fall, with x is followed by a sign: so there is one float t of every channel with
sign = +1 where x >= t, or where x < t. It is found by bisection over all floats in order, with the operations themselves as the
judge: equal to their decision for every x, whatever they round.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.pointwise import Floats, Pointwise

_LARGEST = 0x7F7FFFFF  # the largest finite float's bits


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Of each channel: the sign is +1 where (x >= limit) != falls.

    Attributes:
        limit: float32 (C,); infinity: x >= limit never holds, minus infinity: always.
        falls: bool (C,).
    """

    limit: Floats
    falls: NDArray[np.bool_]


def is_monotone(chain: Sequence[Pointwise]) -> bool:
    """Return whether every operation of a chain rises or falls in each channel."""
    return all(operation.directions() is not None for operation in chain)


def find_thresholds(chain: Sequence[Pointwise], channels: int) -> Thresholds:
    """Return the thresholds of the sign behind a monotone `chain`.

    Raises:
        ValueError: If the chain is not monotone.
    """
    falls = np.zeros(channels, bool)
    for operation in chain:
        directions = operation.directions()
        if directions is None:
            message = f"{operation.kind} neither rises nor falls"
            raise ValueError(message)
        falls ^= directions < 0

    def rises_at(ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether x, given by its place among the floats, is past the step."""
        values = _float(ordered)
        with np.errstate(over="ignore", invalid="ignore"):
            for operation in chain:
                values = operation.apply(values)
        return np.asarray((values >= 0) != falls)

    low = np.full(channels, -_LARGEST - 2, np.int64)  # nothing is past the step before the lowest
    high = np.full(channels, _LARGEST + 1, np.int64)
    while bool((high - low > 1).any()):
        middle = (low + high) // 2
        past = rises_at(np.clip(middle, -_LARGEST - 1, _LARGEST))
        high, low = np.where(past, middle, high), np.where(past, low, middle)
    limit = np.where(high > _LARGEST, np.float32(np.inf), _float(np.clip(high, -_LARGEST - 1, _LARGEST)))
    limit = np.where(high <= -_LARGEST - 1, np.float32(-np.inf), limit)
    return Thresholds(limit.astype(np.float32), falls)


def _float(ordered: NDArray[np.int64]) -> Floats:
    """Return the float32 at a place in the order of all of them; 0.0 is at 0, -0.0 at -1."""
    bits = np.where(ordered >= 0, ordered, (-1 - ordered) | 0x80000000)
    return np.asarray(bits.astype(np.uint32).view(np.float32))

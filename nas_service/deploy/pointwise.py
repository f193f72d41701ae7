"""Pointwise: what happens to each number of a map by itself, in float32, with constants by channel.

Each is defined once, in numpy, as the frozen network computes it: one rounding an operation, none fused. What writes C or ONNX
takes its constants and its `kind` from here, and a sign that follows is turned into a threshold by asking `apply`.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Kind(StrEnum):
    """What is done."""

    AFFINE = "affine"  # x a + b: a product, then a sum
    ADD = "add"  # x + a
    SUBTRACT = "subtract"  # x - a
    MULTIPLY = "multiply"  # x a
    PRELU = "prelu"  # x where x > 0, else x a
    RELU = "relu"  # x where x > 0, else 0
    NEGATE = "negate"  # -x
    MAXOUT = "maxout"  # b r + a (x - r), with r = x where x > 0, else 0
    CLIP = "clip"  # at least a, at most b


CONSTANTS = {
    Kind.AFFINE: 2,
    Kind.ADD: 1,
    Kind.SUBTRACT: 1,
    Kind.MULTIPLY: 1,
    Kind.PRELU: 1,
    Kind.RELU: 0,
    Kind.NEGATE: 0,
    Kind.MAXOUT: 2,
    Kind.CLIP: 2,
}


@dataclass(frozen=True, eq=False)
class Pointwise:
    """One such operation.

    Attributes:
        kind: Which.
        constants: float32 (C,) each: a and b, as many as the kind has.
    """

    kind: Kind
    constants: tuple[Floats, ...] = ()

    def apply(self, values: Floats) -> Floats:  # noqa: PLR0911 - one for each kind
        """Map float32 (..., C) to the same shape.

        Raises:
            ValueError: If there are more or fewer constants than the kind has.
        """
        match self.kind, self.constants:
            case Kind.AFFINE, (factor, offset):
                return values * factor + offset
            case Kind.ADD, (offset,):
                return values + offset
            case Kind.SUBTRACT, (offset,):
                return values - offset
            case Kind.MULTIPLY, (factor,):
                return values * factor
            case Kind.PRELU, (slope,):
                return np.where(values > 0, values, values * slope)
            case Kind.RELU, ():
                return np.maximum(values, np.float32(0))
            case Kind.NEGATE, ():
                return -values
            case Kind.MAXOUT, (lower, upper):
                positive = np.maximum(values, np.float32(0))
                return upper * positive + lower * (values - positive)
            case Kind.CLIP, (least, most):
                return np.minimum(np.maximum(values, least), most)
            case _:
                message = f"{self.kind} takes {CONSTANTS[self.kind]} constants, not {len(self.constants)}"
                raise ValueError(message)

    def directions(self) -> NDArray[np.int8] | None:
        """Return +1 where the result never falls as x rises, -1 where it never rises, by channel, (C,) or (1,); None: neither."""
        match self.kind:
            case Kind.AFFINE | Kind.MULTIPLY:
                return np.where(self.constants[0] < 0, -1, 1).astype(np.int8)
            case Kind.PRELU:
                return np.ones(1, np.int8) if bool((self.constants[0] >= 0).all()) else None
            case Kind.MAXOUT:
                return np.ones(1, np.int8) if bool((np.minimum(*self.constants) >= 0).all()) else None
            case Kind.NEGATE:
                return -np.ones(1, np.int8)
            case _:
                return np.ones(1, np.int8)

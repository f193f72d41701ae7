"""Program: a frozen network as a list of steps on maps of one image, from which C and ONNX are written.

A map is (height, width, channels) of float32. Steps stand in an order in which they can be run; each makes one map, numbered as
the step is. No torch here: constants are numpy arrays.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.pointwise import Floats, Pointwise

Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """The size of a map."""

    height: int
    width: int
    channels: int

    @property
    def pixels(self) -> int:
        """Positions."""
        return self.height * self.width

    @property
    def floats(self) -> int:
        """Numbers."""
        return self.pixels * self.channels


@dataclass(frozen=True)
class Window:
    """What a convolution or a pool sees of its input.

    Attributes:
        size: Positions a side.
        stride: Between neighbouring outputs.
        padding: Positions around the input.
        dilation: Between neighbouring positions of a window.
    """

    size: int
    stride: int
    padding: int
    dilation: int = 1


@dataclass(frozen=True, eq=False)
class Stem:
    """The first convolution, in whole numbers: float32(sum w x) step, with x = pixel 2^pixel_bits - mean, 0 where padded.

    Attributes:
        weight: (O, k, k, C), below 2^31.
        mean: (C,), in the unit of x.
        step: float32 (O,), powers of two unless weights have 8 bits.
        pixel_bits: 14, or fewer.
        window: Its geometry.
        is_int8: Whether weights have 8 bits, and every sum is below 2^30.
    """

    weight: Ints
    mean: Ints
    step: Floats
    pixel_bits: int
    window: Window
    is_int8: bool = False


@dataclass(frozen=True, eq=False)
class RealConv:
    """A convolution of real weights, (O, k, k, C / groups) float32: summed in float64, rounded once; 0 where padded."""

    weight: Floats
    groups: int
    window: Window


@dataclass(frozen=True, eq=False)
class BinaryConv:
    """The sign of the input, and its convolution with weights of -1 and +1: a whole number.

    With `sums`, of one channel's outputs n and the sum m of the signs under the window in the output's group:
    (n scale + m sum_scale) + offset. With `kernel_scale` the signs at each position are multiplied with a factor of that
    position and summed in float64, rounded once.

    Attributes:
        bits: (O, k, k, C / groups), whether a weight is +1.
        groups: Of channels.
        window: Its geometry.
        pads_plus: Whether the padding is +1, not -1.
        sums: scale, sum_scale, offset, float32 (O,) each.
        kernel_scale: float32 (P, k, k): output o has factors o mod P.
    """

    bits: Bits
    groups: int
    window: Window
    pads_plus: bool
    sums: tuple[Floats, Floats, Floats] | None = None
    kernel_scale: Floats | None = None

    @property
    def fan_in(self) -> int:
        """Weights of an output."""
        return int(np.prod(self.bits.shape[1:]))


@dataclass(frozen=True)
class Magnitude:
    """XNOR-Net's K: the mean magnitude under each window, by group: summed in float64, rounded once; one channel a group."""

    groups: int
    window: Window


@dataclass(frozen=True)
class TimesGroup:
    """The first input, each group of its channels times one channel of the second."""


@dataclass(frozen=True)
class Add:
    """The sum of two maps."""


@dataclass(frozen=True)
class MaxPool:
    """The largest under each window; padding is not looked at."""

    window: Window


@dataclass(frozen=True)
class AvgPool:
    """The sum under each window, row by row, over the number of positions that are not padding."""

    window: Window


@dataclass(frozen=True)
class Concat:
    """Maps side by side in channels."""


@dataclass(frozen=True, eq=False)
class Gather:
    """Channels in another order, (C,); -1 is a channel of zeros."""

    index: Ints


@dataclass(frozen=True)
class GroupMean:
    """The mean of so many groups of channels: their sum in order, over their number."""

    groups: int


@dataclass(frozen=True)
class NonLocalMean:
    """X becomes (X X^T / trace(X X^T)) X, in float64, rounded once; `least` keeps the trace from 0."""

    least: float


@dataclass(frozen=True)
class GlobalMean:
    """The mean of all positions."""


@dataclass(frozen=True)
class Flatten:
    """One position with all numbers as its channels, those of a channel side by side."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A matrix (O, C) and a bias (O,).

    With `step`, float32 (O,), an output's weights are float32(g step) of whole numbers g of 8 bits.
    """

    weight: Floats
    bias: Floats
    step: Floats | None = None

    @property
    def is_int8(self) -> bool:
        """Whether weights have 8 bits."""
        return self.step is not None

    @property
    def grid(self) -> Ints:
        """The whole numbers, where there is a step."""
        assert self.step is not None  # noqa: S101 - for the type checker; who asks has looked
        return np.rint(self.weight.astype(np.float64) / self.step[:, None]).astype(np.int64)


@dataclass(frozen=True)
class Given:
    """The map that a block of a network is given; a whole network has none."""


Operation = (
    Given
    | Stem
    | RealConv
    | BinaryConv
    | Magnitude
    | TimesGroup
    | Add
    | MaxPool
    | AvgPool
    | Concat
    | Gather
    | GroupMean
    | NonLocalMean
    | GlobalMean
    | Flatten
    | Linear
    | Pointwise
)


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        operation: What is computed.
        inputs: Numbers of the maps it reads; the stem reads the image.
        shape: Of the map it makes.
        name: Where it stands in the network, for people.
    """

    operation: Operation
    inputs: tuple[int, ...]
    shape: Shape
    name: str


@dataclass(frozen=True)
class Program:
    """A network.

    Attributes:
        image: Height, width and channels of the image, uint8.
        steps: The last one makes the logits.
        class_names: As many as there are logits.
    """

    image: Shape
    steps: tuple[Step, ...]
    class_names: tuple[str, ...] = field(default=())

"""Cost of a network, counted from its description alone. No torch.

Conventions (those of Bi-Real Net, ReActNet and NAS-BNN): one multiply-accumulate is one operation; convolutions and
linear layers are counted, element-wise work (batch norm, PReLU, pools, sums) is not. A multiply-accumulate is a BOP
if both operands are binary and a FLOP otherwise, and OPs = FLOPs + BOPs / 64.
"""

from dataclasses import dataclass, fields, replace
from math import gcd
from typing import NamedTuple, Protocol, Self

BOPS_PER_OP = 64  # binary multiply-accumulates that one 64-bit word operation does
FLOAT_BYTES = 4


class Size(NamedTuple):
    """Height and width of a feature map, in pixels."""

    height: int
    width: int

    def strided(self, stride: int) -> "Size":
        """Return the size after a stride with `same` padding: rounded up."""
        return Size(-(-self.height // stride), -(-self.width // stride))


@dataclass(frozen=True)
class Precision:
    """Bits of a convolution's operands, and the float factors that go with its packed weights.

    Attributes:
        weight_bits: 1 or 32.
        activation_bits: 1 or 32.
        scales_per_output: Float factors kept for every output channel (0: the convolution's output is used as it is).
        scales_per_layer: Float factors kept for the layer as a whole.
        scales_per_input: Float terms kept for every input channel: thresholds of the sign.
        planes: K, output channels that share a filter's bits, as far as the channels of a group are multiples of it.
        scales_per_position: Float factors for every position of the kernel in every plane; the products are no longer binary.
        scales_per_plane: Float factors for every plane as a whole.
        activation_parameters: Parameters a channel of the activation that follows.
        sums_inputs: Whether what lies under every window is summed too: the work of one more filter in each group.
    """

    weight_bits: int = 32
    activation_bits: int = 32
    scales_per_output: int = 0
    scales_per_layer: int = 0
    scales_per_input: int = 0
    planes: int = 1
    scales_per_position: int = 0
    scales_per_plane: int = 0
    activation_parameters: int = 1
    sums_inputs: bool = False


FULL_PRECISION = Precision()


@dataclass(frozen=True)
class Cost:
    """What a network, or a part of one, costs for one image.

    Attributes:
        binary_parameters: Weights of one bit.
        float_parameters: Weights of 32 bits: everything else that is trained, and the scales of binary convolutions.
        flops: Multiply-accumulates with a float operand.
        bops: Multiply-accumulates of two binary operands.
        packed_bytes: Bytes of the frozen network: 8 one-bit weights a byte, 4 bytes a float, running statistics of
            batch norm included.
    """

    binary_parameters: int = 0
    float_parameters: int = 0
    flops: int = 0
    bops: int = 0
    packed_bytes: int = 0

    def __add__(self, other: Self) -> "Cost":
        """Return the field-wise sum."""
        return Cost(
            self.binary_parameters + other.binary_parameters,
            self.float_parameters + other.float_parameters,
            self.flops + other.flops,
            self.bops + other.bops,
            self.packed_bytes + other.packed_bytes,
        )

    def __sub__(self, other: Self) -> "Cost":
        """Return the field-wise difference: what a part leaves of the whole."""
        return Cost(
            self.binary_parameters - other.binary_parameters,
            self.float_parameters - other.float_parameters,
            self.flops - other.flops,
            self.bops - other.bops,
            self.packed_bytes - other.packed_bytes,
        )

    @property
    def ops(self) -> float:
        """OPs = FLOPs + BOPs / 64."""
        return self.flops + self.bops / BOPS_PER_OP

    def to_dict(self) -> dict[str, float]:
        """Return the fields and `ops`, for JSON."""
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "ops": self.ops}


@dataclass(frozen=True, kw_only=True)
class ConvShape:
    """The one keyword signature of a convolution, as `torch.nn.Conv2d` names it; never a bias."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.out_channels * self.fan_in

    @property
    def fan_in(self) -> int:
        """Weights of one filter: n = Ci / groups * k * k."""
        return self.in_channels // self.groups * self.kernel_size**2

    @property
    def keeps_size(self) -> bool:
        """Whether height and width come out as they went in."""
        return self.stride == 1 and 2 * self.padding == self.dilation * (self.kernel_size - 1)

    def planes(self, wanted: int) -> int:
        """Return the largest number of planes up to `wanted` that divides it and the channels of a group on both sides."""
        return gcd(wanted, self.in_channels // self.groups, self.out_channels // self.groups)

    def output_size(self, size: Size) -> Size:
        """Return the size of the output for an input of `size`."""
        reach = self.dilation * (self.kernel_size - 1) + 1 - 2 * self.padding
        return Size((size.height - reach) // self.stride + 1, (size.width - reach) // self.stride + 1)


class ConvCost(Protocol):
    """The cost of what a `ConvFactory` makes, for one image whose input to it has `size`."""

    def __call__(self, shape: ConvShape, size: Size) -> Cost:
        """Return the cost."""
        ...


def taking_cost(in_channels: int, conv: ConvCost) -> ConvCost:
    """Return the cost of what `conv_factory.Taking` makes."""
    return lambda shape, size: conv(replace(shape, in_channels=in_channels), size)


@dataclass(frozen=True)
class BareConvCost:
    """Cost of one convolution at a precision; what templates add to."""

    precision: Precision

    def __call__(self, shape: ConvShape, size: Size) -> Cost:
        """Return the convolution's weights, scales and multiply-accumulates."""
        precision = self.precision
        output = shape.output_size(size)
        macs = shape.weights * output.height * output.width
        if precision.sums_inputs:
            macs += shape.groups * shape.fan_in * output.height * output.width
        if precision.weight_bits != 1:
            return Cost(float_parameters=shape.weights, flops=macs, packed_bytes=shape.weights * FLOAT_BYTES)
        planes = shape.planes(precision.planes)
        floats = precision.scales_per_output * shape.out_channels + precision.scales_per_layer
        floats += precision.scales_per_input * shape.in_channels
        floats += (precision.scales_per_position * shape.kernel_size**2 + precision.scales_per_plane) * planes
        both_binary = precision.activation_bits == 1 and precision.scales_per_position == 0
        bits = shape.weights // planes
        return Cost(
            binary_parameters=bits,
            float_parameters=floats,
            flops=0 if both_binary else macs,
            bops=macs if both_binary else 0,
            packed_bytes=-(-bits // 8) + floats * FLOAT_BYTES,
        )


def batch_norm_cost(channels: int) -> Cost:
    """Return the cost of a batch norm: scale and shift are trained, mean and variance are kept with them."""
    return Cost(float_parameters=2 * channels, packed_bytes=4 * channels * FLOAT_BYTES)


def prelu_cost(channels: int, parameters: int = 1) -> Cost:
    """Return the cost of a PReLU with one slope a channel, or of a variant with more `parameters` a channel."""
    return Cost(float_parameters=parameters * channels, packed_bytes=parameters * channels * FLOAT_BYTES)


def linear_cost(inputs: int, outputs: int) -> Cost:
    """Return the cost of a full-precision linear layer with bias."""
    weights = inputs * outputs + outputs
    return Cost(float_parameters=weights, flops=inputs * outputs, packed_bytes=weights * FLOAT_BYTES)

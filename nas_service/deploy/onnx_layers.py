"""The layers of a program in ONNX, each so that every runtime computes the bits that the program defines.

What is exact, or a single float32 operation, may be done in any way. The rest is spelled out, since runtimes sum and fuse as they
like (seen with ONNX Runtime 1.32):

* It multiplies a factor behind a convolution into the convolution's weights, and then sums what is no whole number any more.
  A `Round` between the two changes nothing and prevents it.
* Its average pools divide otherwise than the definition: they are slices, sums and one division here.
* It has no convolution of float64: the stem and other sums in float64 are slices and one product of matrices.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.onnx_graph import BOOL, DOUBLE, FLOAT, OnnxGraph
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import (
    AvgPool,
    BinaryConv,
    Gather,
    GroupMean,
    Linear,
    Magnitude,
    MaxPool,
    NonLocalMean,
    RealConv,
    Shape,
    Stem,
    Window,
)
from nas_service.deploy.thresholds import Thresholds
from nas_service.export.real_layers import LEVELS

QONNX_DOMAIN = "qonnx.custom_op.general"
_NOTHING = np.array(0, np.float64)


class OnnxLayers:
    """Writes layers into a graph, each from the name of a map to the name of a map."""

    def __init__(self, graph: OnnxGraph, *, quantizers: bool) -> None:
        """Take the graph; with `quantizers` both operands of a binary convolution are quantised by a BipolarQuant of scale 1."""
        self._graph, self._quantizers = graph, quantizers

    def pointwise(self, operation: Pointwise, value: str) -> str:
        """Return a map whose numbers went through an operation."""
        node = self._graph.node
        a, b = (*(self._graph.by_channel(each) for each in operation.constants), "", "")[:2]
        match operation.kind:
            case Kind.AFFINE:
                return node("Add", node("Mul", value, a), b)
            case Kind.MAXOUT:
                positive = node("Relu", value)
                return node("Add", node("Mul", positive, b), node("Mul", node("Sub", value, positive), a))
            case Kind.CLIP:
                return node("Min", node("Max", value, a), b)
            case Kind.RELU | Kind.NEGATE:
                return node("Relu" if operation.kind is Kind.RELU else "Neg", value)
            case _:
                kinds = {Kind.ADD: "Add", Kind.SUBTRACT: "Sub", Kind.MULTIPLY: "Mul", Kind.PRELU: "PRelu"}
                return node(kinds[operation.kind], value, a)

    def add(self, left: str, right: str) -> str:
        """Return the sum of two maps."""
        return self._graph.node("Add", left, right)

    def times_group(self, value: str, factors: str, shape: Shape, groups: int) -> str:
        """Return a map of which each group of channels is multiplied with one channel of factors."""
        return self._graph.node("Mul", value, self._graph.spread(factors, groups, shape.channels))

    def stem(self, stem: Stem, image: Shape, shape: Shape, name: str) -> str:
        """Return the first map, of the pixels: x = round(255 2^14 pixel) - M in float64, then sums of whole numbers."""
        graph = self._graph
        wide = graph.cast("pixels", DOUBLE)
        scaled = graph.node("Mul", wide, graph.constant(np.array(LEVELS << stem.pixel_bits, np.float64)))
        mean = graph.constant(stem.mean.astype(np.float64).reshape(-1, 1, 1))
        whole = graph.node("Sub", graph.node("Round", scaled), mean)
        weight = graph.cast(graph.constant(stem.weight.reshape(1, len(stem.weight), -1).astype(np.int32)), DOUBLE)
        padded = graph.pad(whole, stem.window, _NOTHING)
        sums = self._sums(padded, weight, stem.window, (1, image.channels), shape, name)
        return graph.node("Mul", sums, graph.by_channel(stem.step))

    def real_conv(self, conv: RealConv, value: str, source: Shape, shape: Shape, name: str) -> str:
        """Return a convolution of real weights."""
        graph = self._graph
        weight = graph.constant(conv.weight.reshape(conv.groups, len(conv.weight) // conv.groups, -1))
        padded = graph.pad(graph.cast(value, DOUBLE), conv.window, _NOTHING)
        return self._sums(padded, graph.cast(weight, DOUBLE), conv.window, (conv.groups, source.channels), shape, name)

    def magnitude(self, magnitude: Magnitude, value: str, source: Shape, shape: Shape) -> str:
        """Return the mean magnitude under each window, by group."""
        graph, groups, size = self._graph, magnitude.groups, magnitude.window.size
        wide = graph.cast(graph.node("Abs", value), DOUBLE)
        grouped = graph.reshape(wide, 0, groups, source.channels // groups, source.pixels)
        means = graph.node("ReduceMean", grouped, graph.integers(2), keepdims=0)
        padded = graph.pad(graph.reshape(means, 0, groups, source.height, source.width), magnitude.window, _NOTHING)
        box = graph.constant(np.full((groups, 1, size * size), size**-2, np.float64))
        return self._sums(padded, box, magnitude.window, (groups, groups), shape, "")

    def _sums(self, padded: str, weight: str, window: Window, grouped: tuple[int, int], shape: Shape, name: str) -> str:
        """Return a convolution in float64, rounded to float32: slices, and a product with (groups, outputs, k k inputs).

        `grouped` has the number of groups and the channels of `padded`.
        """
        graph, (groups, channels), positions = self._graph, grouped, window.size**2
        columns = graph.concat(graph.under_window(padded, window, shape), 1)
        if groups > 1:  # the positions of a window inside of each group
            apart = graph.reshape(columns, 0, positions, groups, channels // groups * shape.pixels)
            columns = graph.node("Transpose", apart, perm=[0, 2, 1, 3])
        columns = graph.reshape(columns, 0, groups, positions * channels // groups, shape.pixels)
        product = graph.node("MatMul", weight, columns, name=name)
        return graph.reshape(graph.cast(product, FLOAT), 0, shape.channels, shape.height, shape.width)

    def binary_conv(self, conv: BinaryConv, value: str, thresholds: Thresholds, shape: Shape, name: str) -> str:
        """Return the sign of a map and its convolution with weights of -1 and +1."""
        graph, window = self._graph, conv.window
        sides: dict[str, Any] = {"strides": [window.stride] * 2, "dilations": [window.dilation] * 2, "group": conv.groups}
        padded = graph.pad(self._sign(value, thresholds), window, np.array(1 if conv.pads_plus else -1, np.float32))
        weight = self._signs(conv.bits)
        if conv.kernel_scale is not None:
            result = self._positional(conv, padded, weight, shape, name)
        else:
            result = graph.node("Round", graph.node("Conv", padded, weight, name=name, **sides))
        if conv.sums is None:
            return result
        scale, sum_scale, offset = (graph.by_channel(each) for each in conv.sums)
        size = graph.integers(conv.groups, conv.bits.shape[3], window.size, window.size)
        ones = graph.node("Expand", graph.number(1), size)
        signs = graph.spread(graph.node("Round", graph.node("Conv", padded, ones, **sides)), conv.groups, shape.channels)
        both = graph.node("Add", graph.node("Mul", result, scale), graph.node("Mul", signs, sum_scale))
        return graph.node("Add", both, offset)

    def _positional(self, conv: BinaryConv, padded: str, weight: str, shape: Shape, name: str) -> str:
        """Return the convolution whose positions have factors, in float64."""
        graph, size = self._graph, conv.window.size
        assert conv.kernel_scale is not None  # noqa: S101 - for the type checker; it is called with factors only
        outputs, channels, planes = len(conv.bits), conv.bits.shape[3], len(conv.kernel_scale)
        factors = graph.constant(conv.kernel_scale.reshape(planes, 1, size, size).astype(np.float32))
        grid = graph.reshape(weight, outputs // planes, planes, channels, size, size)
        scaled = graph.reshape(graph.node("Mul", grid, factors), outputs, channels, size, size)
        rows = graph.node("Transpose", scaled, perm=[0, 2, 3, 1])
        matrix = graph.reshape(rows, conv.groups, outputs // conv.groups, channels * size * size)
        grouped = (conv.groups, conv.groups * channels)
        return self._sums(graph.cast(padded, DOUBLE), graph.cast(matrix, DOUBLE), conv.window, grouped, shape, name)

    def _sign(self, value: str, thresholds: Thresholds) -> str:
        """Return -1 or +1: +1 where (x >= limit) != falls; with quantizers, which know no limits, where x >= 0."""
        graph, falls = self._graph, thresholds.falls
        if self._quantizers:
            return self._quantized(value)
        reaches = graph.node("GreaterOrEqual", value, graph.by_channel(thresholds.limit))
        there, below = (np.where(falls == turned, 1, -1).astype(np.float32) for turned in (False, True))
        return graph.node("Where", reaches, graph.by_channel(there), graph.by_channel(below))

    def _signs(self, bits: NDArray[np.bool_]) -> str:
        """Return weights of -1 and +1, (O, C / groups, k, k), of which the file has the bits, least significant first."""
        graph, flat = self._graph, np.ascontiguousarray(bits.transpose(0, 3, 1, 2))
        if self._quantizers:
            return self._quantized(graph.constant(np.where(flat, 1, -1).astype(np.float32)))
        packed = np.packbits(flat.reshape(-1), bitorder="little").reshape(-1, 1)
        masks = graph.constant(1 << np.arange(8, dtype=np.uint8))
        ones = graph.cast(graph.node("BitwiseAnd", graph.constant(packed), masks), BOOL)
        if flat.size % 8:
            ones = graph.cut(graph.reshape(ones, -1), 0, 0, flat.size)
        return graph.node("Where", graph.reshape(ones, *flat.shape), graph.number(1), graph.number(-1))

    def _quantized(self, value: str) -> str:
        return self._graph.node("BipolarQuant", value, self._graph.number(1), domain=QONNX_DOMAIN)

    def max_pool(self, pool: MaxPool, value: str, source: Shape, shape: Shape) -> str:
        """Return the largest number under each window."""
        window = pool.window
        pads = [window.padding] * 2 + list(_after(window, source, shape))
        return self._graph.node("MaxPool", value, kernel_shape=[window.size] * 2, strides=[window.stride] * 2, pads=pads)

    def avg_pool(self, pool: AvgPool, value: str, source: Shape, shape: Shape) -> str:
        """Return the mean under each window: a sum row by row, to which padding adds 0, over the number of positions."""
        graph, window = self._graph, pool.window
        padded = graph.pad(value, window, np.array(0, np.float32), _after(window, source, shape))
        total, *others = graph.under_window(padded, window, shape)
        for each in others:
            total = graph.node("Add", total, each)
        rows, columns = (_positions(window, *sides) for sides in ((source.height, shape.height), (source.width, shape.width)))
        return graph.node("Div", total, graph.constant(np.outer(rows, columns).astype(np.float32)))

    def gather(self, gather: Gather, value: str, source: Shape) -> str:
        """Return channels in another order; -1 is a channel of zeros, put behind the others."""
        graph, index = self._graph, gather.index
        if bool((index < 0).any()):
            value = graph.node("Pad", value, graph.integers(0, 0, 0, 0, 0, 1, 0, 0), graph.number(0))
        return graph.node("Gather", value, graph.constant(np.where(index < 0, source.channels, index).astype(np.int64)), axis=1)

    def group_mean(self, mean: GroupMean, value: str, shape: Shape) -> str:
        """Return the mean of groups of channels: their sum in order, over their number."""
        graph, size = self._graph, shape.channels
        total, *others = (graph.cut(value, 1, start, start + size) for start in range(0, mean.groups * size, size))
        for each in others:
            total = graph.node("Add", total, each)
        return graph.node("Div", total, graph.number(mean.groups))

    def non_local_mean(self, mean: NonLocalMean, value: str, shape: Shape) -> str:
        """Return (X X^T / trace(X X^T)) X in float64, rounded once."""
        graph = self._graph
        flat = graph.reshape(graph.cast(value, DOUBLE), 0, shape.channels, shape.pixels)
        moments = graph.node("MatMul", flat, graph.node("Transpose", flat, perm=[0, 2, 1]))
        energy = graph.node("ReduceSum", graph.node("Mul", flat, flat), graph.integers(1, 2))
        energy = graph.node("Max", energy, graph.constant(np.array(mean.least, np.float64)))
        product = graph.node("MatMul", graph.node("Div", moments, energy), flat)
        return graph.reshape(graph.cast(product, FLOAT), 0, shape.channels, shape.height, shape.width)

    def global_mean(self, value: str) -> str:
        """Return the mean of all positions."""
        return self._graph.node("ReduceMean", value, self._graph.integers(2, 3))

    def flatten(self, value: str, shape: Shape) -> str:
        """Return one position with all numbers as its channels."""
        return self._graph.reshape(value, 0, shape.channels, 1, 1)

    def linear(self, linear: Linear, value: str, shape: Shape) -> str:
        """Return a product with a matrix, plus a bias."""
        graph = self._graph
        product = graph.node(
            "Gemm", graph.node("Flatten", value, axis=1), graph.constant(linear.weight), graph.constant(linear.bias), transB=1
        )
        return graph.reshape(product, 0, shape.channels, 1, 1)


def _after(window: Window, source: Shape, shape: Shape) -> tuple[int, int]:
    """Return how many rows and columns of padding the last windows reach over."""
    sides = ((source.height, shape.height), (source.width, shape.width))
    rows, columns = (max(0, (out - 1) * window.stride + window.size - side - window.padding) for side, out in sides)
    return rows, columns


def _positions(window: Window, side: int, out: int) -> NDArray[np.int64]:
    """Return how many positions of each window along a side are not padding."""
    first = np.arange(out) * window.stride - window.padding
    return np.minimum(first + window.size, side) - np.maximum(first, 0)

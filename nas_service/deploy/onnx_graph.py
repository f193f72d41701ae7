"""A graph of ONNX nodes in the making: what is there already is not written twice.

Standard operators of opset 18 alone, which ONNX Runtime reads since 1.14. Maps are (n, C, H, W).
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import Shape, Window

OPSET, IR_VERSION = 18, 8
FLOAT, DOUBLE, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.BOOL


class OnnxGraph:
    """Nodes, and the constants that they read."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._known: dict[object, str] = {}
        self._domains: set[str] = set()

    def constant(self, values: NDArray[Any]) -> str:
        """Return the name of a constant."""
        values = np.ascontiguousarray(values)
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._known:
            self._known[key] = f"c{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(values, self._known[key]))
        return self._known[key]

    def integers(self, *values: int) -> str:
        """Return the name of a constant vector of int64."""
        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Return the name of a constant float32 number."""
        return self.constant(np.array(value, np.float32))

    def by_channel(self, values: Floats) -> str:
        """Return the name of a constant (C, 1, 1), or (1, 1, 1) where all channels have the same."""
        same = values.tobytes() == values[:1].tobytes() * len(values)
        return self.constant((values[:1] if same else values).reshape(-1, 1, 1))

    def node(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - numbers, and lists of them
        """Return the name of a node's only output."""
        key = (kind, inputs, tuple(sorted((key, repr(value)) for key, value in attributes.items())))
        if key not in self._known:
            self._known[key] = f"v{len(self._nodes)}"
            made = helper.make_node(kind, inputs, [self._known[key]], name=name, domain=domain, **attributes)
            self._nodes.append(made)
            self._domains.add(domain)
        return self._known[key]

    def cast(self, value: str, to: int) -> str:
        """Return a value in another type."""
        return self.node("Cast", value, to=int(to))

    def reshape(self, value: str, *shape: int) -> str:
        """Return a value in another shape; 0 keeps an axis as it is, whatever the batch."""
        return self.node("Reshape", value, self.integers(*shape))

    def concat(self, values: list[str], axis: int) -> str:
        """Return values one behind the other."""
        return values[0] if len(values) == 1 else self.node("Concat", *values, axis=axis)

    def cut(self, value: str, axis: int, start: int, stop: int) -> str:
        """Return a part of an axis."""
        return self.node("Slice", value, self.integers(start), self.integers(stop), self.integers(axis))

    def spread(self, value: str, groups: int, channels: int) -> str:
        """Return a map of one channel a group as one that multiplies, or is added to, a map of so many channels."""
        if groups in {1, channels}:
            return value
        return self.node("Gather", value, self.constant(np.arange(channels) // (channels // groups)), axis=1)

    def pad(self, value: str, window: Window, fill: NDArray[Any], after: tuple[int, int] | None = None) -> str:
        """Return a map with a border: of the window's padding, or of so many rows and columns at the end."""
        before, (rows, columns) = window.padding, after or (window.padding, window.padding)
        if not (before or rows or columns):
            return value
        pads = self.integers(0, 0, before, before, 0, 0, rows, columns)
        return self.node("Pad", value, pads, self.constant(fill))

    def under_window(self, padded: str, window: Window, shape: Shape) -> list[str]:
        """Return what each position of a window sees, row by row: maps of the size of `shape`."""
        if window.size == window.stride == 1:
            return [padded]
        steps, axes, seen = self.integers(window.stride, window.stride), self.integers(2, 3), []
        for row in range(window.size):
            for column in range(window.size):
                starts = (row * window.dilation, column * window.dilation)
                sides = (shape.height, shape.width)
                stops = [start + (side - 1) * window.stride + 1 for start, side in zip(starts, sides, strict=True)]
                seen.append(self.node("Slice", padded, self.integers(*starts), self.integers(*stops), axes, steps))
        return seen

    def finish(self, logits: str, image: Shape, classes: int, metadata: dict[str, str], batch: str | int) -> bytes:
        """Return the file: a batch of `pixels` (batch, C, H, W) in, `logits` (batch, classes) out, the same bytes every time."""
        self._nodes.append(helper.make_node("Flatten", [logits], ["logits"], axis=1))
        pixels = helper.make_tensor_value_info("pixels", FLOAT, [batch, image.channels, image.height, image.width])
        output = helper.make_tensor_value_info("logits", FLOAT, [batch, classes])
        graph = helper.make_graph(self._nodes, "network", [pixels], [output], self._constants)
        opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(name, 1) for name in sorted(self._domains - {""}))]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="nas-service")
        helper.set_model_props(model, metadata)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

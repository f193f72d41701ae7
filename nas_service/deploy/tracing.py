"""Tracing: a frozen network becomes a program.

The network is traced as it is for `model.py`, but to its last layer; what depends on weights alone is computed, and every node
that is left becomes one step, several, or none. What has no step is refused by name, never written as something else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from nas_service.binarization.maxout import Maxout
from nas_service.deploy.pointwise import Floats, Kind, Pointwise
from nas_service.deploy.program import (
    Add,
    AvgPool,
    BinaryConv,
    Concat,
    Flatten,
    Gather,
    Given,
    GlobalMean,
    GroupMean,
    Linear,
    Magnitude,
    MaxPool,
    NonLocalMean,
    Operation,
    Program,
    RealConv,
    Shape,
    Stem,
    Step,
    TimesGroup,
    Window,
)
from nas_service.errors import ExportError
from nas_service.export import int8_weights, real_layers, runtime
from nas_service.export.int8_weights import Int8Linear, Int8StemConv2d
from search_spaces.network import Network

_CONTAINERS = (nn.Sequential, nn.ModuleDict, nn.ModuleList)
_KINDS = {
    "add": Kind.ADD,
    "mul": Kind.MULTIPLY,
    "sub": Kind.SUBTRACT,
    "neg": Kind.NEGATE,
    "relu": Kind.RELU,
    "prelu": Kind.PRELU,
}
_TRACING = Lock()  # while torch traces, it changes how all modules are called
_LEAST_ENERGY = 1e-12  # of a non-local mean, as in its run-time layer


_LEAVES = {layers.__name__ for layers in (real_layers, runtime, int8_weights)}


class _Tracer(fx.Tracer):
    """Stops at torch's own layers and at those of the run time."""

    proxy_buffer_attributes = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        del module_qualified_name
        own = type(m).__module__.startswith("torch.nn") and not isinstance(m, _CONTAINERS)
        return own or isinstance(m, Maxout) or type(m).__module__ in _LEAVES


@dataclass(frozen=True)
class _Map:
    """A map by the number of its step."""

    step: int


def trace_network(frozen: Network, class_names: Sequence[str] = ()) -> Program:
    """Return the program of a frozen network.

    Raises:
        ExportError: Naming the first layer or operation that a program has no step for.
    """
    size = frozen.image.size
    builder = _Builder(frozen, Shape(size.height, size.width, frozen.image.channels))
    builder.build()
    return Program(builder.image, tuple(builder.steps), tuple(class_names))


def trace_block(frozen: nn.Module, shape: Shape) -> tuple[tuple[Step, ...], int]:
    """Return the steps of a part of a frozen network that maps one map of `shape` to another, and the number of that one.

    Step 0 is the map that it is given.

    Raises:
        ExportError: Naming the first layer or operation that a program has no step for.
    """
    builder = _Builder(frozen, shape)
    builder.steps.append(Step(Given(), (), shape, ""))
    made = builder.build(_Map(0))
    return tuple(builder.steps), made.step


class _Builder:
    """Makes steps, node by node, of a network or of a block of one."""

    def __init__(self, frozen: nn.Module, image: Shape) -> None:
        self._frozen, self.image = frozen, image
        self.steps: list[Step] = []
        self._name = ""
        self._layers: dict[type[nn.Module], Callable[[Any, _Map], _Map]] = {
            real_layers.BatchNorm2d: self._norm,
            runtime.BinaryConv2d: self._binary_conv,
            real_layers.Conv2d: self._real_conv,
            real_layers.GaborBank: self._gabor,
            real_layers.NonLocalMean: lambda _, at: self._like(NonLocalMean(_LEAST_ENERGY), at),
            Maxout: lambda layer, at: self._pointwise(Kind.MAXOUT, at, layer.lower, layer.upper),
            nn.PReLU: lambda layer, at: self._pointwise(Kind.PRELU, at, layer.weight),
            nn.Hardtanh: lambda layer, at: self._pointwise(Kind.CLIP, at, *_bounds(layer)),
            nn.MaxPool2d: lambda layer, at: self._pool(MaxPool, layer, at),
            nn.AvgPool2d: lambda layer, at: self._pool(AvgPool, layer, at),
            nn.AdaptiveAvgPool2d: self._global_mean,
            real_layers.GroupMean: self._group_mean,
            nn.ChannelShuffle: lambda layer, at: self._shuffle(layer.groups, at),
            nn.Identity: lambda _, at: at,
            nn.Flatten: self._flatten_layer,
            nn.Linear: self._linear,
            Int8Linear: self._linear,
        }

    def build(self, given: _Map | None = None) -> _Map:
        """Trace, turn every node into steps, and return what comes out; `given` is what goes in, None: the image."""
        with _TRACING:
            graph = _Tracer().trace(self._frozen)
        seen: dict[Any, Any] = {}
        for node in graph.nodes:
            if node.op == "output":
                break
            if node.op == "placeholder":
                seen[node] = given
                continue
            self._name = str(node.target if node.op == "call_module" else node.name)
            arguments = fx.node.map_arg(node.args, seen.__getitem__)
            named = fx.node.map_arg(node.kwargs, seen.__getitem__)
            try:
                seen[node] = self._node(node, list(arguments), dict(named))
            except (TypeError, ValueError, AttributeError, RuntimeError) as error:  # of an operation that nobody foresaw
                if isinstance(error, ExportError):
                    raise
                message = f"{self._name} cannot be written as C or ONNX: {error}"
                raise ExportError(message) from error
        made = seen[node.args[0]]
        assert isinstance(made, _Map)  # noqa: S101 - for the type checker; a network and a block return a map
        return made

    def _node(self, node: fx.Node, given: list[Any], named: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever a network computes
        if node.op == "get_attr":
            return _attribute(self._frozen, str(node.target))
        if node.op == "call_module":
            return self._module(self._frozen.get_submodule(str(node.target)), given)
        if not any(isinstance(entry, _Map) for entry in _flat([*given, *named.values()])):  # of weights alone
            function: Any = node.target if callable(node.target) else getattr(torch.Tensor, str(node.target))
            return function(*given, **named)
        return self._call(str(getattr(node.target, "__name__", node.target)), given, named)

    def _module(self, layer: nn.Module, given: list[Any]) -> _Map | None:
        if isinstance(layer, runtime.Normalize):
            return None  # part of the stem, which reads the image
        if isinstance(layer, real_layers.StemConv2d):
            return self._stem(layer)
        if type(layer) not in self._layers or not isinstance(given[0], _Map):
            raise self._refusal(type(layer).__name__)
        return self._layers[type(layer)](layer, given[0])

    def _call(self, name: str, given: list[Any], named: dict[str, Any]) -> _Map | Tensor:
        """Return what a function or a method of torch makes of maps and constants."""
        if name == "cat" and set(named) == {"dim"}:
            given, named = [*given, named["dim"]], {}
        if named:
            raise self._refusal(f"{name} with {', '.join(named)}")
        match name, given:
            case "cat", [maps, 1] if all(isinstance(entry, _Map) for entry in maps):
                shape, channels = self._shape(maps[0]), sum(self._shape(entry).channels for entry in maps)
                return self._add(Concat(), tuple(maps), Shape(shape.height, shape.width, channels))
            case "flatten", [_Map() as at, 1]:
                return self._flatten(at)
            case "unflatten", [_Map() as at, 1, (-1, 1, 1)]:
                return at  # a vector as a map of one position
            case (("type_as" | "contiguous"), [_Map() | Tensor() as at, *_]):
                return at
            case _:
                return self._elementwise(name, given)

    def _elementwise(self, name: str, given: list[Any]) -> _Map:
        """Return what is computed of each number by itself."""
        match name, given:
            case "add", [_Map() as left, _Map() as right]:
                return self._add(Add(), (left, right), self._shape(left))
            case "sub", [_Map() as left, _Map() as right]:
                return self._add(Add(), (left, self._pointwise(Kind.NEGATE, right)), self._shape(left))
            case (("add" | "mul"), [_Map() as at, other] | [other, _Map() as at]) if _is_by_channel(other):
                return self._pointwise(_KINDS[name], at, other)
            case "sub", [_Map() as at, other] if _is_by_channel(other):
                return self._pointwise(_KINDS[name], at, other)
            case (("neg" | "relu"), [_Map() as at]):
                return self._pointwise(_KINDS[name], at)
            case "prelu", [_Map() as at, Tensor() as slopes]:
                return self._pointwise(_KINDS[name], at, slopes)
        raise self._refusal(name)

    def _refusal(self, what: str) -> ExportError:
        return ExportError(f"{self._name}: {what} cannot be written as C or ONNX")

    def _shape(self, at: _Map) -> Shape:
        return self.steps[at.step].shape

    def _add(self, operation: Operation, inputs: tuple[_Map, ...], shape: Shape) -> _Map:
        if not all(np.isfinite(value).all() for value in _flat(list(vars(operation).values())) if isinstance(value, np.ndarray)):
            raise self._refusal("a constant that is not finite")
        self.steps.append(Step(operation, tuple(entry.step for entry in inputs), shape, self._name))
        return _Map(len(self.steps) - 1)

    def _like(self, operation: Operation, at: _Map) -> _Map:
        return self._add(operation, (at,), self._shape(at))

    def _pointwise(self, kind: Kind, at: _Map, *constants: Tensor | float) -> _Map:
        channels = self._shape(at).channels
        return self._like(Pointwise(kind, tuple(self._by_channel(value, channels) for value in constants)), at)

    def _by_channel(self, value: Tensor | float, channels: int) -> Floats:
        flat = torch.as_tensor(value, dtype=torch.float32).detach()
        if flat.numel() not in {1, channels}:
            raise self._refusal(f"a constant of shape {tuple(flat.shape)}")
        return np.ascontiguousarray(np.broadcast_to(flat.flatten().numpy(), (channels,)))

    def _norm(self, layer: real_layers.BatchNorm2d, at: _Map) -> _Map:
        return self._pointwise(Kind.AFFINE, at, layer.alpha, layer.beta)

    def _stem(self, layer: real_layers.StemConv2d) -> _Map:
        window = Window(layer.kernel_size, layer.stride, layer.padding)
        weight = layer.integer_weight.to(torch.int64).permute(0, 2, 3, 1).numpy()
        normalize = self._frozen.get_submodule("normalize")
        assert isinstance(normalize, runtime.Normalize)  # noqa: S101 - for the type checker; freeze_network puts it there
        is_int8 = isinstance(layer, Int8StemConv2d)
        bits = layer.pixel_bits if isinstance(layer, Int8StemConv2d) else real_layers.PIXEL_BITS
        unit = 2 ** (real_layers.PIXEL_BITS - bits)  # divides every mean
        mean = normalize.integer_mean.to(torch.int64).flatten().numpy() // unit
        stem = Stem(np.ascontiguousarray(weight), mean, _numbers(layer.step * unit), bits, window, is_int8)
        return self._add(stem, (), _under(window, self.image, len(weight)))

    def _binary_conv(self, layer: runtime.BinaryConv2d, at: _Map) -> _Map:
        if not layer.binary_input:
            raise self._refusal("a convolution of real inputs, which has no packed form,")
        if layer.padding and layer.pad_value not in {-1.0, 1.0}:
            raise self._refusal(f"a padding of {layer.pad_value:g} around signs (-1 or +1 is allowed)")
        source = at
        if layer.threshold is not None:
            at = self._pointwise(Kind.ADD, at, layer.threshold)
        bits = layer.signs.repeat_interleave(layer.planes, 0).permute(0, 2, 3, 1).numpy() > 0
        window = Window(layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        shape = _under(window, self._shape(at), len(bits))
        sums, kernel_scale = None, None
        if layer.sum_scale is not None and layer.offset is not None:
            scale = torch.ones(1) if layer.scale is None else layer.scale
            sums = (self._by_channel(scale, len(bits)), _numbers(layer.sum_scale), _numbers(layer.offset))
        if layer.kernel_scale is not None:
            scales = layer.kernel_scale.expand(-1, layer.kernel_size, layer.kernel_size)
            kernel_scale = _numbers(scales)
        conv = BinaryConv(np.ascontiguousarray(bits), layer.groups, window, layer.pad_value > 0, sums, kernel_scale)
        at = self._add(conv, (at,), shape)
        if layer.scale is not None and sums is None:
            at = self._pointwise(Kind.MULTIPLY, at, layer.scale)
        if layer.input_scale == "kmap":
            small = Shape(shape.height, shape.width, layer.groups)
            at = self._add(TimesGroup(), (at, self._add(Magnitude(layer.groups, window), (source,), small)), shape)
        if layer.gather is not None:
            index = layer.gather.to(torch.int64).numpy()
            gather = Gather(np.where(index < shape.channels, index, -1))
            at = self._add(gather, (at,), Shape(shape.height, shape.width, len(index)))
        return at

    def _real_conv(self, layer: real_layers.Conv2d, at: _Map) -> _Map:
        window = Window(layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        weight = np.ascontiguousarray(layer.weight.detach().permute(0, 2, 3, 1).numpy())
        return self._add(RealConv(weight, layer.groups, window), (at,), _under(window, self._shape(at), len(weight)))

    def _gabor(self, layer: real_layers.GaborBank, at: _Map) -> _Map:
        kernel = np.ascontiguousarray(layer.kernel.permute(0, 2, 3, 1).numpy())
        window = Window(kernel.shape[1], layer.stride, kernel.shape[1] // 2)
        return self._add(RealConv(kernel, len(kernel), window), (at,), _under(window, self._shape(at), len(kernel)))

    def _pool(self, make: type[MaxPool | AvgPool], layer: nn.MaxPool2d | nn.AvgPool2d, at: _Map) -> _Map:
        counts_padding = isinstance(layer, nn.AvgPool2d) and bool(layer.count_include_pad and layer.padding)
        if counts_padding or getattr(layer, "divisor_override", None) or getattr(layer, "dilation", 1) != 1:
            raise self._refusal(f"{layer}")
        size, stride, padding = (_side(value) for value in (layer.kernel_size, layer.stride, layer.padding))
        shape = self._shape(at)
        sides = [_pooled(side, size, stride, padding, rounds_up=layer.ceil_mode) for side in (shape.height, shape.width)]
        return self._add(make(Window(size, stride, padding)), (at,), Shape(sides[0], sides[1], shape.channels))

    def _group_mean(self, layer: real_layers.GroupMean, at: _Map) -> _Map:
        shape = self._shape(at)
        return self._add(GroupMean(layer.groups), (at,), Shape(shape.height, shape.width, shape.channels // layer.groups))

    def _shuffle(self, groups: int, at: _Map) -> _Map:
        index = np.arange(self._shape(at).channels).reshape(groups, -1).T.flatten()
        return self._like(Gather(index), at)

    def _global_mean(self, layer: nn.AdaptiveAvgPool2d, at: _Map) -> _Map:
        if layer.output_size not in {1, (1, 1)}:
            raise self._refusal(f"{layer}")
        return self._add(GlobalMean(), (at,), Shape(1, 1, self._shape(at).channels))

    def _flatten_layer(self, layer: nn.Flatten, at: _Map) -> _Map:
        if (layer.start_dim, layer.end_dim) != (1, -1):
            raise self._refusal(f"{layer}")
        return self._flatten(at)

    def _flatten(self, at: _Map) -> _Map:
        shape = self._shape(at)
        return at if shape.pixels == 1 else self._add(Flatten(), (at,), Shape(1, 1, shape.floats))

    def _linear(self, layer: nn.Linear, at: _Map) -> _Map:
        bias = layer.state_dict().get("bias", torch.zeros(layer.out_features))
        step = _numbers(layer.step) if isinstance(layer, Int8Linear) else None
        return self._add(Linear(_numbers(layer.weight), _numbers(bias), step), (at,), Shape(1, 1, layer.out_features))


def _flat(values: Sequence[Any]) -> list[Any]:
    return [inner for value in values for inner in (_flat(value) if isinstance(value, list | tuple) else [value])]


def _is_by_channel(value: object) -> bool:
    """Return whether a constant is one number, or one of each channel: (C, 1, 1) or (1, C, 1, 1)."""
    if not isinstance(value, Tensor):
        return isinstance(value, int | float)
    shape = (1,) * (4 - value.ndim) + tuple(value.shape)
    return value.numel() == 1 or (value.ndim in {3, 4} and shape[0] == shape[2] == shape[3] == 1)


def _attribute(root: nn.Module, path: str) -> Tensor:
    owner, _, leaf = path.rpartition(".")
    tensor: Tensor = getattr(root.get_submodule(owner), leaf)
    return tensor.detach()


def _numbers(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().to(torch.float32).numpy())


def _bounds(layer: nn.Hardtanh) -> tuple[float, float]:
    return float(layer.min_val), float(layer.max_val)


def _side(value: int | tuple[int, ...]) -> int:
    sides = {value} if isinstance(value, int) else set(value)
    (side,) = sides
    return side


def _under(window: Window, shape: Shape, channels: int) -> Shape:
    reach = window.dilation * (window.size - 1) + 1
    sides = [(side + 2 * window.padding - reach) // window.stride + 1 for side in (shape.height, shape.width)]
    return Shape(sides[0], sides[1], channels)


def _pooled(side: int, size: int, stride: int, padding: int, *, rounds_up: bool) -> int:
    """Return how many windows fit; rounded up, the last one still begins inside of the map or its left padding."""
    room = side + 2 * padding - size
    if not rounds_up:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= side + padding else count

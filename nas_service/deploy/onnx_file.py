"""ONNX: a network as one file that ONNX Runtime, and whatever else reads standard operators, computes as the program defines.

It is for reach, not for speed: no runtime has a binary convolution, so weights are bits in the file and floats once it is loaded.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nas_service.deploy.onnx_graph import OnnxGraph
from nas_service.deploy.onnx_layers import OnnxLayers
from nas_service.deploy.pointwise import Pointwise
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
    Operation,
    Program,
    RealConv,
    Shape,
    Stem,
    TimesGroup,
)
from nas_service.deploy.stages import Other, Stage, make_stages
from nas_service.deploy.thresholds import find_thresholds


@dataclass(frozen=True)
class Origin:
    """What a file was made from.

    Attributes:
        weights_sha256: Of `weights.safetensors`, as hexadecimal digits.
        version: Of this service.
    """

    weights_sha256: str
    version: str


def write_onnx(program: Program, origin: Origin) -> bytes:
    """Return a program as ONNX: opset 18, IR version 8, standard operators.

    The input is `pixels`, float32 (n, C, H, W) in [0, 1], as `model.py` takes them, for any n from 1; the output `logits`,
    float32 (n, classes). Signs that follow pointwise operations are one comparison a channel. The same program gives the same
    bytes.
    """
    return _Writer(program, quantizers=False).write(make_stages(program), origin, "n")


def write_qonnx(program: Program, origin: Origin) -> bytes:
    """Return a program as QONNX, for research: as `write_onnx`, but pointwise operations stay in front of their sign.

    Both operands of each binary convolution are quantised by a BipolarQuant of scale 1 (domain qonnx.custom_op.general, +1 where
    x >= 0); weights are float32. The batch is one image, as FPGA tools expect. ONNX Runtime alone does not run it, the package
    `qonnx` does.
    """
    return _Writer(program, quantizers=True).write(_single_steps(program), origin, 1)


def _single_steps(program: Program) -> list[Stage]:
    """Return a stage for each step."""
    stages = []
    for index, step in enumerate(program.steps):
        thresholds = None
        if isinstance(step.operation, BinaryConv):
            thresholds = find_thresholds([], program.steps[step.inputs[0]].shape.channels)
        stage = Stage(step.operation, step.inputs, (), step.shape, index, step.name, thresholds)
        match step.operation:
            case Pointwise() as operation:
                stage = Stage(None, step.inputs, (operation,), step.shape, index, step.name)
            case Add() | TimesGroup() as operation:
                other = Other(step.inputs[1], multiplies=isinstance(operation, TimesGroup))
                stage = Stage(None, step.inputs[:1], (other,), step.shape, index, step.name)
        stages.append(stage)
    return stages


class _Writer:
    """Writes stage by stage."""

    def __init__(self, program: Program, *, quantizers: bool) -> None:
        self._program, self._graph = program, OnnxGraph()
        self._layers = layers = OnnxLayers(self._graph, quantizers=quantizers)
        self._values: dict[int, str] = {}
        self._heads: dict[type[Operation], Callable[[Any, str, Shape, Stage], str]] = {
            RealConv: lambda conv, value, source, stage: layers.real_conv(conv, value, source, stage.shape, stage.name),
            Magnitude: lambda magnitude, value, source, stage: layers.magnitude(magnitude, value, source, stage.shape),
            MaxPool: lambda pool, value, source, stage: layers.max_pool(pool, value, source, stage.shape),
            AvgPool: lambda pool, value, source, stage: layers.avg_pool(pool, value, source, stage.shape),
            Gather: lambda gather, value, source, _: layers.gather(gather, value, source),
            GroupMean: lambda mean, value, _, stage: layers.group_mean(mean, value, stage.shape),
            NonLocalMean: lambda mean, value, _, stage: layers.non_local_mean(mean, value, stage.shape),
            GlobalMean: lambda _head, value, _source, _stage: layers.global_mean(value),
            Flatten: lambda _head, value, _, stage: layers.flatten(value, stage.shape),
            Linear: lambda linear, value, _, stage: layers.linear(linear, value, stage.shape),
        }

    def write(self, stages: list[Stage], origin: Origin, batch: str | int) -> bytes:
        """Return the file, for batches of any size, by its name, or of a fixed one."""
        for stage in stages:
            value = self._head(stage)
            for entry in stage.tail:
                value = self._next(stage, entry, value)
            self._values[stage.output] = value
        logits, classes = self._values[stages[-1].output], self._program.steps[-1].shape.channels
        return self._graph.finish(logits, self._program.image, classes, self._metadata(origin), batch)

    def _metadata(self, origin: Origin) -> dict[str, str]:
        image = self._program.image
        return {
            "class_names": json.dumps(self._program.class_names, ensure_ascii=False),
            "input": f"pixels, float32, NCHW, of {image.channels} x {image.height} x {image.width}",
            "pixel_range": "0 to 1: grey levels 0 to 255, divided by 255",
            "normalization": "mean and std are inside the network",
            "weights_sha256": origin.weights_sha256,
            "nas_service_version": origin.version,
        }

    def _shape(self, step: int) -> Shape:
        return self._program.steps[step].shape

    def _next(self, stage: Stage, entry: Pointwise | Other, value: str) -> str:
        if isinstance(entry, Pointwise):
            return self._layers.pointwise(entry, value)
        other = self._values[entry.step]
        if entry.multiplies:
            return self._layers.times_group(value, other, stage.shape, self._shape(entry.step).channels)
        return self._layers.add(value, other)

    def _head(self, stage: Stage) -> str:
        layers, name, shape = self._layers, stage.name, stage.shape
        if isinstance(stage.head, Stem):
            return layers.stem(stage.head, self._program.image, shape, name)
        if isinstance(stage.head, Concat):
            return self._graph.concat([self._values[step] for step in stage.inputs], 1)
        value, source = self._values[stage.inputs[0]], self._shape(stage.inputs[0])
        if isinstance(stage.head, BinaryConv):
            assert stage.thresholds is not None  # noqa: S101 - for the type checker; a binary convolution has them
            return layers.binary_conv(stage.head, value, stage.thresholds, shape, name)
        return value if stage.head is None else self._heads[type(stage.head)](stage.head, value, source, stage)

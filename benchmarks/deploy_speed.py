"""How fast is generated C beside ONNX Runtime and torch on one core? `python -m benchmarks.deploy_speed`.

One process, one thread, sides in turn, CPU time of the thread, medians: read ratios, not microseconds. Needs a C compiler and
onnxruntime.

    convolutions   3x3, binary, with packing, PReLU and shortcut, in C, beside a 3x3 float32 convolution of the same size alone
    networks       of random weights with settled batch norms, whole, at batch 1 and 100 (C runs a batch image by image)
"""

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import nn

from benchmarks.conditions import conditions
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_method, build_space
from nas_service.deploy.c_source import write_c
from nas_service.deploy.onnx_file import Origin, write_onnx
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import (
    Add,
    BinaryConv,
    GlobalMean,
    Linear,
    Operation,
    Program,
    Shape,
    Stem,
    Step,
    Window,
)
from nas_service.deploy.tracing import trace_network
from nas_service.export.packed import freeze_network
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.network import ImageFormat
from search_spaces.space import SearchSpace
from tests.samples import random_genotype

BUILDS = {
    "this CPU": ["-O3", "-march=native"],
    "AVX2": ["-O3", "-mavx2", "-mpopcnt"],
    "`cc -O2`": ["-O2"],  # what every x86-64 has: SSE2
    "as a chip": ["-O2", "-DNN_PORTABLE"],
}
CONVS = ((16, 32), (64, 32), (64, 16), (128, 16), (256, 8), (256, 16))
NETWORKS = (("digits", "abandit-general", 1, 8), ("CIFAR size", "abandit-general", 3, 32), ("CIFAR size", "resnet-20", 3, 32))
ROUNDS = 15


def chain(channels: int, size: int, layers: int) -> Program:
    """Return a program of so many binary 3x3 convolutions with PReLU and shortcut, weights drawn."""
    drawn = np.random.default_rng(0)
    shape, steps = Shape(size, size, channels), list[Step]()

    def add(operation: Operation, *inputs: int, shape: Shape = shape) -> int:
        steps.append(Step(operation, inputs, shape, f"step {len(steps)}"))
        return len(steps) - 1

    def floats(scale: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return (drawn.normal(size=channels) * scale).astype(np.float32)

    weight = drawn.integers(-(2**20), 2**20, (channels, 1, 1, 1))
    at = add(Stem(weight, np.array([100 << 14]), np.full(channels, 2.0**-30, np.float32), 14, Window(1, 1, 0)))
    for _ in range(layers):
        normed = add(Pointwise(Kind.AFFINE, (floats(), floats())), at)
        conv = add(BinaryConv(drawn.integers(0, 2, (channels, 3, 3, channels)) > 0, 1, Window(3, 1, 1), pads_plus=False), normed)
        at = add(Add(), add(Pointwise(Kind.PRELU, (floats(0.3),)), conv), at)
    pooled = add(GlobalMean(), at, shape=Shape(1, 1, channels))
    add(Linear(drawn.normal(size=(2, channels)).astype(np.float32), np.zeros(2, np.float32)), pooled, shape=Shape(1, 1, 2))
    return Program(Shape(size, size, 1), tuple(steps), ("a", "b"))


def compiled(program: Program, flags: list[str], folder: Path) -> Callable[[], object]:
    """Return a call of a program's C on one random image."""
    code = write_c(program, "", "")
    (folder / "network.c").write_text(code.source)
    (folder / "network.h").write_text(code.header)
    library = Path(tempfile.mkdtemp(dir=folder)) / "network.so"
    command = ["cc", "-std=c99", "-ffp-contract=off", *flags, "-shared", "-fPIC", "-o", str(library), str(folder / "network.c")]
    subprocess.run(command, check=True)
    run = ctypes.CDLL(str(library)).nn_run
    image = np.random.default_rng(1).integers(0, 256, program.image.floats, dtype=np.uint8)
    arena, logits = np.zeros(code.arena_bytes // 8 + 1), np.zeros(program.steps[-1].shape.channels, np.float32)
    given = [array.ctypes.data_as(ctypes.c_void_p) for array in (arena, image, logits)]

    def call(_: object = (arena, image, logits)) -> None:
        run(*given)

    return call


def session(model: bytes) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def float_conv(channels: int, size: int) -> Callable[[], object]:
    """Return a call of a 3x3 float32 convolution in ONNX Runtime."""
    weight = np.random.default_rng(0).normal(size=(channels, channels, 3, 3)).astype(np.float32)
    maps = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, size, size]) for name in "xy"]
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "conv", [maps[0]], [maps[1]], [onnx.numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    run, given = session(model.SerializeToString()), np.zeros((1, channels, size, size), np.float32)
    return lambda: run.run(None, {"x": given})


def seconds(calls: dict[str, Callable[[], object]], least: float = 0.02) -> dict[str, float]:
    """Return the median CPU seconds of each call, taken in turn."""
    repeats = {}
    for name, call in calls.items():
        call()
        start = time.thread_time()
        call()
        repeats[name] = max(1, int(least / max(time.thread_time() - start, 1e-7)))
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.thread_time()
            for _ in range(repeats[name]):
                call()
            taken[name].append((time.thread_time() - start) / repeats[name])
    return {name: statistics.median(values) for name, values in taken.items()}


def settled_network(space: SearchSpace, image: ImageFormat) -> tuple[nn.Module, Program]:
    """Return a frozen network of drawn weights whose batch norms have seen images, and its program."""
    torch.manual_seed(0)
    method = build_method(Component(name="bnn"))
    network = binary_network(space, random_genotype(space, 0), method, image)
    for _ in range(3):
        network(torch.rand(16, image.channels, *image.size))
    frozen = freeze_network(network.eval(), method)
    return frozen, trace_network(frozen, [str(index) for index in range(image.classes)])


def convolutions(folder: Path) -> list[str]:
    """Return the table of convolutions."""
    names = list(BUILDS)
    lines = [
        "| channels, size | M MAC | " + " | ".join(f"{name}: us, times ONNX Runtime" for name in names) + " | ONNX Runtime us |"
    ]
    lines.append("|---|---|" + "---|" * (len(names) + 1))
    for channels, size in CONVS:
        calls: dict[str, Callable[[], object]] = {"onnx": float_conv(channels, size)}
        for name, flags in BUILDS.items():
            calls |= {f"{name} {layers}": compiled(chain(channels, size, layers), flags, folder) for layers in (1, 3)}
        taken = seconds(calls)
        layer = {name: (taken[f"{name} 3"] - taken[f"{name} 1"]) / 2 for name in names}
        cells = [f"{1e6 * layer[name]:.1f}, {taken['onnx'] / layer[name]:.1f}" for name in names]
        macs = size * size * channels * channels * 9 / 1e6
        lines.append(f"| {channels}, {size}x{size} | {macs:.1f} | {' | '.join(cells)} | {1e6 * taken['onnx']:.0f} |")
        print(lines[-1], flush=True)
    return lines


def networks(folder: Path) -> list[str]:
    """Return the table of networks."""
    names = list(BUILDS)
    lines = [
        "| network | batch | " + " | ".join(f"{name}: us an image, times ONNX Runtime" for name in names) + " | times torch |"
    ]
    lines.append("|---|---|" + "---|" * (len(names) + 1))
    for what, space, channels, side in NETWORKS:
        image = ImageFormat(channels, Size(side, side), 10, (0.3,) * channels, (0.4,) * channels)
        frozen, program = settled_network(build_space(Component(name=space)), image)
        run = session(write_onnx(program, Origin("", "")))
        for batch in (1, 100):
            pixels = torch.rand(batch, channels, side, side).mul(255).round().div(255)

            def by_torch(frozen: nn.Module = frozen, pixels: torch.Tensor = pixels) -> object:
                with torch.inference_mode():
                    return frozen(pixels)

            def by_onnx(run: onnxruntime.InferenceSession = run, given: object = pixels.numpy()) -> object:
                return run.run(None, {"pixels": given})

            calls = {name: compiled(program, flags, folder) for name, flags in BUILDS.items()}
            taken = seconds({**calls, "onnx": by_onnx, "torch": by_torch})
            other = {name: taken[name] / batch for name in ("onnx", "torch")}
            cells = [f"{1e6 * taken[name]:.0f}, {other['onnx'] / taken[name]:.1f}" for name in names]
            torch_ratio = other["torch"] / taken[names[0]]
            lines.append(f"| {space}, {what} | {batch} | {' | '.join(cells)} | {torch_ratio:.0f} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    print(conditions(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(["", *convolutions(Path(folder)), "", *networks(Path(folder))]))


if __name__ == "__main__":
    main()

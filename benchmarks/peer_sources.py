"""Binary convolutions of the open peers and ours as C for a Cortex-M: what `benchmarks.peer_kernels` compiles and runs.

Nothing of a peer is in this repository: sources are read where the user has cloned them, and what has to be mended is mended in
a copy in a temporary folder.

    3PXNet   https://github.com/nanocad-lab/3pxnet (MIT)
    CBin-NN  https://github.com/Edge-Learning-Machine/CBin-NN (no licence file: used in place, given to nobody)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.c_source import network_stages, write_c
from nas_service.deploy.c_stages import write_stages
from nas_service.deploy.c_tables import Tables
from nas_service.deploy.pointwise import Kind
from nas_service.deploy.program import BinaryConv, Shape, Window
from tests.nas_service.deploy.chips import EXACT
from tests.nas_service.deploy.programs import Maker

GUARD = 8192  # words behind every array: CBin-NN as published reads and writes past their ends
PXNET, CBIN = "3pxnet", "CBin-NN"
URLS = {PXNET: "https://github.com/nanocad-lab/3pxnet", CBIN: "https://github.com/Edge-Learning-Machine/CBin-NN"}
Bits = NDArray[np.bool_]

# What CBin-NN's functions compute wrong, mended: `a >> 5 + b` is `a >> (5 + b)` in C.
MENDED = (
    ("(in_row * in_dim + in_col) * in_ch_pad>>5 + l", "((in_row * in_dim + in_col) * in_ch_pad>>5) + l"),
    (
        "i * in_ch * ker_size * ker_size + (m * ker_size + n) * in_ch_pad>>5 + l",
        "((i * in_ch_pad * ker_size * ker_size + (m * ker_size + n) * in_ch_pad)>>5) + l",
    ),
    ("weight_idx = (m * ker_size + n) * in_ch_pad>>5 + l", "weight_idx = ((m * ker_size + n) * in_ch_pad>>5) + l"),
    ("next_filter = in_ch_pad>>5 * ker_size * ker_size", "next_filter = (in_ch_pad>>5) * ker_size * ker_size"),
    ("for (i = 0; i < out_ch_pad; i++)", "for (i = 0; i < out_ch_pad>>5; i++)"),
    ("int sum, pop_count;", "int sum, pop_count = 0;"),
)
_SHIMS = {"cstring": "#include <string.h>\n", "bnn_params.h": "", "Test_image.h": ""}


@dataclass(frozen=True)
class Layer:
    """One binary convolution, 3x3: bits to bits.

    Attributes:
        inputs: (H, W, C), whether a sign is +1.
        weights: (O, 3, 3, C), the same.
        limits: int (O,): an output is +1 where the sum is at least that.
        padding: 0: of the map as it is; 1: of a map with a ring around it, of -1 in ours, of nothing in the peers'.
    """

    inputs: Bits
    weights: Bits
    limits: NDArray[np.int64]
    padding: int

    @property
    def side(self) -> int:
        """Of the map that is made."""
        return len(self.inputs) + 2 * self.padding - 2

    def expected(self, ring: int) -> Bits:
        """Return the right bits (H, W, O), in whole numbers, where the ring of the padding is `ring`."""
        signs = np.pad(2 * self.inputs.astype(int) - 1, [(self.padding,) * 2] * 2 + [(0, 0)], constant_values=ring)
        windows = np.lib.stride_tricks.sliding_window_view(signs, (3, 3), (0, 1))
        sums = np.einsum("yxcij,oijc->yxo", windows, 2 * self.weights.astype(int) - 1)
        return np.asarray(sums >= self.limits)


@dataclass(frozen=True)
class Kernel:
    """A binary convolution as somebody has it.

    Attributes:
        name: For the page.
        write: Writes a layer's C into a folder: `kernel.c`, which is the program's, and returns what else is compiled, by flags.
        order: Whether the first channel is the least ("little") or the most ("big") significant bit.
        ring: Of its padding: -1, or 0 where positions outside are left out.
        peer: Whose it is; nothing: ours.
        mended: Whether it is not as its makers published it.
    """

    name: str
    write: Callable[[Layer, Path, Path], list[list[str]]]
    order: str = "little"
    ring: int = 0
    peer: str = ""
    mended: bool = False


def words(bits: Bits, order: str) -> NDArray[np.uint32]:
    """Return bits packed along the last axis, 32 a word."""
    packed = np.packbits(bits, axis=-1, bitorder="little" if order == "little" else "big")
    return np.ascontiguousarray(packed).view("<u4" if order == "little" else ">u4").astype(np.uint32).reshape(-1)


def _array(kind: str, name: str, values: NDArray[np.int64] | NDArray[np.uint32] | NDArray[np.float64]) -> str:
    numbers = ", ".join(f"(int)0x{value:08x}" if values.dtype == np.uint32 else f"{value}" for value in values.tolist())
    return f"{kind} {name}[{len(values) + GUARD}] = {{{numbers}}};"


# The chip's program (tests/nas_service/deploy/chip) runs "images" of one byte: 0 prepares, 1 is the call that is counted, 2 tells
# what came of it, as the bits of "logits".
_PROGRAM = """
#include <stdint.h>
#include <string.h>
@BEFORE@
int nn_run(void *arena, const unsigned char *image, float *logits);
int nn_run(void *arena, const unsigned char *image, float *logits)
{
  (void)arena;
  if (*image == 0) {
    @PREPARE@;
  } else if (*image == 1) {
    @CALL@;
  } else {
    memcpy(logits, @RESULT@, @BYTES@);
  }
  return 0;
}
"""


def _write_program(folder: Path, layer: Layer, **places: str) -> None:
    count = layer.side**2 * len(layer.weights) // 32
    places |= {"BYTES": f"{4 * count}"}
    text = _PROGRAM
    for place, value in places.items():
        text = text.replace(f"@{place}@", value)
    (folder / "kernel.c").write_text(text, encoding="utf-8")
    header = f"#define NN_CLASSES {count}\n#define NN_ARENA_BYTES 8\n#define NN_IMAGE_BYTES 1\n"
    header += "int nn_run(void *arena, const unsigned char *image, float *logits);\n"
    (folder / "network.h").write_text(header, encoding="utf-8")


def _ours(layer: Layer, folder: Path, _: Path) -> list[list[str]]:
    """Write a network of ours that has this layer; its stage is called as `nn_run` calls it, through its record."""
    side, _, channels = layer.inputs.shape
    maker = Maker(Shape(side, side, 1))
    signs = maker.stem(channels, Window(1, 1, 0))
    conv = BinaryConv(layer.weights, 1, Window(3, 1, layer.padding), pads_plus=False)
    shape = Shape(layer.side, layer.side, len(layer.weights))
    ones, offsets = np.ones(shape.channels, np.float32), (-layer.limits).astype(np.float32)
    at = maker.point(maker.add(conv, (signs,), shape), Kind.AFFINE, ones, offsets)
    program = maker.finish(maker.norm(maker.conv(at, 16, Window(1, 1, 0))))
    stages = network_stages(program)
    room = write_stages(stages, program.image, Tables()).room
    code, inner = write_c(program, "", ""), folder / "ours"
    inner.mkdir()
    (inner / "network.c").write_text(code.source, encoding="utf-8")
    (inner / "network.h").write_text(code.header, encoding="utf-8")
    before = [
        "#define nn_run layer_run",
        '#include "ours/network.c"',
        "#undef nn_run",
        f"static uint64_t maps[{code.arena_bytes // 8 + 1}];",
        "static volatile unsigned stage = 1; /* not known to the compiler: as shipped, a stage is called by its record */",
        _array("static const int", "inputs", words(layer.inputs, "little")),
    ]
    source, result = (f"(uint8_t *)maps + {room.places[stages[place].output].offset}" for place in (0, 1))
    _write_program(
        folder,
        layer,
        BEFORE="\n".join(before),
        PREPARE=f"memcpy({source}, inputs, {layer.inputs.size // 8})",
        CALL="nn_stages[stage].run(&nn_stages[stage], (float *)maps)",
        RESULT=result,
    )
    return [[*EXACT, "-Wno-unused-function", str(folder / "kernel.c")]]


def _pxnet(defines: tuple[str, ...]) -> Callable[[Layer, Path, Path], list[list[str]]]:
    def write(layer: Layer, folder: Path, peers: Path) -> list[list[str]]:
        base = peers / PXNET / "3pxnet-inference"
        side, _, channels = layer.inputs.shape
        outputs = len(layer.weights)
        before = [
            '#include "xnor_cn.h"',
            _array("static int32_t", "inputs", words(layer.inputs, "big")),
            _array("static int32_t", "weights", words(layer.weights, "big")),
            _array("static float", "limits", layer.limits),
            _array("static int32_t", "rises", np.full(outputs // 32, 2**32 - 1, np.uint32)),
            f"static int32_t result[{GUARD}];",
        ]
        sizes = f"{channels}, {side}, {side}, {channels}, 3, 3, {outputs}"
        call = f"CnXnorWrap(inputs, weights, {sizes}, result, {layer.padding}, 1, limits, rises)"
        _write_program(folder, layer, BEFORE="\n".join(before), PREPARE="", CALL=call, RESULT="result")
        flags = ["-std=gnu11", *(f"-I{base / name}" for name in ("util", "xnor")), "-DPCK32", "-DARCH32", "-DGCC", *defines]
        return [[*flags, str(folder / "kernel.c")], [*flags, str(base / "xnor" / "xnor_cn.c")]]

    return write


def _cbin(function: str, *, mended: bool) -> Callable[[Layer, Path, Path], list[list[str]]]:
    def write(layer: Layer, folder: Path, peers: Path) -> list[list[str]]:
        source = peers / CBIN / "Operators"
        for name, text in _SHIMS.items():
            (folder / name).write_text(text, encoding="utf-8")
        text = (source / f"{function}.c").read_text(encoding="utf-8")
        for wrong, right in MENDED if mended else ():
            text = text.replace(wrong, right)
        (folder / "peer.c").write_text(text, encoding="utf-8")
        side, _, channels = layer.inputs.shape
        before = [
            f"void {function}(int *, int, int, int, int, int, int, int, int *, int *, float *, int *);",
            _array("static int", "inputs", words(layer.inputs, "little")),
            _array("static int", "weights", words(layer.weights, "little")),
            _array("static float", "limits", -layer.limits),
            f"static int result[{GUARD}];",
        ]
        sizes = f"{len(layer.weights)}, {layer.side}, {channels}, {side}, 3, 1, {layer.padding}"
        call = f"{function}(result, {sizes}, 0, weights, limits, inputs)"
        _write_program(folder, layer, BEFORE="\n".join(before), PREPARE="", CALL=call, RESULT="result")
        flags = ["-std=gnu11", f"-I{folder}", f"-I{source}", "-w"]
        return [[*flags, str(folder / "kernel.c")], [*flags, str(folder / "peer.c")]]

    return write


OURS = Kernel("ours", _ours, ring=-1)
KERNELS = (
    OURS,
    Kernel("3PXNet `CnXnorWrap`, `__builtin_popcountl`", _pxnet(()), "big", peer=PXNET),
    Kernel("3PXNet `CnXnorWrap`, its own popcount (`PCNTSW`)", _pxnet(("-DPCNTSW",)), "big", peer=PXNET),
    *(
        Kernel(f"CBin-NN `{name}`, {how}", _cbin(name, mended=mended), peer=CBIN, mended=mended)
        for how, mended in (("as published", False), ("mended", True))
        for name in ("BBConv2D", "BBConv2D_Optimized")
    ),
)

"""Code size: an estimate of what the generated functions take on a Cortex-M4 (`arm-none-eabi-gcc -Os`, Thumb-2). No torch.

What the compiler makes of it depends on its version; constants do not. `python -m benchmarks.c_code_size` compiles networks and
fits the bytes of the pieces anew.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from nas_service.deploy.c_layout import patch_words
from nas_service.deploy.c_popcount import chunks, differ_function
from nas_service.deploy.constants import dot_sizes
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import (
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
    RealConv,
    Stem,
)
from nas_service.deploy.sign_bits import SignBits, is_depthwise
from nas_service.deploy.stages import Stage, Tail
from nas_service.deploy.thresholds import Thresholds

_NAMES: dict[type, str] = {
    AvgPool: "average pool",
    Concat: "copy",
    Flatten: "flatten",
    Gather: "gathered channels",
    GlobalMean: "global mean",
    GroupMean: "group mean",
    Linear: "linear",
    Magnitude: "magnitude",
    MaxPool: "max pool",
    NonLocalMean: "non-local mean",
    RealConv: "real conv",
    Stem: "stem",
}
# Fitted to 140 networks, arm-none-eabi-gcc 12.2.1 -Os, before signs of floats were stored; `signs` is a guess. Those of int8
# are by difference: seven networks with such weights and without.
BYTES = {
    "adder": 7.2,
    "average pool": 345.0,
    "base": 202.5,
    "columns": 203.2,
    "conv": 341.9,
    "conv to bits": 462.2,
    "conv with sums": 406.0,
    "copy": 9.8,
    "depthwise": 196.8,
    "depthwise with sums": 483.3,
    "dot": 2.4,
    "flatten": 114.5,
    "gather": 209.9,
    "gathered channels": 113.5,
    "global mean": 14.9,
    "group mean": 171.1,
    "linear": 77.7,
    "linear of int8": 80.0,
    "magnitude": 497.3,
    "max pool": 283.3,
    "max pool of bits": 243.6,
    "non-local mean": 444.5,
    "ones": 74.5,
    "pack": 287.5,
    "pack-bits": 192.2,
    "pad": 120.3,
    "pointwise": 103.1,
    "positional": 446.0,
    "real conv": 348.2,
    "signs": 80.0,
    "depthwise to bits": 280.0,
    "statement": 23.4,
    "stem": 141.9,
    "stem of int8": 98.0,
    "tail": 2.4,
    "to-bits": 226.5,
}
_STATEMENTS = {Kind.AFFINE: 2, Kind.CLIP: 2, Kind.MAXOUT: 5}  # of a tail; others have one


def pieces(stages: Sequence[Stage]) -> Counter[str]:
    """Return how often each piece of code is written for a network's stages: what stages share is written once."""
    found: set[tuple[str, ...]] = set()
    differ: set[tuple[int, int]] = set()
    dots: set[tuple[int, int]] = set()
    for stage in stages:
        head, done = _head(stage), (*_tail_names(stage.tail), *(["signs"] if isinstance(stage.bits, Thresholds) else []))
        found.add((head, *done))
        if isinstance(stage.bits, Thresholds) or stage.thresholds is not None:
            found.add(("signs",))
        if done:
            found.add(("tail", "int" if isinstance(stage.head, BinaryConv) else "float", *done))
        if isinstance(stage.head, BinaryConv):
            found |= {("pad",), ("pack" if stage.thresholds is not None else "pack-bits",)}
            found |= {("to-bits",)} if isinstance(stage.bits, SignBits) else set()
            found |= {("columns",)} if is_depthwise(stage.head) else set()
            found |= {("ones",)} if head == "conv with sums" else set()
            if head.startswith("conv"):
                found.add(("gather",))
                words = patch_words(stage.head)
                dots |= {(words, lanes) for lanes in dot_sizes(stage.head)}
                differ |= {(size, lanes) for size in chunks(words) for lanes in dot_sizes(stage.head)}
    counted: Counter[str] = Counter({"base": 1, "dot": len(dots), "adder": sum(_adders(*size) for size in differ)})
    for head, *tail in found:
        counted[head] += 1
        counted["statement"] += sum(_statements(name) for name in tail) if head == "tail" else 0
    return counted


def _tail_names(tail: Tail) -> tuple[str, ...]:
    """Return what a tail does, in order."""
    return tuple(
        entry.kind.value if isinstance(entry, Pointwise) else "times-map" if entry.multiplies else "plus-map" for entry in tail
    )


def _statements(name: str) -> int:
    return _STATEMENTS.get(Kind(name), 1) if name in set(Kind) else 1


@lru_cache(maxsize=1000)
def _adders(words: int, lanes: int) -> int:
    return differ_function(words, lanes).count("\n")


def _head(stage: Stage) -> str:
    """Return the piece that a stage begins with."""
    if stage.head is None:
        return "pointwise"
    if not isinstance(stage.head, BinaryConv):
        is_int8 = isinstance(stage.head, Stem | Linear) and stage.head.is_int8
        return _NAMES[type(stage.head)] + (" of bits" if isinstance(stage.bits, SignBits) else " of int8" if is_int8 else "")
    if is_depthwise(stage.head):
        name = "depthwise to bits" if isinstance(stage.bits, SignBits) else "depthwise"
    elif stage.head.kernel_scale is not None:
        return "positional"
    else:
        name = "conv to bits" if isinstance(stage.bits, SignBits) else "conv"
    return name + (" with sums" if stage.head.sums is not None else "")


def code_bytes(stages: Sequence[Stage]) -> int:
    """Return an estimate of the bytes of machine code of a network's stages."""
    return round(sum(BYTES[piece] * count for piece, count in pieces(stages).items()))

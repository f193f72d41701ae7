"""Instructions: an estimate of how many a Cortex-M4 executes for one image (`arm-none-eabi-gcc -Os`, Thumb-2). No torch.

Loops of the generated C are counted, each as often as it is run, and weighed with instructions a turn. What the compiler makes
of a loop depends on its version, and what a branch does on the image. `python -m benchmarks.c_instructions` runs networks under
QEMU and fits the weights anew. Instructions are no cycles: a float division takes 14 of them, and flash has wait states.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import ceil, prod

from nas_service.deploy.c_layout import bit_groups, group_bytes, patch_words
from nas_service.deploy.c_popcount import LANES, chunks, differ_function
from nas_service.deploy.constants import dot_sizes
from nas_service.deploy.memory import Room
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
    Shape,
    Stem,
    Window,
)
from nas_service.deploy.sign_bits import SignBits, is_depthwise
from nas_service.deploy.stages import Stage
from nas_service.deploy.thresholds import Thresholds

# Fitted to 126 networks, arm-none-eabi-gcc 12.2.1 -Os, QEMU 7.2; `second side` is in none of them. Loops of
# int8 are fitted to the difference that such weights make in seven networks, those of a pool of bits to four programs.
INSTRUCTIONS = {
    "bend": 7.14,
    "bits byte": 10.00,
    "bits tap": 12.49,
    "block": 24.89,
    "column lane": 5.51,
    "column level": 12.93,
    "column tap": 8.99,
    "columns": 7.97,
    "copied": 0.00,
    "gathered": 39.35,
    "gathered rest": 0.00,
    "gathered word": 14.19,
    "image": 785.20,
    "int8 product": 13.33,
    "int8 stem output": 13.26,
    "int8 stem product": 4.59,
    "laid byte": 0.49,
    "laid row": 16.15,
    "lane": 8.44,
    "largest": 11.64,
    "line": 0.94,
    "magnitude": 83.22,
    "magnitude tap": 809.17,
    "mean": 12.76,
    "mixed": 256.52,
    "moment": 0.00,
    "moved": 8.71,
    "number": 0.00,
    "ones": 33.99,
    "output": 32.88,
    "packed pixel": 38.11,
    "padded byte": 3.66,
    "patch": 27.93,
    "pool tap": 17.73,
    "pooled": 10.12,
    "positional byte": 37.50,
    "positional tap": 142.30,
    "product": 14.85,
    "real product": 130.09,
    "real tap": 130.09,
    "second side": 8.00,
    "sign": 16.24,
    "stage": 223.02,
    "statement": 4.13,
    "stem output": 86.90,
    "stem product": 6.12,
    "stem tap": 18.25,
    "summed": 9.32,
    "tail": 36.89,
    "to bits": 19.40,
    "word": 4.82,
}
_STATEMENTS = {Kind.AFFINE: 2, Kind.CLIP: 0, Kind.RELU: 0, Kind.PRELU: 1, Kind.MAXOUT: 4}  # of a tail; others have one
_BENDS = {Kind.CLIP: 2, Kind.RELU: 1, Kind.PRELU: 1, Kind.MAXOUT: 1}  # comparisons of a tail


def executed(stages: Sequence[Stage], room: Room) -> Counter[str]:
    """Return how often each kind of loop is run for one image; `room` tells which concatenations are copied."""
    shapes = {stage.output: stage.shape for stage in stages}
    levels = max((_levels(stage.head) for stage in stages if isinstance(stage.head, BinaryConv)), default=1)
    found: Counter[str] = Counter(image=1)
    for stage in stages:
        found["stage"] += 1
        source = shapes[stage.inputs[0]] if stage.inputs else stage.shape
        if isinstance(stage.head, BinaryConv):
            found.update(_conv(stage, stage.head, source, levels))
        elif isinstance(stage.head, Concat):
            moved = zip(stage.inputs, room.copies[stage.output], strict=True)
            found["copied"] += sum(shapes[step].floats for step, is_there in moved if not is_there)
        else:
            found.update(_other(stage, source))
        if stage.tail or isinstance(stage.bits, Thresholds) or isinstance(stage.head, Stem | RealConv):
            found.update(_tail(stage))
    return found


def instructions(stages: Sequence[Stage], room: Room) -> int:
    """Return an estimate of the instructions of one image."""
    return round(sum(INSTRUCTIONS[kind] * count for kind, count in executed(stages, room).items()))


def _tail(stage: Stage) -> dict[str, int]:
    """Return what happens to each number once it is computed."""
    kinds = [entry.kind for entry in stage.tail if isinstance(entry, Pointwise)]
    others = len(stage.tail) - len(kinds)
    floats, blocks = stage.shape.floats, stage.shape.pixels * ceil(stage.shape.channels / LANES[0])
    is_single = isinstance(stage.head, RealConv) or (isinstance(stage.head, BinaryConv) and stage.head.kernel_scale is not None)
    return {
        "tail": floats if is_single else blocks,
        "number": floats,
        "statement": floats * (sum(_STATEMENTS.get(kind, 1) for kind in kinds) + others),
        "bend": floats * sum(_BENDS.get(kind, 0) for kind in kinds),
        "sign": floats if isinstance(stage.bits, Thresholds) else 0,
    }


def _conv(stage: Stage, conv: BinaryConv, source: Shape, levels: int) -> dict[str, int]:
    """Return what a binary convolution takes before its tail: laying its bits, and counting those that differ."""
    groups, own = bit_groups(conv), group_bytes(conv, source.channels)
    sides = [side + 2 * conv.window.padding for side in (source.height, source.width)]
    laid = {
        "padded byte": prod(sides) * groups * own if conv.window.padding else 0,
        "packed pixel": source.pixels * groups if stage.thresholds is not None else 0,
        "sign": source.floats if stage.thresholds is not None else 0,
        "laid byte": source.pixels * ceil(source.channels / 8) if stage.thresholds is None else 0,
        "laid row": source.height if groups * own == ceil(source.channels / 8) else source.pixels,
        "to bits": stage.shape.floats if isinstance(stage.bits, SignBits) else 0,
        "second side": stage.shape.floats if _is_two_sided(stage) else 0,
    }
    if is_depthwise(conv):
        return laid | _columns(conv, stage.shape, levels)
    if conv.kernel_scale is not None:
        taps = stage.shape.floats * conv.window.size**2
        return laid | {"positional tap": taps, "positional byte": taps * own, "output": stage.shape.floats}
    return laid | _dots(conv, stage.shape, own)


def _is_two_sided(stage: Stage) -> bool:
    if not (isinstance(stage.bits, SignBits) and isinstance(stage.head, BinaryConv)):
        return False
    return bool((stage.bits.least <= stage.head.fan_in).any())


def _levels(conv: BinaryConv) -> int:
    return prod(conv.bits.shape[1:3]).bit_length() if is_depthwise(conv) else 1


def _columns(conv: BinaryConv, shape: Shape, levels: int) -> dict[str, int]:
    """Return what counts the columns of a depthwise convolution."""
    calls = shape.pixels * ceil(shape.channels / LANES[0]) * (1 if conv.sums is None else 2)
    taps = calls * prod(conv.bits.shape[1:3])
    return {"columns": calls, "column tap": taps, "column level": taps * levels, "column lane": calls * LANES[0] * levels}


def _dots(conv: BinaryConv, shape: Shape, own: int) -> dict[str, int]:
    """Return what gathers patches and counts their bits, all outputs of a pixel after each other."""
    window, words = conv.window, patch_words(conv)
    outputs = len(conv.bits) // conv.groups
    full, rest = divmod(outputs, LANES[0])
    lanes = full * LANES[0] + (dot_sizes(conv)[-1] if rest else 0)
    blocks = full + bool(rest)
    patches = shape.pixels * conv.groups
    is_whole = window.dilation == 1 and conv.groups == 1
    lies_there = is_whole and own % 4 == 0 and window.size == 1
    copied = 0 if lies_there else patches * (window.size if is_whole else window.size**2)
    size = own * (window.size if is_whole else 1)
    return {
        "patch": patches,
        "gathered": copied,
        "gathered word": copied * (size // 4),
        "gathered rest": copied * (size % 4),
        "block": patches * blocks,
        "lane": patches * lanes,
        "word": patches * lanes * words,
        "line": patches * lanes * _lines(words, LANES[0]),
        "ones": 0 if conv.sums is None else patches * blocks * words,
    }


@lru_cache(maxsize=1000)
def _lines(words: int, lanes: int) -> int:
    """Return how many lines the functions have that count the differing bits of so many words."""
    return sum(differ_function(size, lanes).count("\n") for size in chunks(words))


def _inside(source: Shape, shape: Shape, window: Window) -> int:
    """Return how many positions all windows see together that are not padding."""
    sums = []
    for side, out in ((source.height, shape.height), (source.width, shape.width)):
        starts = [at * window.stride - window.padding for at in range(out)]
        sums.append(sum(0 <= start + tap * window.dilation < side for start in starts for tap in range(window.size)))
    return prod(sums)


def _other(stage: Stage, source: Shape) -> dict[str, int]:  # noqa: C901, PLR0911 - one case a kind of head
    """Return what a head takes that is no binary convolution."""
    shape = stage.shape
    blocks = ceil(shape.channels / LANES[0])
    match stage.head:
        case Stem(weight=weight, is_int8=is_int8):
            taps, kind = shape.pixels * prod(weight.shape[1:]), "int8 stem" if is_int8 else "stem"
            return {"stem tap": taps, f"{kind} product": taps * shape.channels, f"{kind} output": shape.floats}
        case RealConv(weight=weight, window=window):
            seen = _inside(source, shape, window) * shape.channels
            return {"real tap": seen, "real product": seen * weight.shape[3], "output": shape.floats}
        case MaxPool(window=window) | AvgPool(window=window):
            seen = _inside(source, shape, window)
            if stage.bits is not None:
                return {"bits tap": seen, "bits byte": seen * ceil(shape.channels / 8), "pooled": shape.pixels}
            name = "largest" if isinstance(stage.head, MaxPool) else "summed"
            return {
                "pool tap": seen * blocks,
                name: seen * shape.channels,
                "pooled": shape.pixels * blocks,
                "number": shape.floats,
            }
        case Magnitude(groups=groups, window=window):
            seen = _inside(source, shape, window)
            return {"magnitude tap": seen * groups, "magnitude": seen * source.channels}
        case NonLocalMean():
            channels = shape.channels
            return {"moment": channels * (channels + 1) // 2 * shape.pixels, "mixed": channels**2 * shape.pixels}
        case GlobalMean():
            return {"mean": source.floats}
        case GroupMean(groups=groups):
            return {"mean": shape.floats * groups, "number": shape.floats}
        case Gather() | Flatten():
            return {"moved": shape.floats}
        case Linear(weight=weight):
            return {"product" if stage.head.step is None else "int8 product": weight.size}
        case _:
            return {}

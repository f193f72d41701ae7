"""Instructions: an estimate of how many a Cortex-M4 executes for one image (`arm-none-eabi-gcc -Os`, Thumb-2). No torch.

Loops of the generated C are counted, each as often as it is run, and weighed with instructions a turn. What the compiler makes
of a loop depends on its version, and what a branch does on the image. `python -m benchmarks.c_instructions` runs networks under
QEMU and fits the weights anew. Instructions are no cycles: a float division takes 14 of them, and flash has wait states.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil, prod

from nas_service.deploy.c_layout import bit_groups, group_bytes, patch_words
from nas_service.deploy.c_popcount import LANES, chunks, differ_function
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
    Shape,
    Stem,
    Window,
)
from nas_service.deploy.sign_bits import SignBits, is_depthwise
from nas_service.deploy.stages import Stage
from nas_service.deploy.thresholds import Thresholds

INSTRUCTIONS = {
    "bend": 16.56,
    "block": 10.28,
    "column lane": 13.08,
    "column level": 7.78,
    "column tap": 5.56,
    "columns": 5.10,
    "copied": 1.30,
    "gathered": 5.20,
    "gathered rest": 0.00,
    "gathered word": 9.90,
    "image": 121844.76,
    "laid byte": 2.51,
    "laid row": 9.60,
    "lane": 10.63,
    "largest": 5.01,
    "line": 0.00,
    "magnitude": 118.76,
    "magnitude tap": 570.25,
    "mean": 0.00,
    "mixed": 231.97,
    "moment": 122.57,
    "number": 0.00,
    "ones": 35.16,
    "output": 43.55,
    "packed pixel": 34.66,
    "padded byte": 1.40,
    "patch": 11.16,
    "pool tap": 14.84,
    "pooled": 6.17,
    "positional byte": 45.48,
    "positional tap": 118.88,
    "product": 0.00,
    "real product": 34.98,
    "real tap": 34.98,
    "second side": 5.00,
    "sign": 26.50,
    "stage": 170.56,
    "statement": 4.02,
    "stem output": 26.55,
    "stem product": 9.81,
    "stem tap": 14.82,
    "summed": 3.49,
    "tail": 31.49,
    "to bits": 37.83,
    "word": 10.10,
}
_STATEMENTS = {Kind.AFFINE: 2, Kind.CLIP: 0, Kind.RELU: 0, Kind.PRELU: 1, Kind.MAXOUT: 4}  # of a tail; others have one
_BENDS = {Kind.CLIP: 2, Kind.RELU: 1, Kind.PRELU: 1, Kind.MAXOUT: 1}  # comparisons of a tail


def executed(stages: Sequence[Stage], copies: Mapping[int, Sequence[bool]]) -> Counter[str]:
    """Return how often each kind of loop is run for one image.

    Args:
        stages: Of a network.
        copies: Concatenations, by number: which of their parts lie there already (`memory.Room`).
    """
    shapes = {stage.output: stage.shape for stage in stages}
    levels = max((_levels(stage.head) for stage in stages if isinstance(stage.head, BinaryConv)), default=1)
    found: Counter[str] = Counter(image=1)
    for stage in stages:
        found["stage"] += 1
        source = shapes[stage.inputs[0]] if stage.inputs else stage.shape
        if isinstance(stage.head, BinaryConv):
            found.update(_conv(stage, stage.head, source, levels))
        elif isinstance(stage.head, Concat):
            moved = zip(stage.inputs, copies[stage.output], strict=True)
            found["copied"] += sum(shapes[step].floats for step, is_there in moved if not is_there)
        else:
            found.update(_other(stage, source))
        if stage.tail or isinstance(stage.bits, Thresholds) or isinstance(stage.head, Stem | RealConv):
            found.update(_tail(stage))
    return found


def instructions(stages: Sequence[Stage], copies: Mapping[int, Sequence[bool]]) -> int:
    """Return an estimate of the instructions of one image; arguments as of `executed`."""
    return round(sum(INSTRUCTIONS[kind] * count for kind, count in executed(stages, copies).items()))


def _tail(stage: Stage) -> dict[str, float]:
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


def _conv(stage: Stage, conv: BinaryConv, source: Shape, levels: int) -> dict[str, float]:
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


def _columns(conv: BinaryConv, shape: Shape, levels: int) -> dict[str, float]:
    """Return what counts the columns of a depthwise convolution."""
    calls = shape.pixels * ceil(shape.channels / LANES[0]) * (1 if conv.sums is None else 2)
    taps = calls * prod(conv.bits.shape[1:3])
    return {"columns": calls, "column tap": taps, "column level": taps * levels, "column lane": calls * LANES[0] * levels}


def _dots(conv: BinaryConv, shape: Shape, own: int) -> dict[str, float]:
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


def _other(stage: Stage, source: Shape) -> dict[str, float]:
    """Return what a head takes that is no binary convolution."""
    shape = stage.shape
    blocks = ceil(shape.channels / LANES[0])
    match stage.head:
        case Stem(weight=weight):
            taps = shape.pixels * prod(weight.shape[1:])
            return {"stem tap": taps, "stem product": taps * shape.channels, "stem output": shape.floats}
        case RealConv(weight=weight, window=window):
            seen = _inside(source, shape, window) * shape.channels
            return {"real tap": seen, "real product": seen * weight.shape[3], "output": shape.floats}
        case MaxPool(window=window) | AvgPool(window=window):
            seen = _inside(source, shape, window)
            if stage.bits is not None:
                return {"bits tap": seen, "bits byte": seen * ceil(shape.channels / 8), "pooled": shape.pixels}
            name = "largest" if isinstance(stage.head, MaxPool) else "summed"
            return {"pool tap": seen * blocks, name: seen * shape.channels, "pooled": shape.pixels * blocks, "number": shape.floats}
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
            return {"product": weight.size}
        case _:
            return {}

"""Constants: how many bytes of them the C of a network's stages holds, counted from their shapes. No torch.

Arrays that are equal whatever is trained are one: indices of channels, bounds of clips, and thresholds of a sign that no
constant stands before. All others are counted each.
"""

from collections.abc import Sequence
from math import ceil, prod

import numpy as np

from nas_service.deploy.c_layout import bit_groups, group_bytes, patch_words
from nas_service.deploy.c_popcount import LANES
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import BinaryConv, Gather, Linear, RealConv, Stem
from nas_service.deploy.sign_bits import SignBits, is_depthwise
from nas_service.deploy.stages import Stage
from nas_service.deploy.thresholds import Thresholds

_FLOAT = 4
_COUNT = 2


def constant_bytes(stages: Sequence[Stage]) -> int:
    """Return the bytes of the constants of a network's stages."""
    shapes = {stage.output: stage.shape for stage in stages}
    shared: dict[object, int] = {}
    total = 0
    for stage in stages:
        total += _tail_bytes(stage, shared)
        if isinstance(stage.head, BinaryConv):
            total += _conv_bytes(stage.head, shapes[stage.inputs[0]].channels)
            if stage.thresholds is not None:
                flips = bit_groups(stage.head) * group_bytes(stage.head, shapes[stage.inputs[0]].channels)
                total += _threshold_bytes(stage.thresholds, flips, shared)
        else:
            total += _head_bytes(stage, shared)
        if isinstance(stage.bits, Thresholds):
            total += _threshold_bytes(stage.bits, ceil(stage.shape.channels / 8), shared)
        elif stage.bits is not None:
            total += _bits_bytes(stage, stage.bits)
    return total + sum(shared.values())


def _tail_bytes(stage: Stage, shared: dict[object, int]) -> int:
    """Return the bytes of a tail's constants; bounds of clips, which are no parameters, go into `shared`."""
    total = 0
    for entry in stage.tail:
        if isinstance(entry, Pointwise) and entry.kind is Kind.CLIP:
            shared.update({("bound", bound.tobytes()): _FLOAT * len(bound) for bound in entry.constants})
        elif isinstance(entry, Pointwise):
            total += sum(_FLOAT * len(values) for values in entry.constants)
    return total


def dot_sizes(conv: BinaryConv) -> list[int]:
    """Return how many lanes are counted at once: of full blocks of outputs, and of the rest of a group."""
    rest = len(conv.bits) // conv.groups % LANES[0]
    full = [LANES[0]] if len(conv.bits) // conv.groups >= LANES[0] else []
    return [*full, *([min(lanes for lanes in LANES if lanes >= rest)] if rest else [])]


def _conv_bytes(conv: BinaryConv, channels: int) -> int:
    sums = 0 if conv.sums is None else sum(_FLOAT * len(values) for values in conv.sums)
    if is_depthwise(conv):
        return sums + prod(conv.bits.shape[1:3]) * group_bytes(conv, channels)
    if conv.kernel_scale is not None:
        return sums + prod(conv.bits.shape[:3]) * group_bytes(conv, channels) + _FLOAT * conv.kernel_scale.size
    outputs, sizes = len(conv.bits) // conv.groups, dot_sizes(conv)
    lanes = outputs // LANES[0] * LANES[0] + (sizes[-1] if outputs % LANES[0] else 0)
    return sums + conv.groups * lanes * patch_words(conv) * 4


def _threshold_bytes(thresholds: Thresholds, flips_bytes: int, shared: dict[object, int]) -> int:
    """Return the bytes of a sign's thresholds; those that do not depend on constants go into `shared`."""
    limit, falls = thresholds.limit, thresholds.falls
    limits = _FLOAT * len(limit)
    flips = flips_bytes if bool((falls ^ (limit == np.inf)).any()) else 0
    if bool(np.isnan(limit).any()):
        return limits + flips
    shared["limits", limit.tobytes()] = limits
    shared["flips", flips_bytes, falls.tobytes()] = flips
    return 0


def _bits_bytes(stage: Stage, bits: SignBits) -> int:
    flips = ceil(stage.shape.channels / 8) if bool(bits.flips.any()) else 0
    if not isinstance(stage.head, BinaryConv):
        return flips  # a maximum of signs compares nothing
    sides = 2 if bool((bits.least <= stage.head.fan_in).any()) else 1
    return sides * _COUNT * stage.shape.channels + flips


def _head_bytes(stage: Stage, shared: dict[object, int]) -> int:
    match stage.head:
        case Stem(weight=weight, mean=mean, step=step, is_int8=is_int8):
            weights = ceil(len(weight) / LANES[0]) * LANES[0] * prod(weight.shape[1:])
            return (1 if is_int8 else 4) * weights + 4 * len(mean) + _FLOAT * len(step)
        case RealConv(weight=weight):
            return _FLOAT * weight.size
        case Linear(weight=weight, bias=bias, step=step) if step is not None:
            return weight.size + _FLOAT * (bias.size + step.size)
        case Linear(weight=weight, bias=bias):
            return _FLOAT * (weight.size + bias.size)
        case Gather(index=index):
            shared["gather", index.tobytes()] = _COUNT * len(index)
    return 0

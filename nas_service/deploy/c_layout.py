"""Layout of bits and weights in generated C, and the room that each stage takes for itself."""

from math import ceil
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.c_popcount import LANES
from nas_service.deploy.program import BinaryConv, NonLocalMean, Shape, Stem
from nas_service.deploy.sign_bits import is_depthwise
from nas_service.deploy.stages import Stage

_Whole = TypeVar("_Whole", np.int8, np.int32)
_TILE = 4  # pixels at a time, at most: as head.c says


def group_bytes(conv: BinaryConv, channels: int) -> int:
    """Return how many bytes hold the bits of a pixel's group of channels."""
    return 4 * ceil(channels / 32) if is_depthwise(conv) else ceil(channels / conv.groups / 8)


def bit_groups(conv: BinaryConv) -> int:
    """Return into how many groups a pixel's bits are parted."""
    return 1 if is_depthwise(conv) else conv.groups


def patch_words(conv: BinaryConv) -> int:
    """Return how many words hold the bits under a window."""
    bits = int(conv.bits.shape[3])
    return -(-(conv.window.size**2 * -(-bits // 8)) // 4)


def scratch_bytes(stage: Stage, source: Shape | None) -> int:
    """Return what a stage needs beside its maps."""
    match stage.head:
        case BinaryConv() as conv:
            assert source is not None  # noqa: S101 - for the type checker; it has an input
            bits, patch = conv_scratch(conv, source)
            return bits + patch
        case Stem(weight=weight):
            return 4 * int(np.prod(weight.shape[1:]))
        case NonLocalMean():
            return 8 * stage.shape.channels**2
        case _:
            return 0


def conv_scratch(conv: BinaryConv, source: Shape) -> tuple[int, int]:
    """Return the bytes of the padded signs of a map, and of the patches that are gathered from them."""
    height, width = (side + 2 * conv.window.padding for side in (source.height, source.width))
    bits = height * width * bit_groups(conv) * group_bytes(conv, source.channels)
    is_patched = conv.kernel_scale is None and not is_depthwise(conv)
    return 8 * ceil(bits / 8), 4 * _TILE * patch_words(conv) if is_patched else 0


def packed_bits(bits: NDArray[np.bool_], per_row: int) -> NDArray[np.uint8]:
    """Pack the last axis, least significant bit first, into so many bytes."""
    packed = np.packbits(bits, axis=-1, bitorder="little")
    room = np.zeros((*packed.shape[:-1], per_row), np.uint8)
    room[..., : packed.shape[-1]] = packed
    return room


def by_lanes(weight: NDArray[_Whole]) -> NDArray[_Whole]:
    """Return weights (O, k, k, C) as [block of lanes][tap][lane]; outputs that fill up the last block are zeros."""
    taps = weight.reshape(len(weight), -1)
    blocks = ceil(len(taps) / LANES[0])
    room = np.zeros((blocks * LANES[0], taps.shape[1]), weight.dtype)
    room[: len(taps)] = taps
    return np.ascontiguousarray(room.reshape(blocks, LANES[0], -1).transpose(0, 2, 1))


def stem_weights(stem: Stem) -> NDArray[np.int32] | NDArray[np.int8]:
    """Return the whole numbers of a stem's grid, by lanes, in 8 bits or in 32."""
    assert bool((np.abs(stem.weight) < (2**7 if stem.is_int8 else 2**31)).all())  # noqa: S101 - by the definition of its grid
    return by_lanes(stem.weight.astype(np.int8)) if stem.is_int8 else by_lanes(stem.weight.astype(np.int32))

"""Sign bits: maps that are read by signs alone are stored as those signs, one bit a number.

A binary convolution makes a whole number n of K + 1 possible ones. Where what follows it is pointwise and ends in a sign, all of
them are tried: the sign is +1 where n is at least `high`, or at most `low` (a PReLU with a negative slope, say, falls and
rises), or everywhere else. The numbers themselves are the judge, so nothing is rounded that the network does not round. A
maximum of such numbers is the OR of their comparisons: `max(n) >= high` where any n is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.pointwise import Pointwise
from nas_service.deploy.program import BinaryConv, MaxPool, Stem
from nas_service.deploy.stages import Stage
from nas_service.deploy.thresholds import Thresholds

Counts = NDArray[np.int32]
_DEPTHWISE_MOST = 63  # positions that six counters' bits count


@dataclass(frozen=True, eq=False)
class SignBits:
    """When a stage's number, of d differing bits in K, is stored as a 1: d <= most or d >= least, or neither where it flips.

    Attributes:
        most: int32 (C,); -1: never.
        least: int32 (C,); K + 1: never.
        flips: bool (C,).
    """

    most: Counts
    least: Counts
    flips: NDArray[np.bool_]


def is_depthwise(conv: BinaryConv) -> bool:
    """Return whether a convolution sees one channel an output and is counted by bits of 32 counters at once."""
    few = conv.bits.shape[1] * conv.bits.shape[2] <= _DEPTHWISE_MOST
    return len(conv.bits) == conv.groups and conv.bits.shape[3] == 1 and conv.groups > 1 and few and conv.kernel_scale is None


def store_signs(stages: Sequence[Stage], find: Callable[[Stage, Thresholds], SignBits | None] | None = None) -> list[Stage]:
    """Return stages of which those that only signs read store signs; what reads them takes no thresholds any more.

    Args:
        stages: Of a network.
        find: Tells when a stage's number is a 1, if that can be stored, for a sign of such thresholds; None: by trying all.
    """
    find = find or _sign_bits
    readers: dict[int, list[Stage]] = {stage.output: [] for stage in stages}
    for stage in stages:
        for step in dict.fromkeys(stage.reads):
            readers[step].append(stage)
    changed: dict[int, Stage] = {}
    for stage in stages:
        if readers[stage.output] and not (_counts(stage) and _store_counts_signs(stage, readers, changed, find)):
            _store_floats_signs(stage, readers[stage.output], changed)
    return [changed.get(stage.output, stage) for stage in stages]


def _store_counts_signs(
    stage: Stage,
    readers: Mapping[int, Sequence[Stage]],
    changed: dict[int, Stage],
    find: Callable[[Stage, Thresholds], SignBits | None],
) -> bool:
    """Let a stage store signs of whole numbers, if that can be, through a pool or without; return whether."""
    pool, signs, step = None, readers[stage.output], stage.output
    if len(signs) == 1 and isinstance(signs[0].head, MaxPool) and not stage.tail:
        pool, signs, step = signs[0], readers[signs[0].output], signs[0].output
    if not (wanted := _one_sign(signs, step)):
        return False
    bits = find(stage, wanted)
    if bits is None or (pool is not None and not _is_one_sided(bits, stage)):
        return False
    if pool is not None:
        changed[pool.output] = replace(pool, bits=bits)
        bits = replace(bits, flips=np.zeros_like(bits.flips))
    changed[stage.output] = replace(changed.get(stage.output, stage), tail=(), bits=bits)
    for reader in signs:
        changed[reader.output] = replace(changed.get(reader.output, reader), thresholds=None)
    return True


def _counts(stage: Stage) -> bool:
    """Return whether a stage makes whole numbers that nothing but constants changes, in whole bytes of channels."""
    conv = stage.head
    if not isinstance(conv, BinaryConv) or conv.sums is not None or conv.kernel_scale is not None:
        return False
    if conv.fan_in > np.iinfo(np.int16).max - 1:
        return False
    alone = all(isinstance(entry, Pointwise) for entry in stage.tail)
    return alone and fills_bytes(conv)


def fills_bytes(conv: BinaryConv) -> bool:
    """Return whether what is computed at once begins at whole bytes of channels."""
    return conv.groups == 1 or len(conv.bits) // conv.groups % 16 == 0 or is_depthwise(conv)


def _store_floats_signs(stage: Stage, readers: Sequence[Stage], changed: dict[int, Stage]) -> None:
    """Let a stage compute its floats and store one sign of them, where nothing else is read."""
    conv = stage.head
    by_lanes = conv is None or isinstance(conv, Stem)
    if isinstance(conv, BinaryConv):
        by_lanes = conv.kernel_scale is None and fills_bytes(conv)
    if by_lanes and (wanted := _one_sign(readers, stage.output)):
        changed[stage.output] = replace(changed.get(stage.output, stage), bits=wanted)
        for reader in readers:
            changed[reader.output] = replace(changed.get(reader.output, reader), thresholds=None)


def _one_sign(readers: Sequence[Stage], step: int) -> Thresholds | None:
    """Return the thresholds of convolutions that all take the same sign of map `step`, and that alone."""
    found: Thresholds | None = None
    for reader in readers:
        conv = reader.head
        reads_once = reader.reads.count(step) == 1 and reader.inputs[0] == step
        if not isinstance(conv, BinaryConv) or reader.thresholds is None or not reads_once:
            return None
        if not reads_whole_bytes(reader):
            return None
        same = found is None or (
            np.array_equal(found.limit, reader.thresholds.limit) and np.array_equal(found.falls, reader.thresholds.falls)
        )
        if not same:
            return None
        found = reader.thresholds
    return found


def reads_whole_bytes(stage: Stage) -> bool:
    """Return whether the groups of channels of a convolution begin at whole bytes, so that it can read stored signs."""
    conv = stage.head
    assert isinstance(conv, BinaryConv)  # noqa: S101 - for the type checker; who asks has looked
    return conv.groups == 1 or conv.bits.shape[3] % 8 == 0 or is_depthwise(conv)


def _sign_bits(stage: Stage, thresholds: Thresholds) -> SignBits | None:
    """Try all numbers; None where a channel's signs change more than twice, or in a way that is none of the two."""
    assert isinstance(stage.head, BinaryConv)  # noqa: S101 - for the type checker; `_counts` says so
    fan_in, channels = stage.head.fan_in, stage.shape.channels
    differing = np.arange(fan_in + 1)
    values = np.broadcast_to((fan_in - 2 * differing).astype(np.float32)[:, None], (fan_in + 1, channels))
    with np.errstate(over="ignore", invalid="ignore"):
        for entry in stage.tail:
            assert isinstance(entry, Pointwise)  # noqa: S101 - for the type checker; `_counts` says so
            values = entry.apply(values)
    signs = (values >= thresholds.limit) != thresholds.falls  # (K + 1, C), by rising d
    flips = np.zeros(channels, bool)
    changes = (signs[1:] != signs[:-1]).sum(0)
    flips |= (changes == 1) & ~signs[0]  # 0 ... 0 1 ... 1: the opposite is 1 up to some d
    flips |= (changes == 2) & ~signs[0]  # noqa: PLR2004 - 0 .. 1 .. 0
    if bool((changes > 2).any()):  # noqa: PLR2004 - neither of the two
        return None
    ones = signs != flips
    first_zero = np.where(ones.all(0), fan_in + 1, np.argmin(ones, axis=0))
    most = first_zero - 1
    last_zero = fan_in - np.argmin(ones[::-1], axis=0)
    least = np.where(ones.all(0), fan_in + 1, np.where(changes == 2, last_zero + 1, fan_in + 1))  # noqa: PLR2004
    return SignBits(most.astype(np.int32), least.astype(np.int32), flips)


def _is_one_sided(bits: SignBits, stage: Stage) -> bool:
    """Return whether every comparison is of one side: then the largest n decides, that is the smallest d."""
    assert isinstance(stage.head, BinaryConv)  # noqa: S101 - for the type checker
    return bool((bits.least > stage.head.fan_in).all())

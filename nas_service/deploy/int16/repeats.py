"""Repeats: a map that is put beside itself, to be added to twice as many channels, is read twice instead of stored twice."""

from collections.abc import Sequence
from dataclasses import replace

from nas_service.deploy.c_popcount import LANES
from nas_service.deploy.program import BinaryConv, Concat
from nas_service.deploy.sign_bits import fills_bytes
from nas_service.deploy.stages import Other, Stage


def without_copies(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages of which those that add copies of one map, side by side, read that map; the copies are not made."""
    shapes = {stage.output: stage.shape for stage in stages}
    source = {
        stage.output: stage.inputs[0]
        for stage in stages
        if isinstance(stage.head, Concat) and len(set(stage.inputs)) == 1 and shapes[stage.inputs[0]].channels % LANES[0] == 0
    }
    for stage in stages:
        added = [entry.step for entry in stage.tail if isinstance(entry, Other) and entry.step in source and not entry.multiplies]
        if not _adds_by_lanes(stage) or len(added) != 1:
            added = []
        for step in set(stage.reads) - set(added):
            source.pop(step, None)
        if added and stage.reads.count(added[0]) > 1:
            source.pop(added[0], None)
    return [_reading(stage, source) for stage in stages if stage.output not in source]


def _adds_by_lanes(stage: Stage) -> bool:
    """Return whether what a stage computes at once begins at a multiple of as many channels as that can be."""
    if isinstance(stage.head, BinaryConv):
        return stage.head.kernel_scale is None and fills_bytes(stage.head)
    return stage.head is None


def _reading(stage: Stage, source: dict[int, int]) -> Stage:
    tail = (
        Other(source[entry.step], repeats=True) if isinstance(entry, Other) and entry.step in source else entry
        for entry in stage.tail
    )
    return replace(stage, tail=tuple(tail))

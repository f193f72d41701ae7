"""Early signs: where a map shrinks, convolutions that read it take its signs before, so that it can be written over.

A map that is pooled, or averaged over groups of channels, for a shortcut is read by the convolution beside it as well, which
wants signs alone: a bit a number. With these stored first, the pool is the last to read the map, and writes over it. The
decisions are the same comparisons of the same numbers, so all that is computed stays the same to the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas_service.deploy.c_layout import scratch_bytes
from nas_service.deploy.memory import place_maps, shrinks
from nas_service.deploy.program import BinaryConv, Shape
from nas_service.deploy.sign_bits import reads_whole_bytes
from nas_service.deploy.stages import Stage


def take_signs_early(stages: Sequence[Stage], number_bytes: int = 4) -> list[Stage]:
    """Return stages of which some store signs that convolutions took, where the arena gets smaller by that.

    The largest maps are tried first, all of one size together, for as long as it does.

    Args:
        stages: Of a network.
        number_bytes: Of a map's number.
    """
    if not (found := _candidates(stages)):
        return list(stages)
    best, least = list(stages), arena_bytes(stages, number_bytes)
    for size in sorted({entry.source.floats for entry in found}, reverse=True):
        tried = best
        for entry in found:
            if entry.source.floats == size:
                tried = _with_signs(tried, entry)
        if (needed := arena_bytes(tried, number_bytes)) >= least:
            break
        best, least = tried, needed
    return best


def arena_bytes(stages: Sequence[Stage], number_bytes: int) -> int:
    """Return the RAM of stages whose maps have numbers of so many bytes; logits are float32."""
    shapes = {stage.output: stage.shape for stage in stages}
    sized = [*(replace(stage, number_bytes=number_bytes) for stage in stages[:-1]), stages[-1]]
    return place_maps(
        sized, [scratch_bytes(stage, shapes.get(stage.inputs[0]) if stage.inputs else None) for stage in sized]
    ).total


@dataclass(frozen=True)
class _Candidate:
    """A map that would be written over if convolutions had its signs.

    Attributes:
        step: Number of the map.
        source: Its shape.
        over: Number of the map that would be written there.
        behind: Numbers of the maps that those convolutions make.
    """

    step: int
    source: Shape
    over: int
    behind: frozenset[int]


def _candidates(stages: Sequence[Stage]) -> list[_Candidate]:
    """Return maps of numbers that shrink, and that after this nothing but convolutions reads, which take signs."""
    makers = {stage.output: stage for stage in stages}
    readers: dict[int, list[Stage]] = {}
    for stage in stages:
        for step in dict.fromkeys(stage.reads):
            readers.setdefault(step, []).append(stage)
    found = []
    for step, reading in readers.items():
        source = makers[step]
        shrinking = [place for place, stage in enumerate(reading) if step in stage.inputs and shrinks(stage, source.shape)]
        if not shrinking or source.bits is not None:
            continue
        behind = reading[shrinking[-1] + 1 :]
        if behind and all(_takes_signs(stage, step) for stage in behind):
            outputs = frozenset(stage.output for stage in behind)
            found.append(_Candidate(step, source.shape, reading[shrinking[-1]].output, outputs))
    return found


def _takes_signs(stage: Stage, step: int) -> bool:
    """Return whether a stage reads the signs of map `step`, and nothing else of it."""
    conv = stage.head
    is_sign = isinstance(conv, BinaryConv) and stage.thresholds is not None and stage.reads.count(step) == 1
    return is_sign and stage.inputs[0] == step and reads_whole_bytes(stage)


def _with_signs(stages: Sequence[Stage], found: _Candidate) -> list[Stage]:
    """Return stages with those signs of a map stored, in front of the stage that writes over it."""
    changed, signs = list[Stage](), list[Stage]()
    free = max(stage.output for stage in stages) + 1
    for stage in stages:
        if stage.output in found.behind:
            name = f"{stage.name}, signs of its input"
            signs.append(Stage(None, (found.step,), (), found.source, free + len(signs), name, bits=stage.thresholds))
            changed.append(replace(stage, inputs=(signs[-1].output,), thresholds=None))
        else:
            changed.append(stage)
    at = next(place for place, stage in enumerate(changed) if stage.output == found.over)
    return [*changed[:at], *signs, *changed[at:]]

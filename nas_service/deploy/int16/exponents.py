"""Exponents: a map's number q of 16 bits stands for q 2^-e, with one e for the map, by the largest value that was seen of it.

Maps whose numbers are taken over as they are share one: a concatenation and its parts, a pool, a mean of groups, channels in
another order.
"""

from collections.abc import Mapping, Sequence
from math import floor, log2

from nas_service.deploy.int16.steps import MOST
from nas_service.deploy.program import AvgPool, Concat, Flatten, Gather, GroupMean, MaxPool
from nas_service.deploy.stages import Stage

MARGIN = 2.0  # how many times as large as what was seen a value may be: beyond that it is cut off
LARGEST = 60  # an exponent's: values below 2^-75 are none
_KEEPS = (MaxPool, AvgPool, Concat, Gather, GroupMean, Flatten)


def find_exponents(stages: Sequence[Stage], peaks: Mapping[int, float], most: Mapping[int, int]) -> dict[int, int]:
    """Return the exponent of every map that is stored in numbers.

    Args:
        stages: Of a network.
        peaks: The largest magnitude that was seen of each.
        most: What some may have at most.
    """
    group: dict[int, int] = {}

    def root(step: int) -> int:
        while group.setdefault(step, step) != step:
            step = group[step]
        return step

    for stage in stages:
        for step in stage.inputs if isinstance(stage.head, _KEEPS) and stage.bits is None else ():
            group[root(step)] = root(stage.output)
    numbers = [stage.output for stage in stages if stage.bits is None]
    found: dict[int, int] = {}
    for step in numbers:
        wanted = min(_exponent(peaks[step]), most.get(step, LARGEST))
        found[root(step)] = min(wanted, found.get(root(step), wanted))
    return {step: 0 if found[root(step)] == LARGEST else found[root(step)] for step in numbers}


def _exponent(peak: float) -> int:
    """Return the largest exponent that leaves room for MARGIN times a peak; a map of zeros leaves it to those that it is with."""
    if not peak > 0:
        return LARGEST
    return max(-LARGEST, min(LARGEST, floor(log2(MOST / (peak * MARGIN)))))

"""Thinning a curve for a chart, so that nothing that catches the eye is lost. Plain Python."""

from collections.abc import Sequence
from itertools import accumulate


def best_so_far(rewards: Sequence[float]) -> list[float]:
    """Return the largest reward up to every sample."""
    return list(accumulate(rewards, max))


def thinned(rewards: Sequence[float], points: int) -> list[int]:
    """Return the places of about `points` rewards that are kept, in order; all where there are no more.

    Always kept are the first, the last, and every one that is better than all before it, though that be more than `points`. The
    others are cut into equal lots, and of each the smallest and the largest are kept, the first of equals.
    """
    count = len(rewards)
    if count <= points:
        return list(range(count))
    best = best_so_far(rewards)
    kept = {0, count - 1, *(place for place in range(1, count) if best[place] > best[place - 1])}
    lots = max((points - len(kept)) // 2, 0)
    for lot in range(lots):
        places = range(lot * count // lots, (lot + 1) * count // lots)
        kept.add(min(places, key=rewards.__getitem__))
        kept.add(max(places, key=rewards.__getitem__))
    return sorted(kept)


def spread(first: int, last: int, points: int) -> list[int]:
    """Return up to `points` whole numbers, evenly from `first` to `last`, both included."""
    count = min(points, last - first + 1)
    if count <= 1:
        return [last]
    return [first + step * (last - first) // (count - 1) for step in range(count)]

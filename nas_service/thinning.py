"""Thinning: fewer points of a curve, without what catches the eye getting lost. No SQL, no torch."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

Column = Sequence[float | None]


def kept_places(columns: Sequence[Column], points: int, always: Iterable[int] = ()) -> list[int]:
    """Return places of equally long columns: first, last, those of `always`, and extremes in buckets of equal width.

    Extremes of the whole are extremes of their bucket, so they are kept too where there is room for a bucket; of equal ones the
    first is. Where there are no more places than points, all are kept. No more than `points` are, but for `always`.

    Args:
        columns: What is drawn over the same places.
        points: At least `least_points(len(columns))`, that extremes of the whole stay.
        always: Places that stay, though they be more than `points`.
    """
    count = len(columns[0]) if columns else 0
    if count <= points:
        return list(range(count))
    kept = {0, count - 1, *always}
    buckets = max(points - len(kept), 0) // (2 * len(columns))
    for bucket in range(buckets):
        places = range(bucket * count // buckets, (bucket + 1) * count // buckets)
        for column in columns:
            known = [(value, place) for place in places if (value := column[place]) is not None]
            if known:
                kept.add(min(known)[1])
                kept.add(min(known, key=lambda entry: (-entry[0], entry[1]))[1])
    return sorted(kept)


def least_points(columns: int) -> int:
    """Return how many points keep the ends and the extremes of so many columns."""
    return 2 + 2 * columns


Standing = tuple[float, float]  # fidelity and reward of a sample: longer trainings are compared before rewards


def best_so_far(standings: Sequence[Standing]) -> list[float]:
    """Return the largest reward of the longest trainings up to every sample."""
    return [reward for _, reward in accumulate(standings, max)]


def new_bests(standings: Sequence[Standing]) -> list[int]:
    """Return the places of the samples that stand above all before them; the first is one."""
    best = list(accumulate(standings, max))
    return [place for place in range(len(best)) if not place or best[place] > best[place - 1]]


def spread(first: int, last: int, points: int) -> list[int]:
    """Return up to `points` whole numbers, evenly from `first` to `last`, both included."""
    count = min(points, last - first + 1)
    if count <= 1:
        return [last]
    return [first + step * (last - first) // (count - 1) for step in range(count)]

"""Thinning: fewer points of a curve, without its extremes getting lost. No SQL, no torch."""

from collections.abc import Sequence

Column = Sequence[float | None]


def kept_places(columns: Sequence[Column], points: int) -> list[int]:
    """Return at most `points` places of equally long columns: first, last, and each column's extremes in buckets of equal width.

    Extremes of the whole are extremes of their bucket, so they are kept too; of equal ones the first is. Where there are no
    more places than points, all are kept.

    Args:
        columns: What is drawn over the same places.
        points: At least `least_points(len(columns))`.
    """
    count = len(columns[0]) if columns else 0
    if count <= points:
        return list(range(count))
    buckets = (points - 2) // (2 * len(columns))
    kept = {0, count - 1}
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

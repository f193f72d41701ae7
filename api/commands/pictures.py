"""Pictures in letters: an arm's mean between its bounds, and a figure over time. Width in columns of the terminal."""

from collections.abc import Sequence

from api.console import console

LEAST = 12  # columns: with fewer a bar says nothing
_STEPS = "\N{LOWER ONE EIGHTH BLOCK}▂▃▄▅▆▇█"
_PLAIN_STEPS = "_.-=^"

Figure = float | None


def interval(lower: Figure, mean: Figure, upper: Figure, scale: tuple[float, float], width: int) -> str:
    """Return a line from `lower` to `upper` with a mark at `mean`, on a scale that is `width` columns wide.

    >>> interval(0.0, 0.5, 1.0, (0.0, 1.0), 9)
    '────●────'
    """
    if mean is None:
        return ""
    is_fine = _draws_lines()
    line, mark = ("─", "●") if is_fine else ("-", "o")
    first, last = (mean if bound is None else bound for bound in (lower, upper))
    drawn = [" "] * width
    for column in range(_column(first, scale, width), _column(last, scale, width) + 1):
        drawn[column] = line
    drawn[_column(mean, scale, width)] = mark
    return "".join(drawn).rstrip()


def spread_of(figures: Sequence[Figure]) -> tuple[float, float]:
    """Return a scale that holds all figures that there are."""
    known = [value for value in figures if value is not None]
    return (min(known), max(known)) if known else (0.0, 1.0)


def course(figures: Sequence[Figure], scale: tuple[float, float]) -> str:
    """Return a figure over time, a column each: higher is higher; a space where there is none."""
    steps = _STEPS if _draws_lines() else _PLAIN_STEPS
    return "".join(" " if value is None else steps[_column(value, scale, len(steps))] for value in figures)


def _column(value: float, scale: tuple[float, float], width: int) -> int:
    low, high = scale
    share = (value - low) / (high - low) if high > low else 0.0
    return round(min(max(share, 0.0), 1.0) * (width - 1))


def _draws_lines() -> bool:
    return console.encoding.lower().startswith("utf")

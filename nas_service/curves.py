"""Curves: the epochs of a training's candidates as columns, thinned so that extremes stay. No SQL, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_service.thinning import kept_places, least_points
from search_spaces.errors import InvalidFieldError

Epochs = Sequence[tuple[int, Mapping[str, Any]]]  # number and figures of each


@dataclass(frozen=True)
class Curve:
    """The epochs of one candidate.

    Attributes:
        epoch: Numbers of the epochs that are told, from 0.
        columns: By field, as many values; None where an epoch has no such figure.
        total: Epochs that there are.
    """

    epoch: list[int]
    columns: dict[str, list[float | None]]
    total: int


def curve(epochs: Epochs, fields: Sequence[str], points: int) -> Curve:
    """Return the epochs of a candidate in columns, at most `points` of them.

    `extra` among the fields stands for all of the method's own figures, `extra.NAME` for one of them.

    Raises:
        InvalidFieldError: If there are more epochs, and the extremes of all columns do not fit into so many points.
    """
    names = [name for field in fields for name in (_extras(epochs) if field == "extra" else [field])]
    columns = {name: [_figure(figures, name) for _, figures in epochs] for name in names}
    if len(epochs) > points and points < (least := least_points(len(columns))):
        raise InvalidFieldError("points", points, f"{least} or more for {len(columns)} columns: {', '.join(columns)}")
    kept = kept_places(list(columns.values()), points)
    thinned = {name: [values[place] for place in kept] for name, values in columns.items()}
    return Curve([epochs[place][0] for place in kept], thinned, len(epochs))


def _extras(epochs: Epochs) -> list[str]:
    return [f"extra.{name}" for name in sorted({name for _, figures in epochs for name in figures["extra"]})]


def _figure(figures: Mapping[str, Any], name: str) -> float | None:
    group, dot, own = name.partition(".")
    value = figures[group].get(own) if dot else figures[name]
    return None if value is None else float(value)

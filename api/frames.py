"""Views as frames of pandas, which is imported when one is asked for."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from api.markup import Record
from nas_service.errors import NotReadyError

if TYPE_CHECKING:
    import pandas as pd

_DTYPES: dict[type, str] = {float: "float64", int: "Int64", bool: "boolean", datetime: "datetime64[us, UTC]", str: "str"}


def record_of(view: BaseModel) -> Record:
    """Return a view as named values; those of an object in it are named after both: `cost.ops`."""
    record: Record = {}
    for name in _fields(type(view)):
        value = getattr(view, name)
        if isinstance(value, BaseModel):
            value = value.model_dump()
        if isinstance(value, dict):
            record |= {f"{name}.{key}": _plain(entry) for key, entry in value.items()}
        else:
            record[name] = _plain(value)
    return record


def frame_of(views: Sequence[BaseModel], view: Any = None) -> "pd.DataFrame":  # noqa: ANN401 - a class or a union of some
    """Return views as a frame, which has its columns without rows too.

    Args:
        views: One a row.
        view: Their class, or None.

    Raises:
        NotReadyError: If pandas is not installed.
    """
    kind = view if isinstance(view, type) and issubclass(view, BaseModel) else type(views[0]) if views else None
    fields = [] if kind is None else _fields(kind)
    records = [record_of(entry) for entry in views]
    names = list(dict.fromkeys([*(fields if not records else ()), *(name for record in records for name in record)]))
    places = {name: position for position, name in enumerate(fields)}
    names.sort(key=lambda name: places.get(name.partition(".")[0], len(places)))
    told = {name: [record.get(name) for record in records] for name in names if not _is_told_in_parts(name, names, records)}
    stated = {name: _stated(kind, name) for name in told}
    return frame_of_columns(told, stated)


def frame_of_columns(columns: dict[str, list[Any]], stated: dict[str, type | None] | None = None) -> "pd.DataFrame":
    """Return columns as a frame.

    Args:
        columns: Of equal length, by name.
        stated: What the values of a column are, where it has none.

    Raises:
        NotReadyError: If pandas is not installed.
    """
    try:
        import pandas  # noqa: ICN001, PLC0415 - nobody else waits for it, and not everybody has it
    except ImportError as error:
        raise NotReadyError("frames need pandas, which is not installed: pip install pandas") from error
    series = {name: pandas.Series(values, dtype=_dtype(values, (stated or {}).get(name))) for name, values in columns.items()}
    return pandas.DataFrame(series)


def _fields(kind: type[BaseModel]) -> list[str]:
    return [*kind.model_fields, *kind.model_computed_fields]


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _is_told_in_parts(name: str, names: Sequence[str], records: Sequence[Record]) -> bool:
    """Whether a field holds nothing where it is one value, and is columns of its own elsewhere."""
    return any(other.startswith(f"{name}.") for other in names) and all(record.get(name) is None for record in records)


def _stated(kind: type[BaseModel] | None, name: str) -> type | None:
    """Return which of the types that frames know a field says that it has."""
    if kind is None or name not in kind.model_fields:
        return None
    annotation = kind.model_fields[name].annotation
    named = {annotation, *get_args(annotation)}
    return next((known for known in _DTYPES if known in named), None)


def _dtype(values: Sequence[object], stated: type | None) -> str | None:
    """Return the narrowest type that holds the values, null ones included; None: that pandas should see."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return "object" if stated is None else _DTYPES[stated]
    if kinds == {int, float}:
        return "float64"
    found = next(iter(kinds)) if len(kinds) == 1 else None
    if found is None or found not in _DTYPES:
        return "object"
    is_whole = all(value is not None for value in values)
    return {int: "int64", bool: "bool"}.get(found, _DTYPES[found]) if is_whole else _DTYPES[found]

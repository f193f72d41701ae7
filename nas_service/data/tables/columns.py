"""Columns: which hold the images and the labels of a table, and whether they can."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from nas_service.data.tables.features import Features, read_features
from nas_service.data.tables.table import Table
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

_IMAGE_NAMES = ("image", "img")
_LABEL_NAMES = ("label", "labels", "target", "class")
_IMAGES = "image bytes (PNG, JPEG ...), or structs with `bytes`"
_LABELS = "one whole number, text, truth value or category a row"
_BYTES = "bytes"
KindOf = Callable[[Any], str | None]


class Kind(StrEnum):
    """What a label can be."""

    NUMBER = "whole numbers"
    TEXT = "text"
    TRUTH = "truth values"


@dataclass(frozen=True)
class Columns:
    """The two columns of a table that are read."""

    image: str
    label: str


def find_columns(tables: Sequence[Table], image: str | None = None, label: str | None = None) -> Columns:
    """Return the columns that are asked for, or else the ones that are said to hold images and labels or are named so.

    Args:
        tables: All files; the first one decides.
        image: Name of the images' column, if the user says it.
        label: Likewise of the labels'.

    Raises:
        InvalidFieldError: If there is none, several fit, one cannot hold what it should, or files differ in them.
    """
    first = tables[0]
    features = read_features(first)
    columns = Columns(_image_column(first, features, image), _label_column(first, features, label))
    for setting, name, kind_of, allowed in (
        ("image_column", columns.image, image_kind, _IMAGES),
        ("label_column", columns.label, label_kind, _LABELS),
    ):
        for table in tables:
            _check_same(table, first, name, kind_of)
        if kind_of(first.kind(name)) is None:
            raise InvalidFieldError(setting, f"{printable(name)}: {printable(str(first.kind(name)))}", f"a column of {allowed}")
    return columns


def image_kind(kind: Any) -> str | None:  # noqa: ANN401 - pyarrow has no types
    """Return whether the Arrow type of a column is that of images in `bytes`, or in a struct with them; None if neither."""
    if pa.types.is_struct(kind):
        inside = [kind.field(place) for place in range(kind.num_fields)]
        return "struct" if any(field.name == _BYTES and _is_binary(field.type) for field in inside) else None
    return "bytes" if _is_binary(kind) else None


def label_kind(kind: Any) -> Kind | None:  # noqa: ANN401 - pyarrow has no types
    """Return what labels of an Arrow type are; None if they cannot be classes."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_integer(value) or pa.types.is_floating(value):
        return Kind.NUMBER
    if pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value):
        return Kind.TEXT
    return Kind.TRUTH if pa.types.is_boolean(value) else None


def _is_binary(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _image_column(table: Table, features: Features, given: str | None) -> str:
    binary = tuple(name for name in dict.fromkeys(table.columns) if _holds(table, name, image_kind))
    return _chosen(table, "image_column", given, image_kind, [features.images, _among(table, _IMAGE_NAMES), binary])


def _label_column(table: Table, features: Features, given: str | None) -> str:
    return _chosen(table, "label_column", given, label_kind, [tuple(features.labels), _among(table, _LABEL_NAMES)])


def _among(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in table.columns)


def _holds(table: Table, name: str, kind_of: KindOf) -> bool:
    return table.columns.count(name) == 1 and kind_of(table.kind(name)) is not None


def _chosen(table: Table, setting: str, given: str | None, kind_of: KindOf, candidates: list[tuple[str, ...]]) -> str:
    """Return the column that is asked for, else the only one of the first candidates that there are.

    Those that cannot hold what is looked for are no candidates, unless there are no others.
    """
    if given is not None:
        if given not in table.columns:
            raise InvalidFieldError(setting, given, f"one of: {', '.join(map(printable, table.columns))}")
        return given
    able = [tuple(name for name in names if _holds(table, name, kind_of)) for names in candidates]
    fitting = next((names for names in (*able, *candidates) if names), ())
    if len(fitting) == 1:
        return fitting[0]
    what = "labels" if setting == "label_column" else "images"
    if not fitting:
        kinds = ", ".join(f"{printable(field.name)} ({printable(str(field.type))})" for field in table.schema)
        raise InvalidFieldError(setting, f"{table.name}: no column is named as {what} are", f"one of: {kinds}")
    given = f"{table.name}: {len(fitting)} columns may be that of the {what}"
    raise InvalidFieldError(setting, given, f"one of: {', '.join(map(printable, fitting))}")


def _check_same(table: Table, first: Table, name: str, kind_of: KindOf) -> None:
    """Refuse a file whose column is missing, there twice, or holds something else than in the first one."""
    times = table.columns.count(name)
    if times != 1:
        has = "no" if times == 0 else "more than one"
        raise table.error(f"has {has} column {printable(name)}", f"files with one such column each, as {first.name}")
    if kind_of(table.kind(name)) != kind_of(first.kind(name)):
        kinds = f"{printable(str(table.kind(name)))} in column {printable(name)}"
        raise table.error(f"has {kinds}", f"{printable(str(first.kind(name)))}, as {first.name}")

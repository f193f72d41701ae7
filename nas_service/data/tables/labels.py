"""Labels: what their owners mean by them, as indices into the names of classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nas_service.data.classes import MAX_CLASSES, check_class_names
from nas_service.data.part import Indices, Labels
from nas_service.data.source import PartName
from nas_service.data.tables.columns import Kind, label_kind
from nas_service.data.tables.table import Table, locate, rows_of
from nas_service.wording import named, printable
from search_spaces.errors import InvalidFieldError

Value = int | str | bool

_ROWS = 65_536  # read at a time
_MOST_CATEGORIES = 10 * MAX_CLASSES  # in use or not
_UNLABELLED = -1  # as Hugging Face writes where a label is kept secret


@dataclass(frozen=True)
class _Column:
    """The labels of all tables; however large a value is, it takes no more memory than its digits.

    Attributes:
        values: The distinct ones, in the order in which they were met; from one more than there may be classes on, that one
            stands for all further ones.
        places: Of every row's value in `values` (N,).
        categories: Their owner's order of them, if the column is one of categories.
    """

    values: tuple[Value, ...]
    places: Indices
    categories: tuple[Value, ...]


def read_labels(tables: Sequence[Table], column: str, names: Sequence[str] | None) -> tuple[tuple[str, ...], Labels]:
    """Return the names of all classes, and the index of every row's class (N,), row by row of all tables.

    With names a whole number is an index into them, and a text is one of them. Without, the classes are the distinct values of
    the training rows: categories in their owner's order, other values in ascending order.

    Args:
        tables: All files.
        column: Of the labels, of a type that can hold them.
        names: Of the classes, if anybody says them.

    Raises:
        InvalidFieldError: If a row has no label, one that is no class, or one that no training row has; if the values are those
            of a column of ids; or if names of classes cannot be names.
    """
    read = _read_column(tables, column)
    training = rows_of(tables, PartName.TRAIN)
    if len(training) == 0:
        raise tables[0].error("has no row", "at least one row to train with")
    if names is None:
        return _by_value(tables, column, read, training)
    checked = check_class_names(names, "classes")
    if label_kind(tables[0].kind(column)) is Kind.TEXT:
        return checked, _by_name(tables, read, checked)[read.places]
    return checked, _by_index(tables, column, read, len(checked))[read.places]


def _by_value(tables: Sequence[Table], column: str, read: _Column, training: Indices) -> tuple[tuple[str, ...], Labels]:
    """Make classes of the values of the training rows."""
    met = np.unique(read.places[training])
    if len(met) > MAX_CLASSES or len(met) == len(training) > 1:
        some = f"more than {MAX_CLASSES}" if len(met) > MAX_CLASSES else len(met)
        given = f"{printable(column)}: {some} distinct values in {len(training)} training rows"
        raise InvalidFieldError(
            "label_column", given, f"labels that rows share, of at most {MAX_CLASSES} classes; these look like ids"
        )
    trained = {read.values[place] for place in met}
    for place, value in enumerate(read.values):
        if value not in trained:
            raise _refused(tables, read, place, "a label that some training row has")
    order = dict.fromkeys((*read.categories, *sorted(trained)))
    classes = {value: index for index, value in enumerate(value for value in order if value in trained)}
    indices = np.array([classes[value] for value in read.values], np.int64)
    return check_class_names([_name(value) for value in classes], "label_column"), indices[read.places]


def _by_index(tables: Sequence[Table], column: str, read: _Column, count: int) -> Indices:
    """Return every value as the index that it is, having seen that it is one."""
    allowed = f"class indices from 0 to {count - 1}"
    if count in read.values and set(read.values) <= set(range(1, count + 1)):
        raise tables[0].error(f"{printable(column)}: labels up to {count}", f"{allowed}; these count from 1")
    for place, value in enumerate(read.values):
        if value not in range(count):
            raise _refused(tables, read, place, allowed)
    return np.array(read.values, np.int64)


def _by_name(tables: Sequence[Table], read: _Column, names: tuple[str, ...]) -> Indices:
    """Return the index of every value among the names."""
    classes = {name: index for index, name in enumerate(names)}
    alike = check_class_names([str(value) for value in read.values[:MAX_CLASSES]], "label_column")
    for place, value in enumerate(alike):
        if value not in classes:
            raise _refused(tables, read, place, f"one of the {len(names)} classes: {named(names)}")
    if len(read.values) > MAX_CLASSES:
        raise _refused(tables, read, MAX_CLASSES, f"one of the {len(names)} classes: {named(names)}")
    return np.array([classes[value] for value in alike], np.int64)


def _name(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refused(tables: Sequence[Table], read: _Column, place: int, allowed: str) -> InvalidFieldError:
    """Name the first row that has a value."""
    table, row = locate(tables, int(np.argmax(read.places == place)))
    value = read.values[place]
    text = ascii(printable(value)) if isinstance(value, str) else _name(value)
    secret = f"; {_UNLABELLED} says that a row has no label: leave such rows or files out" if value == _UNLABELLED else ""
    return table.error(f"row {row}: label {text}", allowed + secret)


def _read_column(tables: Sequence[Table], column: str) -> _Column:
    """Read the labels, some thousand rows at a time.

    Raises:
        InvalidFieldError: If a row has none, or a number that is not whole.
    """
    values: dict[Value, int] = {}
    categories: dict[Value, None] = {}
    places: list[Indices] = []
    first, missing = None, 0
    for table in tables:
        for start, cells in table.cells(column, _ROWS):
            lacking = pc.is_null(cells, nan_is_null=True)
            if pc.any(lacking).as_py():
                first = first or (table, start + pc.index(lacking, value=True).as_py())
                missing += pc.sum(lacking).as_py()
                continue
            found, indices, order = _distinct(table, start, cells)
            categories.update(dict.fromkeys(order))
            if len(categories) > _MOST_CATEGORIES:
                allowed = f"at most {_MOST_CATEGORIES} categories; these look like ids"
                raise InvalidFieldError("label_column", printable(column), allowed)
            for value in found:
                if len(values) <= MAX_CLASSES:
                    values.setdefault(value, len(values))
            places.append(np.array([values.get(value, MAX_CLASSES) for value in found], np.int64)[indices])
    if first is not None:
        (table, row), rows = first, sum(table.rows for table in tables)
        raise table.error(f"row {row}: no label", f"a label in every row; {missing} of {rows} lack it")
    return _Column(tuple(values), np.concatenate([np.empty(0, np.int64), *places]), tuple(categories))


def _distinct(table: Table, start: int, cells: Any) -> tuple[list[Value], Indices, list[Value]]:  # noqa: ANN401 - pyarrow has no types
    """Return the distinct values of an array without gaps, the place of every row's among them, and its categories, if any."""
    order: list[Value] = []
    try:
        if isinstance(cells, pa.DictionaryArray):
            order = [value for value in cells.dictionary.to_pylist() if value is not None]
            cells = cells.dictionary_decode()
        if pa.types.is_floating(cells.type):
            cells = cells.cast(pa.float64())
            _check_whole(table, start, cells)
        encoded = cells.dictionary_encode()
        found = [int(value) if isinstance(value, float) else value for value in encoded.dictionary.to_pylist()]
        return found, encoded.indices.to_numpy().astype(np.int64), order
    except UnicodeDecodeError as error:
        raise table.error(f"rows from {start} on: labels", "text in UTF-8") from error


def _check_whole(table: Table, start: int, cells: Any) -> None:  # noqa: ANN401 - pyarrow has no types
    """Refuse fractions among float64 numbers: whole ones are what pandas makes of a column that once had gaps."""
    whole = pc.and_(pc.is_finite(cells), pc.equal(pc.floor(cells), cells))
    if not pc.all(whole).as_py():
        row = pc.index(whole, value=False).as_py()
        raise table.error(f"row {start + row}: label {cells[row].as_py()}", "whole numbers as labels")

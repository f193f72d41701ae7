"""Tables: a training as CSV or Parquet files, one a kind of thing, with named and typed columns."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import get_args

from nas_service.run_records.found import ArchitectureRecord, SampleRecord, TrainingRecords
from nas_service.run_records.record import FIGURES, RunRecord, Value, figures_of
from nas_service.wording import printable

_OF_EPOCHS = ("training", "candidate", "architecture", "method", "seed")
_NESTED = {"attacked", "cost", "epochs"}


@dataclass(frozen=True)
class Table:
    """Rows with the names and types of their columns.

    Attributes:
        types: By name of the column, in order.
        rows: A value by name; a column that is missing has none.
    """

    types: Mapping[str, type]
    rows: Sequence[Mapping[str, Value]]


def tables_of(records: TrainingRecords) -> dict[str, Table]:
    """Return the tables by name: `candidates`, `curves` (a row an epoch of a candidate), `architectures` and `samples`."""
    return {
        "candidates": _table(_columns(RunRecord), [record.flat() for record in records.candidates]),
        "curves": _curves(records.candidates),
        "architectures": _table(_columns(ArchitectureRecord), map(_flat, records.architectures)),
        "samples": _table(_columns(SampleRecord), map(_flat, records.samples)),
    }


def write_csv(records: TrainingRecords, folder: Path) -> None:
    """Write a file a table; figures with all their digits, moments in UTC, nothing where there is no value."""
    for name, table in tables_of(records).items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.types)
            writer.writerows([_text(row.get(column)) for column in table.types] for row in table.rows)


def write_parquet(records: TrainingRecords, folder: Path) -> None:
    """Write a file a table; the types of a kind's own columns do not depend on what is known yet."""
    import pyarrow as pa  # noqa: PLC0415 - other commands start faster
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: pa.timestamp("us", tz="UTC")}
    for name, table in tables_of(records).items():
        schema = pa.schema([(column, kinds[kind]) for column, kind in table.types.items()])
        pq.write_table(pa.Table.from_pylist(list(table.rows), schema), folder / f"{name}.parquet")


def _curves(records: Sequence[RunRecord]) -> Table:
    rows: list[dict[str, Value]] = []
    for record in records:
        whose: dict[str, Value] = {name: getattr(record, name) for name in _OF_EPOCHS}
        rows += [{**whose, "epoch": epoch.epoch, "phase": epoch.phase, **figures_of(epoch)} for epoch in record.epochs]
    own = _columns(RunRecord)
    return _table({name: own[name] for name in _OF_EPOCHS} | {"epoch": int, "phase": str} | dict.fromkeys(FIGURES, float), rows)


def _flat(record: ArchitectureRecord | SampleRecord) -> dict[str, Value]:
    own: dict[str, Value] = {entry.name: getattr(record, entry.name) for entry in fields(record) if entry.name not in _NESTED}
    return own | {f"cost.{name}": float(value) for name, value in record.cost.items()}


def _table(types: Mapping[str, type], rows: Iterable[Mapping[str, Value]]) -> Table:
    """Return a table; columns that not every kind has, all of them numbers, come last, by name."""
    told = list(rows)
    more = sorted({name for row in told for name in row} - types.keys())
    return Table({**types, **dict.fromkeys(more, float)}, told)


def _columns(kind: type[RunRecord | ArchitectureRecord | SampleRecord]) -> dict[str, type]:
    return {entry.name: _type(entry.type) for entry in fields(kind) if entry.name not in _NESTED}


def _type(annotation: object) -> type:
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    if len(kinds) != 1 or not isinstance(kinds[0], type):
        raise TypeError(f"{annotation} is no column")
    return kinds[0]


def _text(value: Value) -> Value:
    if isinstance(value, datetime):
        return value.isoformat()
    return printable(value) if isinstance(value, str) else value

"""Tables: candidates and epochs of a training as CSV or Parquet files, one row each, with named columns."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import get_args

from nas_service.run_records.record import FIGURES, RunRecord, Value, figures_of
from nas_service.wording import printable

_OF_EPOCHS = ("training", "candidate", "architecture", "method", "seed")


@dataclass(frozen=True)
class Table:
    """Rows with the names and types of their columns.

    Attributes:
        types: By name of the column, in order.
        rows: A value by name; a column that is missing has none.
    """

    types: Mapping[str, type]
    rows: Sequence[Mapping[str, Value]]


def candidate_table(records: Sequence[RunRecord]) -> Table:
    """Return one row a candidate."""
    rows = [record.flat() for record in records]
    more = sorted({name for row in rows for name in row} - _OWN.keys())
    return Table({**_OWN, **dict.fromkeys(more, float)}, rows)


def epoch_table(records: Sequence[RunRecord]) -> Table:
    """Return one row an epoch of a candidate."""
    rows: list[dict[str, Value]] = []
    for record in records:
        whose: dict[str, Value] = {name: getattr(record, name) for name in _OF_EPOCHS}
        rows += [{**whose, "epoch": epoch.epoch, "phase": epoch.phase, **figures_of(epoch)} for epoch in record.epochs]
    types = {name: _OWN[name] for name in _OF_EPOCHS} | {"epoch": int, "phase": str} | dict.fromkeys(FIGURES, float)
    more = sorted({name for row in rows for name in row} - types.keys())
    return Table({**types, **dict.fromkeys(more, float)}, rows)


def write_csv(records: Sequence[RunRecord], folder: Path) -> None:
    """Write `candidates.csv` and `epochs.csv`; figures with all their digits, moments in UTC, nothing where there is no value."""
    for name, table in _tables(records):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.types)
            writer.writerows([_text(row.get(column)) for column in table.types] for row in table.rows)


def write_parquet(records: Sequence[RunRecord], folder: Path) -> None:
    """Write `candidates.parquet` and `epochs.parquet`; types do not depend on what is known yet."""
    import pyarrow as pa  # noqa: PLC0415 - other commands start faster
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("us", tz="UTC")}
    for name, table in _tables(records):
        schema = pa.schema([(column, kinds[kind]) for column, kind in table.types.items()])
        pq.write_table(pa.Table.from_pylist(list(table.rows), schema), folder / f"{name}.parquet")


def _tables(records: Sequence[RunRecord]) -> Iterable[tuple[str, Table]]:
    return (("candidates", candidate_table(records)), ("epochs", epoch_table(records)))


def _text(value: Value) -> Value:
    if isinstance(value, datetime):
        return value.isoformat()
    return printable(value) if isinstance(value, str) else value


def _kind(annotation: object) -> type:
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    if len(kinds) != 1 or not isinstance(kinds[0], type):
        raise TypeError(f"{annotation} is no column")
    return kinds[0]


_OWN = {entry.name: _kind(entry.type) for entry in fields(RunRecord) if entry.name not in {"attacked", "cost", "epochs"}}

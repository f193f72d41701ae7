"""Tables: parquet files read column by column, some rows at a time, however large they are."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nas_service.data.part import Indices
from nas_service.data.paths import reason_of
from nas_service.data.source import PartName
from nas_service.data.tables.shards import Shard
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

_BUFFER_BYTES = 65_536
_POINTER = b"version https://git-lfs"
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)


@dataclass(frozen=True)
class Table:
    """One parquet file, which is open only while it is read: there may be thousands.

    Attributes:
        shard: The file.
        schema: Names and types of its columns, and its metadata (an Arrow schema).
        rows: How many it has.
        row_bytes: Of all columns of a row, where rows are largest.
    """

    shard: Shard
    schema: Any
    rows: int
    row_bytes: int

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return printable(self.shard.name)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def kind(self, column: str) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Return the Arrow type of a column."""
        return self.schema.field(column).type

    def error(self, given: str, allowed: str) -> InvalidFieldError:
        """Return a complaint about something in the file."""
        return InvalidFieldError(self.shard.setting, f"{self.name} {given}", allowed)

    def cells(self, column: str, rows: int) -> Iterator[tuple[int, Any]]:
        """Yield a column as Arrow arrays of up to so many rows, each with the row that it begins with.

        A file is held in memory by its pages; whoever writes them decides how large one is (about 1,000 rows or 1 MB).

        Raises:
            InvalidFieldError: If the file cannot be read to its end, or is another one than before.
        """
        with _opened(self.shard) as file:
            if file.metadata.num_rows != self.rows:
                raise self.error("changed while it was read", "files that nobody writes to meanwhile")
            start = 0
            for batch in file.iter_batches(batch_size=rows, columns=[column]):
                yield start, batch.column(column)
                start += batch.num_rows
            if start != self.rows:
                raise self.error(f"row {start}: nothing", f"files that can be read to their end, of {self.rows} rows")


def open_tables(shards: Sequence[Shard]) -> tuple[Table, ...]:
    """Read the schemas of all files.

    Raises:
        InvalidFieldError: Naming a file that is no parquet.
    """
    tables = []
    for shard in shards:
        with _opened(shard) as file:
            tables.append(Table(shard, file.schema_arrow, file.metadata.num_rows, _row_bytes(file)))
    return tuple(tables)


def rows_of(tables: Sequence[Table], part: PartName) -> Indices:
    """Return the places of a part's rows among those of all tables."""
    parts = np.repeat([table.shard.part is part for table in tables], [table.rows for table in tables])
    return np.flatnonzero(parts)


def given_rows(tables: Sequence[Table]) -> dict[PartName, Indices]:
    """Return the places of the rows that are validation or test by their owner's will."""
    held = {table.shard.part for table in tables} - {PartName.TRAIN}
    return {part: rows_of(tables, part) for part in held}


def locate(tables: Sequence[Table], place: int) -> tuple[Table, int]:
    """Return the table that holds a row of all tables', and its number there."""
    for table in tables:
        if place < table.rows:
            return table, place
        place -= table.rows
    raise IndexError(place)


@contextlib.contextmanager
def _opened(shard: Shard) -> Iterator[Any]:
    """Give the open file inside the block; whatever is wrong with it there is said of it."""
    _check_no_pointer(shard)
    try:
        # With a buffer of its own size, rows are read without the rest of their row group.
        with pq.ParquetFile(shard.file, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except _UNREADABLE as error:
        allowed = f"parquet files that can be read to their end ({reason_of(error, shard.file)})"
        raise InvalidFieldError(shard.setting, printable(shard.name), allowed) from error


def _check_no_pointer(shard: Shard) -> None:
    try:
        with Path(shard.file).open("rb") as file:
            start = file.read(len(_POINTER))
    except OSError as error:
        raise InvalidFieldError(shard.setting, printable(shard.name), f"a file that can be read ({reason_of(error)})") from error
    if start == _POINTER:
        allowed = "the file itself: this is a Git LFS pointer to it, as left by a clone without LFS; run git lfs pull"
        raise InvalidFieldError(shard.setting, printable(shard.name), allowed)


def _row_bytes(file: Any) -> int:  # noqa: ANN401 - pyarrow has no types
    """Return how many bytes a row has, in the row group with the largest ones.

    Those of one column are not asked for: that ends the whole process if the file's statistics are damaged.
    """
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    return max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=1)

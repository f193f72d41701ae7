"""Pictures in the cells of a column."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nas_service.data.picture_source import Content, PictureSource
from nas_service.data.pictures import PictureSettings, UnreadableError
from nas_service.data.tables.table import Table
from nas_service.wording import printable

_BYTES = 2**22  # of rows that are read at a time
_MOST_ROWS = 1024


class TablePictures(PictureSource):
    """The pictures of all rows of some tables, of which no more than some are in memory at once."""

    def __init__(self, tables: Sequence[Table], column: str, how: PictureSettings) -> None:
        """Keep where they are and how they are read."""
        super().__init__(how)
        self.files = tuple(table.shard.file for table in tables)
        self.reading = {**self.reading, "column": column}
        self._tables = tables
        self._column = column

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(table.rows for table in self._tables)

    def contents(self) -> Iterator[tuple[str, Content]]:
        """Yield the bytes of every row's picture."""
        for table in self._tables:
            rows = max(1, min(_MOST_ROWS, _BYTES // max(1, table.row_bytes)))
            for start, cells in table.cells(self._column, rows):
                for row, content in enumerate(_contents(cells), start):
                    found = _lacking(cells[row - start].as_py()) if content is None else content
                    yield f"{table.shard.name} row {row}", found


def _contents(cells: Any) -> list[bytes | None]:  # noqa: ANN401 - pyarrow has no types
    content: list[bytes | None] = (pc.struct_field(cells, "bytes") if pa.types.is_struct(cells.type) else cells).to_pylist()
    return content


def _lacking(cell: object) -> UnreadableError:
    """Say what a cell without an image lacks."""
    path = cell.get("path") if isinstance(cell, dict) else None
    if isinstance(path, str):
        return UnreadableError(f"no bytes, only the path {printable(path)!r}: embed the files when the table is written")
    return UnreadableError("no image")

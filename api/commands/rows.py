"""Rows as people and programs want them: a table, CSV on standard output, or a Parquet file."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.commands.files import require_writable
from api.console import console, print_table, say
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, figures with all their digits.")]
AsParquet = Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file instead.")]

Rows = Sequence[Mapping[str, object]]


def check_output(parquet: Path | None, *, as_csv: bool, as_json: bool) -> None:
    """Refuse what cannot be done before anything is asked of a service.

    Raises:
        InvalidFieldError: If more than one form is asked for, or the file cannot be written.
    """
    if as_csv and as_json:
        raise InvalidFieldError("--csv", as_csv, "one of --json, --csv and --parquet")
    if parquet is None:
        return
    if as_csv or as_json:
        raise InvalidFieldError("--parquet", str(parquet), "one of --json, --csv and --parquet")
    require_writable("--parquet", parquet)


def put_out(title: str, columns: Mapping[str, str], rows: Rows, *, as_csv: bool = False, parquet: Path | None = None) -> None:
    """Print rows as a table or as CSV, or write them to a file.

    Args:
        title: Of the table.
        columns: Heading in the table -> name in the rows, and in files.
        rows: With a value for every name.
        as_csv: Whether CSV is printed.
        parquet: File to write instead.
    """
    if parquet is not None:
        import pyarrow as pa  # noqa: PLC0415 - other commands start faster
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        pq.write_table(pa.table({name: [row[name] for row in rows] for name in columns.values()}), parquet)
        say(f"{parquet}: {len(rows):,} rows")
    elif as_csv:
        writer = csv.writer(console.file)
        writer.writerow(columns.values())
        writer.writerows([_text(row[name]) for name in columns.values()] for row in rows)
    else:
        print_table(title, list(columns), [tuple(row[name] for name in columns.values()) for row in rows])


def _text(value: object) -> object:
    return printable(value) if isinstance(value, str) else value

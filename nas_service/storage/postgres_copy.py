"""Rows of PostgreSQL as files and back, by its own COPY. psycopg comes with the extra `postgres`, as for `postgres.py`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

_PIECE = 2**20


def _cursor(connection: Connection) -> psycopg.Cursor[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection).cursor()


def _names(table: str, columns: Sequence[str]) -> tuple[sql.Identifier, sql.Composed]:
    return sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))


def write_rows(connection: Connection, table: str, columns: Sequence[str], path: Path) -> None:
    """Write a table to a file, a row a line, within the connection's transaction."""
    with (
        path.open("xb") as file,
        _cursor(connection) as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) TO STDOUT").format(*_names(table, columns))) as copy,
    ):
        for part in copy:
            file.write(part)


def read_rows(connection: Connection, table: str, columns: Sequence[str], path: Path) -> None:
    """Add a file's rows to a table, within the connection's transaction."""
    with (
        path.open("rb") as file,
        _cursor(connection) as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(*_names(table, columns))) as copy,
    ):
        while part := file.read(_PIECE):
            copy.write(part)


def count_on(connection: Connection, table: str, column: str) -> None:
    """Let a column that numbers its rows itself go on behind the last; any other is left alone."""
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table, "column": column})
    if sequence is not None:
        with _cursor(connection) as cursor:
            cursor.execute(
                sql.SQL("SELECT setval(%s, COALESCE(max({}), 0) + 1, false) FROM {}").format(
                    sql.Identifier(column), sql.Identifier(table)
                ),
                [sequence],
            )

"""Copies of a database as of one moment, while others write: SQLite's own online backup, PostgreSQL's COPY in one transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from pydantic import BaseModel
from sqlalchemy import URL, Connection, MetaData, create_engine, func, inspect, select, table, text
from sqlalchemy.orm import Session

from nas_service.errors import NotReadyError
from nas_service.storage.engines import TimeOuts, create_database_engine, database_file, parse_url
from nas_service.storage.schema import alembic_config, current_revision
from nas_service.storage.trouble import explained

SQLITE, POSTGRES = "sqlite", "postgresql"
SQLITE_FILE = "nas.db"
_REVISIONS = "alembic_version"
_PATIENT = TimeOuts(statement_s=None, idle_s=3600.0)  # a table may be long, and so may the list of files


class SavedTable(BaseModel):
    """A table in a copy.

    Attributes:
        columns: Their names, in the order of a file of rows.
        rows: How many.
    """

    columns: list[str]
    rows: int


@dataclass(frozen=True)
class DatabaseCopy:
    """A copy that was made.

    Attributes:
        session: Reads it, inside the block.
        revision: Of its schema.
        tables: What is in it.
    """

    session: Session
    revision: str
    tables: dict[str, SavedTable]


def kind_of(url: str) -> str:
    """Return which kind of database a URL names."""
    return parse_url(url).get_backend_name()


@contextmanager
def copied(url: str, folder: Path) -> Iterator[DatabaseCopy]:
    """Copy a database into a folder, which is made, and give what reads the moment of the copy inside the block.

    Raises:
        DatabaseAwayError: If the database is, for now.
    """
    folder.mkdir(mode=0o700, parents=True)
    with explained(), _copied_sqlite(url, folder) if kind_of(url) == SQLITE else _copied_postgres(url, folder) as copy:
        yield copy


@contextmanager
def _copied_sqlite(url: str, folder: Path) -> Iterator[DatabaseCopy]:
    target = folder / SQLITE_FILE
    with closing(sqlite3.connect(_file_of(url))) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)  # all at once: writers go on, and nothing of theirs comes in
        copy.execute("PRAGMA journal_mode=DELETE")  # the file alone is all of it
    engine = create_engine(_url_of(target))  # without the service's own settings, which would make files beside it
    try:
        with engine.connect() as connection, Session(connection) as session:
            yield DatabaseCopy(session, _revision(connection), _tables(connection))
    finally:
        engine.dispose()


@contextmanager
def _copied_postgres(url: str, folder: Path) -> Iterator[DatabaseCopy]:
    engine = create_database_engine(url, _PATIENT, connections=1)
    from nas_service.storage.postgres_copy import write_rows  # noqa: PLC0415 - psycopg is an extra, and the engine has asked for it

    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        with engine.connect().execution_options(**options) as connection, Session(connection) as session:
            tables = _tables(connection)
            for name, saved in tables.items():
                write_rows(connection, name, saved.columns, folder / _rows_file(name))
            yield DatabaseCopy(session, _revision(connection), tables)
    finally:
        engine.dispose()


def _file_of(url: str) -> Path:
    file = database_file(parse_url(url))
    if file is None:
        raise NotReadyError("the database (NAS_DATABASE_URL) is in memory alone: there is nothing to copy")
    return file


def _url_of(file: Path) -> URL:
    return URL.create(SQLITE, database=str(file))


def _rows_file(name: str) -> str:
    return f"{name}.rows"


def _revision(connection: Connection) -> str:
    return str(connection.scalar(text(f"SELECT version_num FROM {_REVISIONS}")))  # noqa: S608 - a name of ours


def _tables(connection: Connection) -> dict[str, SavedTable]:
    """Return what is in a database, but for what its migrations keep of themselves."""
    seen = inspect(connection)
    names = sorted(set(seen.get_table_names()) - {_REVISIONS})
    columns = {name: [str(column["name"]) for column in seen.get_columns(name)] for name in names}
    return {
        name: SavedTable(columns=columns[name], rows=connection.scalar(select(func.count()).select_from(table(name))) or 0)
        for name in names
    }


def complaints(kind: str, folder: Path, tables: dict[str, SavedTable]) -> list[str]:
    """Return what is wrong with a copy whose files are whole."""
    if kind == SQLITE:
        engine = create_engine(_url_of(folder / SQLITE_FILE))
        try:
            with engine.connect() as connection:
                said = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
                found = {name: saved.rows for name, saved in _tables(connection).items()}
        finally:
            engine.dispose()
        wrong = [] if said == ["ok"] else [f"{SQLITE_FILE}: {line}" for line in said]
    else:
        found, wrong = {name: _lines(folder / _rows_file(name)) for name in tables}, []
    counted = ((name, saved.rows, found.get(name, 0)) for name, saved in tables.items())
    return wrong + [f"table {name}: {there} rows, and {meant} were saved" for name, meant, there in counted if there != meant]


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def whats_there(url: str) -> str | None:
    """Return what keeps a database from being restored into, if something does: it has to be empty."""
    if kind_of(url) == SQLITE:
        file = _file_of(url)
        return f"there is a database already, {file}" if file.exists() else None
    engine = create_database_engine(url, _PATIENT, connections=1)
    try:
        with explained(), engine.connect() as connection:
            filled = [name for name, saved in _tables(connection).items() if saved.rows and name != "totals"]
    finally:
        engine.dispose()
    return f"the database has rows already, in {', '.join(filled[:5])}" if filled else None


def restore_rows(url: str, folder: Path, revision: str, tables: dict[str, SavedTable]) -> None:
    """Fill an empty PostgreSQL database with a copy: all of it or nothing, at the copy's own revision.

    Raises:
        NotReadyError: If it has tables of a later one.
    """
    engine = create_database_engine(url, _PATIENT, connections=1)
    from nas_service.storage.postgres_copy import count_on, read_rows  # noqa: PLC0415 - as above

    try:
        with explained():
            command.upgrade(alembic_config(url), revision)
            there = current_revision(engine)
            if there != revision:
                raise NotReadyError(
                    f"the database has tables of {there} already, and the backup is of {revision}: name one without tables"
                )
            with engine.connect() as connection, connection.begin():
                known = MetaData()
                known.reflect(connection)
                for entry in reversed(known.sorted_tables):  # what migrations wrote into empty tables
                    if entry.name in tables:
                        connection.execute(entry.delete())
                for entry in known.sorted_tables:  # after those that they refer to
                    if entry.name in tables:
                        columns = tables[entry.name].columns
                        read_rows(connection, entry.name, columns, folder / _rows_file(entry.name))
                        for column in entry.primary_key.columns:
                            count_on(connection, entry.name, column.name)
    finally:
        engine.dispose()

"""Bringing a database's schema up to date, and looking whether it is."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock, Timeout
from sqlalchemy import URL, Engine, text
from sqlalchemy.exc import DatabaseError

from nas_service.errors import DatabaseAwayError, NotReadyError
from nas_service.storage.engines import TimeOuts, create_database_engine, database_file, parse_url
from nas_service.storage.trouble import explained

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
MIGRATION_WAIT_S = 60.0


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for a database."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # ConfigParser reads % as its own
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """Run every migration that the database at `url` has not seen; others who try the same wait.

    Raises:
        NotReadyError: If that cannot be done here: what is wrong, and what to do.
    """
    parsed = parse_url(url)
    with _startable(parsed), _alone(database_file(parsed)):
        command.upgrade(alembic_config(url), "head")


def require_head(url: str, time_outs: TimeOuts) -> None:
    """Refuse to work on a database that is away, or whose migrations did not run.

    Raises:
        NotReadyError: Saying what to do.
    """
    engine = create_database_engine(url, time_outs, connections=1)
    try:
        with _startable(parse_url(url)):
            current, head = current_revision(engine), head_revision()
    finally:
        engine.dispose()
    if current != head:
        raise NotReadyError(f"the database is at revision {current}, this version needs {head}: run `nas migrate`")


def require_present(url: str, time_outs: TimeOuts) -> None:
    """As `require_head`, of a database that is there: where there is no file, none is made.

    Raises:
        NotReadyError: Saying what to do.
    """
    file = database_file(parse_url(url))
    if file is not None and not file.is_file():
        raise NotReadyError(f"there is no database {file}: look at NAS_HOME and NAS_DATABASE_URL")
    require_head(url, time_outs)


@contextmanager
def _startable(url: URL) -> Iterator[None]:
    """Inside the block, raise whatever keeps a database from its first use as one sentence that says what to do.

    Raises:
        NotReadyError: As above.
    """
    file = database_file(url)
    name = f"the database {file}" if file is not None else f"the database at {url.host or 'the local socket'}"
    place = "set NAS_HOME or NAS_DATABASE_URL to another place" if file is not None else "start it, or set NAS_DATABASE_URL"
    try:
        with explained():
            yield
    except DatabaseAwayError as error:
        what = str(error).removeprefix("the database ")
        raise NotReadyError(f"{name} {what}: make it available, or {place}" if file else f"{name} {what}: {place}") from error
    except DatabaseError as error:
        if not isinstance(error.orig, sqlite3.DatabaseError) or isinstance(error.orig, sqlite3.OperationalError):
            raise
        raise NotReadyError(f"{name} is no SQLite database, or a damaged one: move it away, or {place}") from error
    except CommandError as error:
        raise NotReadyError(f"{name} was made by another version of nas-service ({error}): use that one, or {place}") from error


@contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """Keep other processes of this machine from migrating the same file; on PostgreSQL migrations/env.py does it."""
    if file is None:
        yield
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        Path(f"{file}.lock").touch()  # where that cannot be, a lock is waited for in vain
        lock = FileLock(f"{file}.lock", timeout=MIGRATION_WAIT_S)
        lock.acquire()
        if not file.exists():
            file.touch(mode=0o600)  # SQLite gives the files beside it the same
    except Timeout as error:
        raise NotReadyError(f"another process has been migrating {file} for {MIGRATION_WAIT_S:.0f} s: end it first") from error
    except OSError as error:
        what = (
            "is no folder" if isinstance(error, FileExistsError | NotADirectoryError) else f"cannot be written ({error.strerror})"
        )
        raise NotReadyError(
            f"the folder {file.parent} {what}: set NAS_HOME or NAS_DATABASE_URL to a place that can be written"
        ) from error
    try:
        yield
    finally:
        lock.release()


def current_revision(engine: Engine) -> str | None:
    """Return the database's revision, or None where no migration ran.

    Raises:
        DatabaseAwayError: If the database is, for now.
    """
    with explained(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def try_write(engine: Engine) -> None:
    """Commit something that changes no table: a full, locked or read-only database shows here.

    SQLite: a number in the file's header that is free for applications (an update to the same value would write nothing).
    PostgreSQL: a new version of the row that holds the revision.

    Raises:
        DatabaseAwayError: Naming what is in the way.
    """
    statement = "UPDATE alembic_version SET version_num = version_num"
    if engine.dialect.name == "sqlite":
        statement = f"PRAGMA user_version = {time.time_ns() % 2**31}"
    with explained(), engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as connection, connection.begin():
        connection.execute(text(statement))


class Standing(StrEnum):
    """Where a database stands beside the migrations of this version."""

    HEAD = "head"
    BEHIND = "behind"
    EMPTY = "empty"  # no migration ran
    UNKNOWN = "unknown"  # at a revision that this version does not have


def standing(engine: Engine) -> tuple[Standing, str | None]:
    """Return where a database stands, and its revision.

    Raises:
        DatabaseAwayError: If the database is, for now.
    """
    current = current_revision(engine)
    if current is None:
        return Standing.EMPTY, None
    if current == head_revision():
        return Standing.HEAD, current
    try:
        ScriptDirectory(str(MIGRATIONS)).get_revision(current)
    except CommandError:
        return Standing.UNKNOWN, current
    return Standing.BEHIND, current


@cache  # finding it means reading every migration
def head_revision() -> str | None:
    """Return the newest revision that this version of the project knows."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()

"""Engines: how a database is connected to, and how long anybody waits for it."""

import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from nas_service.errors import NotReadyError

ALLOWED = "sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME"


@dataclass(frozen=True)
class TimeOuts:
    """How long work on a database waits, in seconds; the defaults are those of drivers, which lose more by giving up.

    Attributes:
        lock_s: For another writer. SQLite: its busy time-out; PostgreSQL: `lock_timeout`.
        statement_s: For one statement; None: without limit. PostgreSQL only, where a server that says nothing is given up a
            second later.
        connect_s: For a connection, and for a sign of life of one that stood idle; PostgreSQL only, where less than 2 means 2.
        pool_s: For one of this process's connections to become free.
        idle_s: After which PostgreSQL ends a transaction that does nothing, so that a frozen process holds no lock for long.
    """

    lock_s: float = 60.0
    statement_s: float | None = 90.0
    connect_s: float = 30.0
    pool_s: float = 60.0
    idle_s: float = 120.0


DRIVERS = TimeOuts()
STARTS = TimeOuts(lock_s=10.0, statement_s=10.0, connect_s=5.0)
MIGRATIONS = TimeOuts(statement_s=None)


def parse_url(url: str) -> URL:
    """Return a database's URL in parts.

    Raises:
        NotReadyError: If it is none of a database that the service knows. It may hold a password, so it is not repeated.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise NotReadyError(f"the database's URL (NAS_DATABASE_URL) cannot be read; allowed: {ALLOWED}") from error
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg"}:
        raise NotReadyError(f"the database's URL (NAS_DATABASE_URL) begins with {parsed.drivername}://; allowed: {ALLOWED}")
    if parsed.get_backend_name() == "sqlite" and parsed.host is not None:
        raise NotReadyError(f"the database's URL (NAS_DATABASE_URL) names a host, and SQLite has none; allowed: {ALLOWED}")
    return parsed


def database_file(url: URL) -> Path | None:
    """Return the file of a SQLite database; None for one in memory, or on a server."""
    is_file = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(str(url.database)) if is_file else None


def create_database_engine(url: str, time_outs: TimeOuts = DRIVERS, connections: int = 20) -> Engine:
    """Return an engine for `url` (SQLite or PostgreSQL), set up as the project wants it.

    SQLite: write-ahead log, foreign keys on, a busy timeout, and transactions that begin when SQLAlchemy says so.
    PostgreSQL: connections are tested before use, and nothing waits without limit.

    Args:
        url: Where the database is.
        time_outs: How long to wait.
        connections: Most that this engine opens; half of them are kept.

    Raises:
        NotReadyError: If the URL is not one of a known database, its driver is not installed, or the folder of its file cannot
            be made.
    """
    parsed = parse_url(url)
    file = database_file(parsed)
    if file is not None:
        _make_folder(file.parent)
    elif parsed.get_backend_name() == "sqlite":
        return _sqlite(create_engine(parsed), time_outs)
    limited = _sqlite if file is not None else _limited_postgres()
    size = max(1, connections // 2)
    engine = create_engine(
        parsed, pool_pre_ping=file is None, pool_size=size, max_overflow=connections - size, pool_timeout=time_outs.pool_s
    )
    return limited(engine, time_outs)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = "is no folder" if isinstance(error, FileExistsError | NotADirectoryError) else f"cannot be made ({error.strerror})"
        raise NotReadyError(f"the folder of the database, {folder}, {what}: set NAS_HOME to a folder of its own") from error


def _limited_postgres() -> Callable[[Engine, TimeOuts], Engine]:
    try:
        from nas_service.storage.postgres import limited  # noqa: PLC0415 - psycopg is an extra
    except ImportError as error:
        raise NotReadyError(
            f"a database on PostgreSQL (NAS_DATABASE_URL) needs psycopg ({error}): `pip install 'nas-service[postgres]'`"
        ) from error
    return limited


def _sqlite(engine: Engine, time_outs: TimeOuts) -> Engine:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        busy = f"busy_timeout={math.ceil(1000 * time_outs.lock_s)}"  # first: the others may meet a lock
        for pragma in (busy, "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(str(connection.get_execution_options().get("sqlite_begin", "BEGIN")))

    return engine

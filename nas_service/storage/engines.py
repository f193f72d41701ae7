"""Engines: how a database is connected to, and how long anybody waits for it."""

import math
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from nas_service.errors import NotReadyError

Result = TypeVar("Result")

_WAKE_S = 0.1  # psycopg looks for signals as often
_SLACK_S = 1.0  # the server's own limit comes first, since its error says more
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


class _LimitedConnection(psycopg.Connection[TupleRow]):
    """A connection that gives up on a server that says nothing: one that is frozen never closes its socket."""

    limit_s: float | None = None

    def wait(self, gen: PQGen[Result], interval: float = _WAKE_S, timeout: float | None = None) -> Result:
        """Wait as psycopg does, within the limit; a connection whose statement still runs is of no more use."""
        try:
            return super().wait(gen, interval, self.limit_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


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
        NotReadyError: If the URL is not one of a known database, or the folder of its file cannot be made.
    """
    parsed = parse_url(url)
    file = database_file(parsed)
    if file is not None:
        _make_folder(file.parent)
    elif parsed.get_backend_name() == "sqlite":
        return _sqlite(create_engine(parsed), time_outs)
    size = max(1, connections // 2)
    engine = create_engine(
        parsed, pool_pre_ping=file is None, pool_size=size, max_overflow=connections - size, pool_timeout=time_outs.pool_s
    )
    return _postgres(engine, time_outs) if file is None else _sqlite(engine, time_outs)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = "is no folder" if isinstance(error, FileExistsError | NotADirectoryError) else f"cannot be made ({error.strerror})"
        raise NotReadyError(f"the folder of the database, {folder}, {what}: set NAS_HOME to a folder of its own") from error


def _postgres(engine: Engine, time_outs: TimeOuts) -> Engine:
    in_ms = {"lock_timeout": time_outs.lock_s, "idle_in_transaction_session_timeout": time_outs.idle_s}
    if time_outs.statement_s is not None:
        in_ms["statement_timeout"] = time_outs.statement_s
    options = " ".join(f"-c {name}={math.ceil(1000 * seconds)}" for name, seconds in in_ms.items())

    limit_s = None if time_outs.statement_s is None else time_outs.statement_s + _SLACK_S

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, words: tuple[Any, ...], named: dict[str, Any]) -> psycopg.Connection[TupleRow]:
        # What the URL says comes later, so it wins.
        ours = {"connect_timeout": math.ceil(time_outs.connect_s), "options": f"{options} {named.get('options', '')}".strip()}
        connection = _LimitedConnection.connect(*words, **{**ours, **named, "options": ours["options"]})
        connection.limit_s = limit_s
        return connection

    @event.listens_for(engine, "checkin")
    def expect_life(connection: _LimitedConnection | None, _: object) -> None:
        if connection is not None:  # the next thing sent is the pool's test of it
            connection.limit_s = time_outs.connect_s

    @event.listens_for(engine, "checkout")
    def expect_work(connection: _LimitedConnection, _: object, __: object) -> None:
        connection.limit_s = limit_s

    return engine


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

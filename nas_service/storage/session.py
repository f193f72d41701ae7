"""Engines and sessions: one synchronous stack for the API, the controller and the drivers."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uuid_utils
from sqlalchemy import Connection, DateTime, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

__all__ = ["TRANSIENT_ERRORS", "Database", "Session", "create_database_engine", "database_now", "exclusive", "new_id", "utc_now"]

BUSY_TIMEOUT_MS = 30_000
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (OperationalError, InterfaceError)  # the database is away for a moment


def new_id() -> str:
    """Return a UUIDv7: unique, and sorted by time of creation."""
    return str(uuid_utils.uuid7())


def utc_now() -> datetime:
    """Return the current moment in UTC, by this host's clock; what hosts compare is `database_now`."""
    return datetime.now(UTC)


def database_now(session: Session) -> datetime:
    """Return the current moment by the database's clock, which every host that shares the database goes by.

    A SQLite file belongs to one host, whose clock it is.
    """
    if session.get_bind().dialect.name != "postgresql":
        return utc_now()
    with session.no_autoflush:  # a row may be half made
        moment = session.scalar(select(func.clock_timestamp(type_=DateTime(timezone=True))))
    assert isinstance(moment, datetime)  # noqa: S101 - for the type checker; PostgreSQL always knows the time
    return moment.astimezone(UTC)


def exclusive(session: Session, lock: int) -> None:
    """Keep every other transaction that asks for the same `lock` waiting until this one ends.

    On SQLite every write transaction is exclusive already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


def create_database_engine(url: str) -> Engine:
    """Return an engine for `url` (SQLite or PostgreSQL), set up as the project wants it.

    SQLite: write-ahead log, foreign keys on, a busy timeout, and transactions that begin when SQLAlchemy says so.
    PostgreSQL: connections are tested before use.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(str(connection.get_execution_options().get("sqlite_begin", "BEGIN")))

    return engine


class Database:
    """A database as the rest of the service sees it."""

    def __init__(self, url: str) -> None:
        """Connect lazily to `url`."""
        self.engine = create_database_engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session for reading; nothing is committed."""
        with self._sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end of the block, or rolled back if it raises.

        On SQLite the write lock is taken at once, so that what is read before the first write cannot be stale.
        """
        with self._sessions() as session, session.begin():
            session.connection(execution_options={"sqlite_begin": "BEGIN IMMEDIATE"})
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

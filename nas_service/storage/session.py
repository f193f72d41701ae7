"""Sessions: one synchronous stack for the API, the controller and the drivers."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime

import uuid_utils
from sqlalchemy import DateTime, func, select, text
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from nas_service.storage import totals
from nas_service.storage.engines import DRIVERS, TimeOuts, create_database_engine
from nas_service.storage.trouble import TRANSIENT_ERRORS, explained
from nas_service.storage.visibility import EVERYBODYS, PROJECT

__all__ = [
    "TRANSIENT_ERRORS",
    "Connections",
    "Database",
    "Session",
    "TimeOuts",
    "create_database_engine",
    "database_now",
    "exclusive",
    "new_id",
    "utc_now",
]


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
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock}, execution_options=EVERYBODYS)


@dataclass(frozen=True)
class Connections:
    """Connections of a process to its database.

    Attributes:
        in_use: By somebody.
        idle: Open, and free.
        most: That may be open.
    """

    in_use: int
    idle: int
    most: int


class Database:
    """A database as the rest of the service sees it."""

    def __init__(self, url: str, time_outs: TimeOuts = DRIVERS, connections: int = 20) -> None:
        """Connect lazily to `url`.

        Raises:
            NotReadyError: If there can be no such database.
        """
        self.engine = create_database_engine(url, time_outs, connections)
        self._most = connections
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._info: dict[str, str] = {}

    def seen_by(self, project: str | None) -> "Database":
        """Return the same database as a project sees it; None: whole. What is another project's is not there."""
        seen = copy(self)
        seen._info = {} if project is None else {PROJECT: project}  # noqa: SLF001 - of this class itself
        return seen

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session for reading; nothing is committed.

        Raises:
            DatabaseAwayError: If the database is, for now.
        """
        with explained(), self._sessions(info=self._info) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end of the block, or rolled back if it raises.

        On SQLite the write lock is taken at once, so that what is read before the first write cannot be stale.

        Raises:
            DatabaseAwayError: If the database is, for now.
        """
        with explained(), self._sessions(info=self._info) as session, session.begin():
            session.connection(execution_options={"sqlite_begin": "BEGIN IMMEDIATE"})
            yield session
            totals.write_counted(session)

    def connections(self) -> "Connections":
        """Return how many connections this process has to the database."""
        pool = self.engine.pool
        if not isinstance(pool, QueuePool):  # of a database in memory
            return Connections(0, 0, 1)
        return Connections(pool.checkedout(), pool.checkedin(), self._most)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

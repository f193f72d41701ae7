"""Sessions: one synchronous stack for the API, the controller and the drivers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import uuid_utils
from sqlalchemy.orm import Session, sessionmaker

from nas_service.storage.engines import DRIVERS, TimeOuts, create_database_engine
from nas_service.storage.trouble import TRANSIENT_ERRORS, explained

__all__ = ["TRANSIENT_ERRORS", "Database", "Session", "TimeOuts", "create_database_engine", "new_id", "utc_now"]


def new_id() -> str:
    """Return a UUIDv7: unique, and sorted by time of creation."""
    return str(uuid_utils.uuid7())


def utc_now() -> datetime:
    """Return the current moment in UTC."""
    return datetime.now(UTC)


class Database:
    """A database as the rest of the service sees it."""

    def __init__(self, url: str, time_outs: TimeOuts = DRIVERS, connections: int = 20) -> None:
        """Connect lazily to `url`.

        Raises:
            NotReadyError: If there can be no such database.
        """
        self.engine = create_database_engine(url, time_outs, connections)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session for reading; nothing is committed.

        Raises:
            DatabaseAwayError: If the database is, for now.
        """
        with explained(), self._sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end of the block, or rolled back if it raises.

        On SQLite the write lock is taken at once, so that what is read before the first write cannot be stale.

        Raises:
            DatabaseAwayError: If the database is, for now.
        """
        with explained(), self._sessions() as session, session.begin():
            session.connection(execution_options={"sqlite_begin": "BEGIN IMMEDIATE"})
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

"""What the errors of a database mean: trouble that passes becomes `DatabaseAwayError`, a bug stays what it is."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from nas_service.errors import DatabaseAwayError
from nas_service.process_figures import DATABASE_ERRORS

# What a driver may live through by beginning another attempt.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (DatabaseAwayError, OperationalError, InterfaceError)

LOCKED = "is locked by another writer"
READ_ONLY = "cannot be written: it is read-only"
FULL = "cannot be written: its disk is full"
FAILING = "cannot be read or written: its disk is full or fails"
SHUT = "cannot be opened"
UNREACHABLE = "does not answer"
REFUSING = "refuses the user or the password"
MISSING = "is not there"
EXHAUSTED = "has no connection or memory left"
SLOW = "took too long over a statement"
BUSY = "is in use on every connection that this process may have"

_PRIMARY = 0xFF  # SQLite's extended codes hold more above the kind
_SQLITE = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: FAILING,
    sqlite3.SQLITE_CANTOPEN: SHUT,
    sqlite3.SQLITE_PERM: SHUT,
}
# SQLSTATE, or the class that its first two characters name.
_POSTGRES = {
    "08": UNREACHABLE,
    "25006": READ_ONLY,
    "25P03": SLOW,
    "28": REFUSING,
    "3D": MISSING,
    "40": LOCKED,
    "53": EXHAUSTED,
    "53100": FULL,
    "55P03": LOCKED,
    "57014": SLOW,
    "57": UNREACHABLE,
    "58": FAILING,
}

_SAID = (
    (re.compile(r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not exist"), REFUSING),
    (re.compile(r"database .* does not exist"), MISSING),
    (re.compile(r"too many clients|connection slots|too many connections"), EXHAUSTED),
)
for _state in {*_SQLITE.values(), *_POSTGRES.values(), UNREACHABLE, BUSY}:
    DATABASE_ERRORS.labels(_state)  # told as 0 before the first


def condition(error: DBAPIError | PoolTimeoutError) -> str | None:
    """Return the state of the database that an error shows, or None where the error is a statement's own fault."""
    if isinstance(error, PoolTimeoutError):
        return BUSY
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & _PRIMARY)
    state: str | None = getattr(cause, "sqlstate", None)  # of psycopg's errors, which may not be installed
    if state is None:
        return _unconnected(str(cause)) if isinstance(error, OperationalError | InterfaceError) else None
    return _POSTGRES.get(state, _POSTGRES.get(state[:2]))


def _unconnected(said: str) -> str:
    """Return why there is no connection: libpq keeps the server's SQLSTATE to itself then, and passes on its words alone."""
    return next((state for pattern, state in _SAID if pattern.search(said)), UNREACHABLE)


@contextmanager
def explained() -> Iterator[None]:
    """Inside the block, raise trouble that passes as a domain error without statement, values or address.

    Raises:
        DatabaseAwayError: Naming the condition of the database.
    """
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        found = condition(error)
        if found is None:
            raise
        DATABASE_ERRORS.labels(found).inc()
        raise DatabaseAwayError(f"the database {found}") from error

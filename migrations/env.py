"""Alembic's environment: runs the migrations on the URL it is given (`alembic -x url=... upgrade head`, or `nas migrate`)."""

import sqlite3
from typing import Literal

from alembic import context
from sqlalchemy import Connection, text

from nas_service.storage.engines import MIGRATIONS, create_database_engine
from nas_service.storage.models import Base, UtcDateTime

LOCK_KEY = 5_216_204_877  # any number that nobody else locks in this database


def wait_for_others(connection: Connection) -> None:
    """Hold PostgreSQL's advisory lock to the end of the transaction: whoever migrates too finds the work done.

    A SQLite file is locked by `nas_service.storage.schema.upgrade`.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))


def database_url() -> str:
    """Return the URL from the caller, or from `-x url=...`.

    Raises:
        ValueError: If there is none.
    """
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        message = "no database: call `nas migrate`, or give `alembic -x url=sqlite:///path ...`"
        raise ValueError(message)
    return str(url)


def render_item(kind: str, item: object, _: object) -> str | Literal[False]:
    """Write our moment type as the plain type it is stored as: a migration must not change when the code does."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    """Connect and migrate; batch mode, since SQLite cannot alter most things in place."""
    engine = create_database_engine(database_url(), MIGRATIONS)
    with engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            # A table that is altered is made anew and the old one dropped, which would delete all that refers to it.
            # The pragma is void inside a transaction, so it goes past SQLAlchemy, which would begin one.
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - for the type checker; the dialect says so
            raw.execute("PRAGMA foreign_keys=OFF")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=render_item,
        )
        with context.begin_transaction():
            wait_for_others(connection)
            context.run_migrations()
            if is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                message = f"a migration left {len(broken)} rows that refer to nothing; it was taken back"
                raise ValueError(message)
    engine.dispose()


if context.is_offline_mode():
    OFFLINE = "offline migrations are not offered: they cannot be tested"
    raise ValueError(OFFLINE)
run()

"""Saved databases: one of every released schema, filled by real searches and trainings, to be upgraded in a test.

To save another: let an embedded service of that version do a few jobs (one that succeeded, one cancelled at work, one failed,
one queued, an attacked candidate, a registered dataset), stop it, and run

    python -m tests.nas_service.storage.saving .nas/nas.db

which writes saved/<revision>.sql beside this file.
"""

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy import JSON, Engine, create_engine, func, insert, inspect, select
from sqlalchemy.schema import MetaData

FOLDER = Path(__file__).parent / "saved"
SAVED = sorted(FOLDER.glob("*.sql"))


def save(path: Path) -> Path:
    """Write a SQLite database as SQL, without the names of the machines that it ran on."""
    with closing(sqlite3.connect(path)) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        text = "\n".join(connection.iterdump()) + "\n"
        hosts = {row[0].rpartition(":")[0] for row in connection.execute("SELECT DISTINCT worker FROM samples")}
    for host in hosts - {""}:
        text = re.sub(rf"\b{re.escape(host)}(?=:\d)", "host", text)
    target = FOLDER / f"{revision}.sql"
    target.write_text(text)
    return target


def restore(saved: Path, path: Path) -> None:
    """Make the SQLite database at `path` what was saved."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(saved.read_text())


def copy_rows(source: Engine, target: Engine) -> None:
    """Copy every row of a SQLite database into another kind that has the same tables, empty."""
    tables = MetaData()
    tables.reflect(source)
    there = MetaData()
    there.reflect(target)
    with source.connect() as reader, target.begin() as writer:
        writer.exec_driver_sql("SET TIME ZONE 'UTC'")  # SQLite forgets the zone of a moment
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            for column in table.columns:
                if isinstance(there.tables[table.name].columns[column.name].type, JSON):
                    column.type = JSON()
            rows = [dict(row) for row in reader.execute(select(table).order_by(*table.primary_key)).mappings()]
            if rows:
                writer.execute(insert(there.tables[table.name]), rows)
        writer.execute(select(func.setval("events_id_seq", select(func.max(there.tables["events"].c.id)).scalar_subquery())))


def counts(engine: Engine) -> dict[str, int]:
    """Return the number of rows of every table."""
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        names = inspect(engine).get_table_names()
        return {name: connection.execute(select(func.count()).select_from(tables.tables[name])).scalar_one() for name in names}


def opened(path: Path) -> Engine:
    """Return an engine for a SQLite file."""
    return create_engine(f"sqlite:///{path}")


if __name__ == "__main__":
    print(save(Path(sys.argv[1])))  # noqa: T201 - a command's answer

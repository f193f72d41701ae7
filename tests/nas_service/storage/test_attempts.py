"""Attempts: claims, leases, and what is left by those that are gone, on both kinds of database."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from nas_service.errors import LateResultError
from nas_service.lifecycle import JobState
from nas_service.storage import attempts, jobs
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from tests.holds import LEASE, claimed, held, let_lapse, progress


def _new(database: Database) -> Job:
    with database.write() as session:
        return jobs.create_job(session, jobs.SEARCH, "a job", {"seed": 1})


def _running(database: Database) -> tuple[Job, Hold]:
    _new(database)
    with database.write() as session:
        return held(session)


def _job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get_job(session, job_id)


def test_the_oldest_job_is_claimed_first_and_its_attempt_counts(database: Database) -> None:
    first, second = _new(database), _new(database)
    with database.write() as session:
        taken = [attempts.claim(session, LEASE, most=5) for _ in range(3)]
    assert [job.id if job else None for job in taken] == [first.id, second.id, None]
    assert taken[0] is not None
    assert taken[0].attempt == 1


def test_a_claim_leaves_a_driver_its_own_time_to_start(database: Database) -> None:
    _new(database)
    with database.write() as session:
        job = attempts.claim(session, timedelta(minutes=7), most=1)
    assert job is not None
    assert job.lease_expires_at is not None
    assert timedelta(minutes=6) < job.lease_expires_at - datetime.now(UTC) < timedelta(minutes=8)


def test_no_more_jobs_are_claimed_than_may_be_held(database: Database) -> None:
    for _ in range(3):
        _new(database)
    with database.write() as session:
        taken = [attempts.claim(session, LEASE, most=2) for _ in range(3)]
    assert [job is not None for job in taken] == [True, True, False]


def test_registrations_neither_wait_for_other_jobs_nor_hold_them_up(database: Database) -> None:
    """Each lane counts what it holds itself; the oldest that may begin is taken first."""
    with database.write() as session:
        kinds = [jobs.SEARCH, jobs.TRAINING, jobs.REGISTRATION, jobs.REGISTRATION, jobs.SEARCH]
        made = [jobs.create_job(session, kind, "", {}).id for kind in kinds]
        taken = [attempts.claim(session, LEASE, most=2, most_registrations=1) for _ in range(4)]
        assert [job.id if job else None for job in taken] == [*made[:3], None]
        jobs.move(session, made[2], JobState.FAILED)
        fourth = attempts.claim(session, LEASE, most=2, most_registrations=1)
        assert fourth is not None
        assert fourth.id == made[3]
        assert attempts.claim(session, LEASE, most=2, most_registrations=1) is None


def _in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_controllers_at_once_never_hold_more_than_one_job_where_one_is_allowed(database: Database) -> None:
    """Each looks, claims and ends jobs again and again; what all hold at the same time is counted inside the transaction."""
    for _ in range(12):
        _new(database)
    taken: list[str] = []
    most = [0]

    def work() -> None:
        while len(taken) < 12:
            with database.write() as session:
                job = attempts.claim(session, LEASE, most=1)
                if job is not None:
                    most[0] = max(most[0], attempts.held_count(session))
            if job is not None:
                taken.append(job.id)
                with database.write() as session:
                    jobs.move(session, job.id, JobState.FAILED)

    _in_threads(4, work)
    assert len(taken) == len(set(taken)) == 12
    assert most == [1]


def test_two_controllers_never_claim_the_same_job(database: Database) -> None:
    for _ in range(20):
        _new(database)
    taken: list[str] = []

    def work() -> None:
        while True:
            with database.write() as session:
                job = attempts.claim(session, LEASE, most=1000)
            if job is None:
                return
            taken.append(job.id)

    _in_threads(4, work)
    assert len(taken) == len(set(taken)) == 20


def test_a_driver_of_an_older_attempt_can_neither_start_nor_commit(database: Database) -> None:
    job, hold = _running(database)
    with database.write() as session:
        attempts.release(session, jobs.get_job(session, job.id), "killed", 3)
        held(session)
    for late in (attempts.renew, attempts.tell):
        with (
            pytest.raises(LateResultError, match=r"attempt 1 of search .* is over: the job is running in attempt 2"),
            database.write() as session,
        ):
            late(session, hold, progress(99))
    for other in (attempts.start, attempts.state_of, lambda session, hold: attempts.wait(session, hold, "nothing")):
        with pytest.raises(LateResultError), database.write() as session:
            other(session, hold)
    assert _job(database, job.id).progress == {}


def test_a_lost_job_is_queued_again_and_fails_after_attempts_without_progress(database: Database) -> None:
    _new(database)
    outcomes = []
    for _ in range(3):
        with database.write() as session:
            job, _ = held(session)
            outcomes.append(attempts.release(session, job, "killed", 3))
    assert outcomes == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    with database.read() as session:
        (failed,) = jobs.list_jobs(session, jobs.SEARCH, limit=5)
    assert failed.error == "lost 3 drivers in a row without progress; the last: killed"
    assert failed.finished_at is not None


def test_a_job_whose_driver_never_began_is_not_to_blame(database: Database) -> None:
    """It is queued again however often that happens, and says what it waits for."""
    job = _new(database)
    for _ in range(5):
        with database.write() as session:
            assert attempts.release(session, claimed(session), "no memory", 3) is JobState.QUEUED
    waiting = _job(database, job.id)
    assert (waiting.stalls, waiting.attempt, waiting.waiting_for) == (0, 5, "its driver to start: no memory")
    with database.write() as session:
        started, _ = held(session)
    assert started.waiting_for is None


def test_progress_resets_the_count_of_fruitless_attempts(database: Database) -> None:
    _new(database)
    for _ in range(5):
        with database.write() as session:
            job, hold = held(session)
            attempts.renew(session, hold, progress(job.attempt), usual_s=2.5)
            assert attempts.release(session, jobs.get_job(session, job.id), "killed", 2) is JobState.QUEUED
    with database.read() as session:
        (kept,) = jobs.list_jobs(session, jobs.SEARCH, limit=2)
    assert (kept.stalls, kept.usual_s, kept.progress["samples"]) == (1, 2.5, 5)
    assert kept.committed_at is not None


def test_what_is_only_told_does_not_reset_it(database: Database) -> None:
    _new(database)
    outcomes = []
    for _ in range(2):
        with database.write() as session:
            job, hold = held(session)
            attempts.tell(session, hold, progress(1))
            told = jobs.get_job(session, job.id)
            assert (told.progress["samples"], told.committed_at) == (1, None)
            outcomes.append(attempts.release(session, told, "killed", 2))
    assert outcomes == [JobState.QUEUED, JobState.FAILED]


def test_what_a_dead_driver_was_asked_for_is_done(database: Database) -> None:
    for request, expected in ((jobs.request_cancel, JobState.CANCELLED), (jobs.request_pause, JobState.PAUSED)):
        job, _ = _running(database)
        with database.write() as session:
            request(session, job.id, jobs.SEARCH)
        with database.write() as session:
            assert attempts.release(session, jobs.get_job(session, job.id), "killed", 3) is expected
        assert _job(database, job.id).state == expected.value


@pytest.mark.parametrize("request_of", [jobs.request_cancel, jobs.request_pause])
def test_what_should_end_or_rest_is_never_queued_again(request_of: Callable[..., Job], database: Database) -> None:
    job, hold = _running(database)
    with database.write() as session:
        asked = request_of(session, job.id, jobs.SEARCH).state
        assert not attempts.requeue(session, hold, "the service was stopped")
    assert _job(database, job.id).state == asked


@pytest.mark.parametrize(
    ("request_of", "seen"), [(jobs.request_cancel, JobState.CANCELLING), (jobs.request_pause, JobState.PAUSING)]
)
def test_a_driver_learns_what_was_asked_from_its_commit_and_by_looking(
    request_of: Callable[..., Job], seen: JobState, database: Database
) -> None:
    job, hold = _running(database)
    with database.write() as session:
        request_of(session, job.id, jobs.SEARCH)
    with database.read() as session:
        assert attempts.state_of(session, hold) is seen
    with database.write() as session:
        assert attempts.renew(session, hold) is seen


def test_a_lease_is_written_and_judged_by_the_databases_clock(database: Database) -> None:
    job, hold = _running(database)
    with database.read() as session:
        assert not attempts.lapsed(session, [jobs.get_job(session, job.id)])
    let_lapse(database, job.id)
    with database.read() as session:
        assert attempts.lapsed(session, [jobs.get_job(session, job.id)])
    with database.write() as session:
        attempts.renew(session, hold)
    with database.read() as session:
        assert not attempts.lapsed(session, [jobs.get_job(session, job.id)])


def test_what_keeps_an_attempt_from_going_on_is_shown_until_it_goes_on(database: Database) -> None:
    job, hold = _running(database)
    with database.write() as session:
        attempts.wait(session, hold, "a place on the cluster")
    assert _job(database, job.id).waiting_for == "a place on the cluster"
    with database.write() as session:
        attempts.renew(session, hold, progress(1))
    assert _job(database, job.id).waiting_for is None

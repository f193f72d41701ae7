"""A driver's hold on its job: it sees what is asked, renews its lease, notices stalls, and leaves in time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from nas_service.settings import Settings
from nas_service.storage import attempts, jobs
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from nas_service.storage.usage import usage_of
from tests.holds import LEASE, claimed, let_lapse
from tests.waiting import wait_until
from tests.workers.conftest import job_of, submitted
from workers.context import (
    ELSEWHERE,
    CancelledError,
    JobContext,
    JobEndedError,
    PausedError,
    ReleasedError,
    StalledError,
)


def _never(reason: JobEndedError) -> None:
    raise AssertionError(f"nobody should have to leave by force: {reason}")


@pytest.fixture
def context(settings: Settings, opened: Database) -> Iterator[JobContext]:
    """Return the context of a job that was claimed."""
    job = submitted(opened)
    with opened.write() as session:
        claimed(session)
    made = JobContext(settings.model_copy(update={"lease_s": 0.8}), job.id, 1)
    made.start()
    yield made
    made.close()


def _ended(context: JobContext) -> JobEndedError:
    def look() -> JobEndedError | None:
        try:
            context.check()
        except JobEndedError as error:
            return error
        return None

    found = wait_until(look, lambda seen: seen is not None, 10)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("request_of", "error"), [(jobs.request_cancel, CancelledError), (jobs.request_pause, PausedError)], ids=["cancel", "pause"]
)
def test_what_is_asked_is_seen_without_a_commit(
    request_of: object, error: type[JobEndedError], context: JobContext, opened: Database
) -> None:
    with context.alive(_never):
        with opened.write() as session:
            request_of(session, context.hold.job_id, jobs.SEARCH)  # type: ignore[operator]  # a function, parametrised
        assert isinstance(_ended(context), error)


def test_the_lease_is_renewed_while_nothing_is_committed(context: JobContext, opened: Database) -> None:
    with context.alive(_never):
        let_lapse(opened, context.hold.job_id)

        def is_held() -> bool:
            with opened.read() as session:
                return not attempts.lapsed(session, [jobs.get_job(session, context.hold.job_id)])

        wait_until(is_held, bool, 10)
    assert not context.should_end


def test_what_actors_have_is_written_with_the_next_look(context: JobContext, opened: Database) -> None:
    def held() -> tuple[float, float]:
        job = job_of(opened, context.hold.job_id)
        return job.cpus, job.gpus

    with context.alive(_never):
        for devices in ((4.0, 0.5), (0.0, 0.0)):
            context.holds(*devices)
            wait_until(held, devices.__eq__, 10)
    with opened.read() as session:
        used = usage_of(session, [context.hold.job_id])[context.hold.job_id]
    assert used.cpu_seconds == pytest.approx(8 * used.gpu_seconds)
    assert 0 < used.gpu_seconds <= 0.5 * used.seconds


def test_an_attempt_that_was_taken_over_ends(context: JobContext, opened: Database) -> None:
    with context.alive(_never):
        with opened.write() as session:
            attempts.release(session, jobs.get_job(session, context.hold.job_id), "its lease ran out", 3)
        assert type(_ended(context)) is JobEndedError


def test_a_locked_database_is_waited_for(context: JobContext, opened: Database) -> None:
    """Somebody writes for two leases; the job is renewed when they are done, and goes on."""
    with context.alive(_never):
        with opened.write():
            time.sleep(2)
        wait_until(lambda: job_of(opened, context.hold.job_id), lambda job: _is_fresh(opened, job), 20)
    assert not context.should_end


def _is_fresh(opened: Database, job: Job) -> bool:
    with opened.read() as session:
        return not attempts.lapsed(session, [job])


def test_being_asked_to_end_releases_the_job(context: JobContext) -> None:
    with context.alive(_never):
        os.kill(os.getpid(), signal.SIGTERM)
        assert isinstance(_ended(context), ReleasedError)


def test_no_sign_of_progress_is_a_stall_and_waiting_for_a_place_is_none(settings: Settings, opened: Database) -> None:
    job = submitted(opened)
    with opened.write() as session:
        claimed(session)
    quick = settings.model_copy(update={"first_progress_s": 1.0, "stall_s": 0.5})
    context = JobContext(quick, job.id, 1)
    context.start()
    with context.alive(_never):
        context.wait_for("a place on the cluster")
        assert job_of(opened, job.id).waiting_for == "a place on the cluster"
        time.sleep(2.5)
        context.check()
        context.go_on()  # there is one now; what has it gives no sign
        assert job_of(opened, job.id).waiting_for is None
        assert isinstance(_ended(context), StalledError)
    context.give_up("stalled")
    assert (job_of(opened, job.id).state, job_of(opened, job.id).stalls) == ("queued", 1)
    context.close()


def test_silence_while_the_database_is_locked_is_no_stall(settings: Settings, opened: Database) -> None:
    """Work goes on, and nobody can write what was done."""
    job = submitted(opened)
    with opened.write() as session:
        claimed(session)
    context = JobContext(settings.model_copy(update={"first_progress_s": 2.5, "lease_s": 2.0}), job.id, 1)
    context.start()
    with context.alive(_never):
        with opened.write():
            time.sleep(5)
        time.sleep(1)
        context.check()
        assert isinstance(_ended(context), StalledError)
    context.close()


_STUCK = """
import sys, time
from nas_service.settings import Settings
from workers.context import JobContext

context = JobContext(Settings(), sys.argv[1], 1)
context.start()

def leave(reason):
    context.pause()

with context.alive(leave):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_driver_whose_main_thread_is_stuck_leaves_by_force(settings: Settings, opened: Database) -> None:
    """As one that waits for a device that hangs, or for a Ray that does not shut down."""
    job = submitted(opened)
    with opened.write() as session:
        claimed(session)
    environment = {**os.environ, **settings.model_copy(update={"leave_s": 0.5}).environment()}
    process = subprocess.Popen([sys.executable, "-c", _STUCK, job.id], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with opened.write() as session:
        jobs.request_pause(session, job.id, jobs.SEARCH)
    assert process.wait(30) == ELSEWHERE
    assert job_of(opened, job.id).state == "paused"


def test_commits_of_an_attempt_that_is_over_are_refused_from_any_thread(context: JobContext, opened: Database) -> None:
    with opened.write() as session:
        attempts.release(session, jobs.get_job(session, context.hold.job_id), "killed", 3)
    refused: list[str] = []

    def work() -> None:
        try:
            context.commit(lambda session: attempts.renew(session, Hold(context.hold.job_id, 1, LEASE)))
        except Exception as error:  # noqa: BLE001 - what it is is what the test looks at
            refused.append(type(error).__name__)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert refused == ["LateResultError"]


def test_a_driver_keeps_one_connection_however_many_it_had_for_a_moment(context: JobContext) -> None:
    """A thousand drivers share a server's connections."""
    pool = context.database.engine.pool
    assert isinstance(pool, QueuePool)
    with context.database.read() as first, context.database.read() as second:
        assert [session.scalar(text("SELECT 1")) for session in (first, second)] == [1, 1]
        assert pool.checkedout() == 2
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)

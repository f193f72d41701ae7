"""Jobs: moves, requests, lists, on both kinds of database."""

import pytest

from nas_service.errors import ConflictError, NotFoundError
from nas_service.lifecycle import MOVES, JobState
from nas_service.storage import events, jobs
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from tests.holds import held


def _new(database: Database, kind: str = jobs.SEARCH) -> Job:
    with database.write() as session:
        return jobs.create_job(session, kind, "a job", {"seed": 1})


def _running(database: Database) -> Job:
    _new(database)
    with database.write() as session:
        return held(session)[0]


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


_PAUSED = {
    JobState.QUEUED: JobState.PAUSED,
    JobState.STARTING: JobState.PAUSING,
    JobState.RUNNING: JobState.PAUSING,
    JobState.PAUSING: JobState.PAUSING,
    JobState.PAUSED: JobState.PAUSED,
}
_RESUMED = {
    JobState.QUEUED: JobState.QUEUED,
    JobState.STARTING: JobState.STARTING,
    JobState.RUNNING: JobState.RUNNING,
    JobState.PAUSED: JobState.QUEUED,
}


@pytest.mark.parametrize("source", JobState)
@pytest.mark.parametrize(("request_of", "expected"), [("pause", _PAUSED), ("resume", _RESUMED)])
def test_a_job_is_paused_and_resumed_from_every_state_that_allows_it(
    source: JobState, request_of: str, expected: dict[JobState, JobState], sqlite_url: str
) -> None:
    """Asking for what is so already is no error; asking for what cannot be is one that names the state."""
    database = Database(sqlite_url)
    job = _new(database)
    request = {"pause": jobs.request_pause, "resume": jobs.request_resume}[request_of]
    with database.write() as session:
        jobs.get_job(session, job.id).state = source.value
    if source in expected:
        with database.write() as session:
            assert request(session, job.id, jobs.SEARCH).state == expected[source].value
    else:
        with pytest.raises(ConflictError, match=source.value), database.write() as session:
            request(session, job.id, jobs.SEARCH)
        assert _state(database, job.id) is source
    database.close()


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

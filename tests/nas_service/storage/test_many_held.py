"""What is asked again and again while many jobs are held does not ask more often, or for more, the more they are."""

from collections.abc import Callable

import pytest
from sqlalchemy.exc import InvalidRequestError

from nas_service.lifecycle import FINISHED, JobState
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.strategy import STRATEGIES
from nas_service.storage import at_work, attempts, events, jobs, samples, watching
from nas_service.storage.models import Job
from nas_service.storage.samples import WaveRecord
from nas_service.storage.session import Database, Session
from search_spaces.space import SPACES
from tests.holds import claimed, held, progress
from tests.samples import random_genotype
from tests.statements import asked

ARMS = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0).arms(())


def _sampling(session: Session, *workers: str) -> Job:
    """Return a running search of which every worker gave a sample."""
    jobs.create_job(session, jobs.SEARCH, "", {"space": {"name": "tiny"}})
    job, hold = held(session)
    given = tuple(Sample(place, random_genotype(SPACES.get("tiny")), 0.5) for place in range(len(workers)))
    evaluations = tuple(Evaluation(0.5, 0.1, diverged=False, seconds=1.0, worker=worker) for worker in workers)
    if given:
        record = WaveRecord(Wave(given, evaluations, given), ({},) * len(given), ARMS, progress(len(given)))
        samples.commit_wave(session, hold, record)
    return job


def _reap(session: Session) -> None:
    attempts.lapsed(session, attempts.held(session))


@pytest.mark.parametrize("ask", [_reap, at_work.workers_of, lambda session: watching.held_or(session, ())])
def test_as_many_statements_for_many_as_for_one(ask: Callable[[Session], object], database: Database) -> None:
    sent = []
    for _ in range(2):
        with database.write() as session:
            for _ in range(3):
                _sampling(session, "a:1", "b:2")
        with asked(database) as statements, database.read() as session:
            ask(session)
        sent.append(len(statements))
    assert sent[0] == sent[1] > 0


def test_specs_are_not_read_where_nobody_needs_them(database: Database) -> None:
    with database.write() as session:
        made = _sampling(session).id
    for ask in (attempts.held, lambda session: watching.held_or(session, ())):
        with database.read() as session:
            (job,) = ask(session)
            assert (job.id, job.state, job.attempt) == (made, "running", 1)
            with pytest.raises(InvalidRequestError):
                _ = job.spec


def test_workers_are_those_of_todays_attempts_each_with_its_own_last_sample(database: Database) -> None:
    with database.write() as session:
        first, second, third = _sampling(session, "a:1", "b:2", "a:1"), _sampling(session, "c:3"), _sampling(session, "d:4")
        attempts.release(session, jobs.get_job(session, third.id), "its driver went away", 3)
    with database.read() as session:
        found = [(worker.id, worker.job_id, worker.doing) for worker in at_work.workers_of(session) if worker.host]
        drivers = [(worker.job_id, worker.since) for worker in at_work.workers_of(session) if worker.host is None]
        moved = {job.id: events.list_events(session, job.id, limit=9, kinds=["state"])[-1].created_at for job in (first, second)}
    assert found == [
        ("a:1", first.id, "sampling; gave sample 2"),
        ("b:2", first.id, "sampling; gave sample 1"),
        ("c:3", second.id, "sampling; gave sample 0"),
    ]
    assert drivers == [(job.id, moved[job.id]) for job in (first, second)]


@pytest.mark.parametrize("stalls", [0, 2])
@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING])
def test_what_a_search_found_is_wanted_exactly_where_its_last_attempt_ends(
    state: JobState, stalls: int, database: Database
) -> None:
    with database.write() as session:
        job_id = jobs.create_job(session, jobs.SEARCH, "", {}).id
        if state is JobState.STARTING:
            claimed(session)
        else:
            held(session)
        if state in {JobState.PAUSING, JobState.CANCELLING}:
            jobs.move(session, job_id, state)
        jobs.set_values(session, job_id, stalls=stalls)
        job = jobs.get_job(session, job_id)
        told = attempts.is_last(job, 3)
        ended = attempts.release(session, job, "its driver went away", 3)
    assert told == (ended in FINISHED)

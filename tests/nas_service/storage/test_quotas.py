"""Quotas in real databases: what one owner may have, also where two submit at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nas_service.access import Whose
from nas_service.errors import InvalidInputError, LimitReachedError
from nas_service.lifecycle import JobState
from nas_service.storage import jobs
from nas_service.storage.models import Job
from nas_service.storage.quotas import Quota, require_room
from nas_service.storage.session import Database


def _submit(database: Database, owner: str, quota: Quota, samples: int = 1) -> str:
    with database.write() as session:
        require_room(session, owner, quota, samples)
        job = jobs.create_job(session, jobs.SEARCH, "", {}, whose=Whose(owner))
        job.samples = samples
        return job.id


def test_an_owner_has_so_many_jobs_that_are_not_over(database: Database) -> None:
    quota = Quota(jobs=2)
    first = _submit(database, "ada", quota)
    second = _submit(database, "ada", quota)
    with database.write() as session:
        jobs.request_pause(session, second, jobs.SEARCH)
    said = r"^ada has 2 jobs that are not over; allowed: 2 \(NAS_KEY_JOBS\)"
    with pytest.raises(LimitReachedError, match=said):
        _submit(database, "ada", quota)
    _submit(database, "grace", quota)
    with database.write() as session:
        jobs.request_cancel(session, first, jobs.SEARCH)
        jobs.move(session, first, JobState.CANCELLED)
    _submit(database, "ada", quota)


def test_an_owner_has_so_many_samples_in_searches_that_are_not_over(database: Database) -> None:
    quota = Quota(samples=100)
    first = _submit(database, "ada", quota, 60)
    _submit(database, "ada", quota, 40)
    said = r"^the searches of ada that are not over take 100 samples, and this one 1; allowed: 100 in all \(NAS_KEY_SAMPLES\)"
    with pytest.raises(LimitReachedError, match=said):
        _submit(database, "ada", quota, 1)
    with database.write() as session:
        jobs.request_cancel(session, first, jobs.SEARCH)
        jobs.move(session, first, JobState.CANCELLED)
    _submit(database, "ada", quota, 60)


def test_a_search_that_never_has_room_is_refused_for_what_it_is(database: Database) -> None:
    said = r"strategy.settings: '101 samples' is not allowed; allowed: searches of at most 100 samples in all \(NAS_KEY_SAMPLES\)"
    with pytest.raises(InvalidInputError, match=said):
        _submit(database, "ada", Quota(samples=100), 101)


def test_without_a_limit_there_is_none(database: Database) -> None:
    for _ in range(5):
        _submit(database, "ada", Quota(), 10**6)


@pytest.mark.parametrize("quota", [Quota(jobs=3), Quota(samples=30)], ids=["jobs", "samples"])
def test_of_many_that_submit_at_once_no_more_get_through(database: Database, quota: Quota) -> None:
    together = threading.Barrier(8)

    def submit(_: int) -> bool:
        together.wait()
        try:
            _submit(database, "ada", quota, 10)
        except LimitReachedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit, range(8))) == 3
    with database.read() as session:
        assert session.query(Job).count() == 3

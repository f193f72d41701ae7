"""Deleting jobs: only what is over, never what others need, and nothing of it stays."""

import pytest
from sqlalchemy import func, select

from nas_service.errors import ConflictError, NotFoundError
from nas_service.lifecycle import CandidateState, JobState
from nas_service.reports import DatasetReport
from nas_service.specs import RegistrationSpec
from nas_service.storage import architectures, artifacts, candidates, datasets, jobs, litter
from nas_service.storage.artifacts import StoredFile
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.datasets import Registration
from nas_service.storage.deletion import delete_job
from nas_service.storage.keys import candidate_folder, registration_folder, sheet_key
from nas_service.storage.models import Base, Total
from nas_service.storage.session import Database, Session
from search_spaces.space import SPACES
from tests.holds import held
from tests.samples import random_genotype


def _finish(session: Session) -> str:
    job, _ = held(session)
    jobs.move(session, job.id, JobState.SUCCEEDED)
    return job.id


@pytest.fixture
def history(database: Database) -> tuple[str, str, str]:
    """Return a search that is over, its training that is over too, and a candidate of it with a file."""
    with database.write() as session:
        search = jobs.create_job(session, jobs.SEARCH, "", {})
        _finish(session)
        found = [architectures.Discovery(random_genotype(SPACES.get("tiny")), 0.9, {"ops": 2.5})]
        (architecture,) = architectures.add_architectures(session, search.id, found)
        training = jobs.create_job(session, jobs.TRAINING, "", {"architectures": [architecture.id], "teacher": None})
        planned = [PlannedCandidate(architecture.id, {"name": "bnn", "settings": {}}, 0)]
        (candidate,) = candidates.plan_candidates(session, training.id, planned)
        candidates.begin(session, candidate.id, "host:1", "cpu", 0)
        candidates.move(session, candidate.id, CandidateState.SUCCEEDED)
        artifacts.record_artifact(session, candidate.id, "bundle", StoredFile.of("candidates/x/bundle.zip", b"content"))
        _finish(session)
    return search.id, training.id, candidate.id


def _count(database: Database) -> dict[str, int]:
    with database.read() as session:
        tables = {name: table for name, table in Base.metadata.tables.items() if name != Total.__tablename__}  # these stay
        return {name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.items()}


def test_a_training_goes_with_its_candidates_and_their_files(database: Database, history: tuple[str, str, str]) -> None:
    search_id, training_id, candidate_id = history
    with database.write() as session:
        delete_job(session, training_id, jobs.TRAINING, with_trainings=False)
    counted = _count(database)
    assert (counted["jobs"], counted["candidates"], counted["artifacts"], counted["architectures"]) == (1, 0, 0, 1)
    with database.read() as session:
        assert jobs.get_job(session, search_id).id == search_id
        assert candidate_folder(candidate_id) in litter.list_litter(session, 99)


def test_a_search_takes_trainings_along_only_if_that_is_said(database: Database, history: tuple[str, str, str]) -> None:
    search_id, training_id, candidate_id = history
    with pytest.raises(ConflictError, match=training_id), database.write() as session:
        delete_job(session, search_id, jobs.SEARCH, with_trainings=False)
    with database.write() as session:
        delete_job(session, search_id, jobs.SEARCH, with_trainings=True)
        assert candidate_folder(candidate_id) in litter.list_litter(session, 99)
    assert {name for name, count in _count(database).items() if count} == {"litter", "usage"}


@pytest.mark.parametrize("begun", [False, True])
def test_what_an_open_training_needs_stays(database: Database, history: tuple[str, str, str], *, begun: bool) -> None:
    """Whether it waits in the queue still, without candidates, or is at work."""
    search_id, training_id, candidate_id = history
    with database.write() as session:
        spec = {**jobs.get_job(session, training_id).spec, "teacher": candidate_id}
        student = jobs.create_job(session, jobs.TRAINING, "", spec)
        if begun:
            held(session)
    with pytest.raises(ConflictError, match=student.id), database.write() as session:
        delete_job(session, search_id, jobs.SEARCH, with_trainings=True)
    with pytest.raises(ConflictError, match="teaches in training"), database.write() as session:
        delete_job(session, training_id, jobs.TRAINING, with_trainings=False)
    assert _count(database)["candidates"] == 1


def test_a_registration_goes_without_its_dataset(database: Database) -> None:
    with database.write() as session:
        job = jobs.create_job(session, jobs.REGISTRATION, "pets", {})
        sheet = StoredFile.of(sheet_key(job.id), b"content")
        datasets.register_dataset(
            session, job.id, Registration(RegistrationSpec(name="pets", kind="digits"), DatasetReport(), sheet)
        )
        _finish(session)
        delete_job(session, job.id, jobs.REGISTRATION, with_trainings=False)
        assert registration_folder(job.id) not in litter.list_litter(session, 99)
    assert {name for name, count in _count(database).items() if count} == {"datasets", "artifacts", "litter", "usage"}
    with database.write() as session:
        datasets.delete_dataset(session, "pets")
        assert registration_folder(job.id) in litter.list_litter(session, 99)
    assert {name for name, count in _count(database).items() if count} == {"litter", "usage"}


def test_a_job_that_is_not_over_stays(database: Database) -> None:
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
    with pytest.raises(ConflictError, match="is queued; cancel it"), database.write() as session:
        delete_job(session, job.id, jobs.SEARCH, with_trainings=True)
    with pytest.raises(NotFoundError), database.write() as session:
        delete_job(session, job.id, jobs.TRAINING, with_trainings=True)


@pytest.mark.parametrize("over", [False, True])
def test_a_search_that_another_begins_from_stays(database: Database, history: tuple[str, str, str], *, over: bool) -> None:
    """Over or not: what the other thought after any number of its samples is worked out from both."""
    search_id, training_id, _ = history
    with database.write() as session:
        delete_job(session, training_id, jobs.TRAINING, with_trainings=False)
        follower = jobs.create_job(session, jobs.SEARCH, "", {"from_search": {"search": search_id, "samples": 7}})
        jobs.create_job(session, jobs.SEARCH, "", {"from_search": None})
        if over:
            _finish(session)
    with pytest.raises(ConflictError, match=follower.id), database.write() as session:
        delete_job(session, search_id, jobs.SEARCH, with_trainings=True)
    if over:
        with database.write() as session:
            delete_job(session, follower.id, jobs.SEARCH, with_trainings=False)
            delete_job(session, search_id, jobs.SEARCH, with_trainings=False)

"""A controller on a real database that starts real driver processes."""

from collections.abc import Iterator

import pytest

from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.models import Job
from nas_service.storage.samples import WaveRecord, commit_wave
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.holds import held, progress
from workers.child_processes import ChildProcessLauncher
from workers.context import JobContext
from workers.controller import Controller
from workers.driver import carry_out


@pytest.fixture
def opened(settings: Settings) -> Iterator[Database]:
    """Return the database of `settings`."""
    database = Database(settings.database)
    yield database
    database.close()


@pytest.fixture
def launcher(settings: Settings) -> Iterator[ChildProcessLauncher]:
    """Return a launcher whose drivers end with the test."""
    made = ChildProcessLauncher(settings)
    yield made
    made.close(grace_s=0)


@pytest.fixture
def controller(settings: Settings, opened: Database, launcher: ChildProcessLauncher) -> Controller:
    """Return a controller that the test steps by hand."""
    return Controller(settings, opened, launcher)


def submitted(database: Database, **spec: object) -> Job:
    """Queue a search of `tiny`."""
    with database.write() as session:
        body = SearchSpec.model_validate({"space": "tiny", **spec}).model_dump(mode="json")
        return jobs.create_job(session, jobs.SEARCH, "", body)


def job_of(database: Database, job_id: str) -> Job:
    """Return a job as it stands now."""
    with database.read() as session:
        return jobs.get_job(session, job_id)


def carried_out(settings: Settings) -> int:
    """Carry out one attempt at the oldest job in this process, and return the exit status."""
    database = Database(settings.database)
    with database.write() as session:
        job, _ = held(session)
    database.close()
    context = JobContext(settings, job.id, job.attempt)
    try:
        return carry_out(context, job)
    finally:
        context.close()


def running(database: Database) -> Job:
    """Hold the oldest job as a driver does that this controller knows nothing of."""
    with database.write() as session:
        return held(session)[0]


def sampled(database: Database, samples: int = 1, **spec: object) -> Job:
    """Return a running search with committed samples, whose rewards are 0, 1/4, 2/4 ..."""
    strategy = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0)
    history = tuple(Sample(index, genotype, index / 4) for index, genotype in enumerate(strategy.suggest((), samples)))
    evaluations = tuple(Evaluation(sample.reward, 1.0, diverged=False, seconds=1.0) for sample in history)
    costs = ({"ops": 7},) * samples
    record = WaveRecord(Wave(history, evaluations, history), costs, strategy.arms(history), progress(samples))
    submitted(database, **spec)
    with database.write() as session:
        job, hold = held(session)
        commit_wave(session, hold, record)
        return jobs.get_job(session, job.id)

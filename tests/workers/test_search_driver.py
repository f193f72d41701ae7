"""What the search's driver does around the waves: the ends of a search."""

import pytest

from nas_service.lifecycle import JobState
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.architectures import list_architectures
from nas_service.storage.samples import WaveRecord, commit_wave, history_of
from nas_service.storage.session import Database, utc_now
from search_spaces.space import SPACES
from tests.workers.conftest import LEASE
from workers.conclusion import checkpoint_key
from workers.context import CancelledError, JobContext
from workers.driver import _carry_out
from workers.search_driver import SearchDriver


def _sampled(opened: Database) -> str:
    """Return the id of a running search with one committed sample."""
    strategy = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0)
    samples = tuple(Sample(index, genotype, 0.5) for index, genotype in enumerate(strategy.suggest((), 1)))
    wave = Wave(samples, (Evaluation(0.5, 1.0, diverged=False, seconds=1.0),), samples)
    body = SearchSpec.model_validate({"space": "tiny", "training": {"methods": ["bnn"]}}).model_dump(mode="json")
    with opened.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", body)
        jobs.claim(session, LEASE, utc_now())
        jobs.start(session, job.id, 1, LEASE)
        commit_wave(session, job.id, 1, LEASE, WaveRecord(wave, ({"ops": 1},), strategy.arms(samples), {}))
    return job.id


def _count(opened: Database, job_id: str) -> tuple[str, int, int]:
    """Return the job's state, its architectures and the trainings it started."""
    with opened.read() as session:
        found = list_architectures(session, limit=9, job_id=job_id)
        trainings = jobs.list_jobs(session, jobs.TRAINING, limit=9, parent_id=job_id)
        return jobs.get_job(session, job_id).state, len(found), len(trainings)


def test_a_cancel_after_the_last_wave_starts_no_training(settings: Settings, opened: Database) -> None:
    """It comes between the last commit and the end: nothing is written, and whoever ends the search keeps its best."""
    job_id = _sampled(opened)
    context = JobContext(settings, job_id, 1)
    with opened.write() as session:
        jobs.request_cancel(session, job_id, jobs.SEARCH)
        job, history = jobs.get_job(session, job_id), history_of(session, job_id)
    with pytest.raises(CancelledError):
        SearchDriver(context, job)._conclude(history)
    assert _count(opened, job_id) == ("cancelling", 0, 0)
    context.close()


@pytest.mark.ray
def test_a_resumed_search_that_is_cancelled_before_it_samples_keeps_its_best(settings: Settings, opened: Database) -> None:
    """And leaves no supernet behind."""
    job_id = _sampled(opened)
    context = JobContext(settings, job_id, 1)
    context.store.put(checkpoint_key(job_id, 1), b"not even read")
    with opened.write() as session:
        job = jobs.get_job(session, job_id)
        context.note_state(JobState(jobs.request_cancel(session, job_id, jobs.SEARCH).state))  # as the lease's thread would
    assert _carry_out(context, job) == 0
    assert _count(opened, job_id) == ("cancelled", 1, 0)
    assert context.store.keys(f"supernets/{job_id}") == []
    context.close()


def test_a_search_that_fails_keeps_its_best(settings: Settings, opened: Database) -> None:
    """Its data are gone; what it had sampled is not."""
    job_id = _sampled(opened)
    context = JobContext(settings, job_id, 1)
    with opened.write() as session:
        job = jobs.get_job(session, job_id)
        job.spec = {**job.spec, "dataset": {"name": "image-folder", "settings": {"path": "gone"}}}
    assert _carry_out(context, job) == 1
    assert _count(opened, job_id) == ("failed", 1, 0)
    context.close()

"""Attempts at a training, on a real database and a real local Ray."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.specs import TrainingSpec
from nas_service.storage import architectures, candidates, jobs
from nas_service.storage.models import Candidate
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.holds import held
from tests.samples import random_genotype
from tests.waiting import wait_until
from tests.workers.conftest import job_of, sampled
from workers.context import ELSEWHERE, JobContext
from workers.driver import carry_out


def _submitted(opened: Database, **spec: object) -> str:
    """Queue a training of one candidate, of an architecture that a search found, and return its id."""
    search = sampled(opened)
    with opened.write() as session:
        found = [architectures.Discovery(random_genotype(SPACES.get("tiny")), 0.5, {"ops": 7})]
        (architecture,) = architectures.add_architectures(session, search.id, found)
        jobs.move(session, search.id, JobState.SUCCEEDED)
        given = {"architectures": [architecture.id], "space": "tiny", "dataset": "digits", "methods": ["bnn"], **spec}
        body = TrainingSpec.model_validate(given).model_dump(mode="json")
        return jobs.create_job(session, jobs.TRAINING, "", body).id


def _attempt(settings: Settings, opened: Database) -> int:
    """Carry out one attempt at the oldest job, and return the exit status."""
    with opened.write() as session:
        job, _ = held(session)
    context = JobContext(settings, job.id, job.attempt)
    try:
        return carry_out(context, job)
    finally:
        context.close()


def _candidate(opened: Database, job_id: str) -> Candidate | None:
    with opened.read() as session:
        return next(iter(candidates.candidates_of(session, job_id)), None)


@contextmanager
def _killed_once(opened: Database, job_id: str, epochs: int) -> Iterator[None]:
    """Kill the process that trains the candidate when so many epochs are done, inside the block."""

    def at_work() -> str | None:
        row = _candidate(opened, job_id)
        return None if row is None or row.epochs_done < epochs else row.worker

    def kill() -> None:
        os.kill(int(str(wait_until(at_work, bool, 120)).rpartition(":")[2]), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join(130)


@pytest.mark.ray
@pytest.mark.slow
def test_a_training_whose_trials_die_goes_on_as_long_as_it_gets_on(settings: Settings, opened: Database) -> None:
    """Each attempt loses its trial after more epochs than the one before; the next one takes up its checkpoint."""
    patient = settings.model_copy(update={"max_stalls": 2, "checkpoint_s": 0.001, "object_store_bytes": 100_000_000})
    job_id = _submitted(opened, recipe={"epochs": 40, "max_steps_per_epoch": 40}, resources={"max_failures": 0})
    for epochs in (2, 6):
        with _killed_once(opened, job_id, epochs):
            assert _attempt(patient, opened) == ELSEWHERE
        job, row = job_of(opened, job_id), _candidate(opened, job_id)
        assert row is not None
        assert (job.state, job.stalls, row.state, row.error) == ("queued", 1, "waiting", None)
    assert _attempt(patient, opened) == 0
    row = _candidate(opened, job_id)
    assert row is not None
    assert (job_of(opened, job_id).state, row.state, row.epochs_done) == ("succeeded", "succeeded", 40)


@pytest.mark.ray
@pytest.mark.slow
def test_a_candidate_that_kills_its_process_again_and_again_ends_the_training_and_is_named(
    settings: Settings, opened: Database
) -> None:
    strict = settings.model_copy(update={"max_stalls": 1, "object_store_bytes": 100_000_000})
    job_id = _submitted(opened, recipe={"epochs": 10_000, "max_steps_per_epoch": 2}, resources={"max_failures": 0})
    with _killed_once(opened, job_id, 0):
        assert _attempt(strict, opened) == ELSEWHERE
    job, row = job_of(opened, job_id), _candidate(opened, job_id)
    assert row is not None
    assert (job.state, row.state) == ("failed", "failed")
    assert f"the process of trial {row.id} died: " in str(job.error)
    assert "/" not in str(job.error)

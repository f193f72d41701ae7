"""What a training's driver writes down of what its trials tell, on a real database."""

from collections.abc import Iterator

import pytest

from nas_service.errors import LateResultError, NasError
from nas_service.lifecycle import CandidateState, JobState
from nas_service.reports import PROGRESS, TrainingProgress
from nas_service.settings import Settings
from nas_service.storage import architectures, artifacts, attempts, candidates, events, jobs
from nas_service.storage.artifacts import StoredFile
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.models import Candidate, Job
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.holds import claimed
from tests.reports import epoch_report, metrics
from tests.samples import random_genotype
from tests.workers.conftest import job_of, sampled
from workers.context import JobContext
from workers.training_tally import TrainingTally
from workers.trial import Attacking, Beat, Began, Done, Failed
from workers.trial_listeners import CandidateListener, FullPrecisionListener


@pytest.fixture
def training(settings: Settings, opened: Database) -> Iterator[tuple[JobContext, TrainingTally, str]]:
    """Return the context of a running training, its tally, and its only candidate, which is to train 3 epochs."""
    search = sampled(opened)
    with opened.write() as session:
        found = [architectures.Discovery(random_genotype(SPACES.get("tiny")), 0.5, {"ops": 7})]
        (architecture,) = architectures.add_architectures(session, search.id, found)
        jobs.move(session, search.id, JobState.SUCCEEDED)
        job = jobs.create_job(session, jobs.TRAINING, "", {})
        rows = candidates.plan_candidates(session, job.id, [PlannedCandidate(architecture.id, {"name": "bnn"}, 0)])
        claimed(session)
    context = JobContext(settings, job.id, 1)
    context.start()
    yield context, TrainingTally(rows, {rows[0].id: 3}, None), rows[0].id
    context.close()


def _row(opened: Database, candidate_id: str) -> Candidate:
    with opened.read() as session:
        return candidates.get_candidate(session, candidate_id)


def _told(opened: Database, job: Job) -> list[str]:
    with opened.read() as session:
        return [event.data["state"] for event in events.list_events(session, job.id, limit=50) if event.kind == "candidate"]


DONE = Done(epoch_report(2), {"bundle": StoredFile.of("candidates/a/bundle.zip", b"x")}, metrics(), {"packed_bytes": 7})


def test_a_candidates_story_is_in_the_database_with_the_jobs_progress(
    training: tuple[JobContext, TrainingTally, str], opened: Database
) -> None:
    context, tally, name = training
    listener = CandidateListener(context, tally)
    seen = []
    for news in (Began("host:1", "cpu", 0), epoch_report(0), epoch_report(1), Beat(), Attacking(), DONE):
        listener.told(name, news)
        row, job = _row(opened, name), job_of(opened, context.hold.job_id)
        progress = PROGRESS.validate_python(job.progress)
        assert isinstance(progress, TrainingProgress)
        seen.append((row.state, progress.epochs, progress.under_attack, progress.finished))
    assert seen == [
        ("training", 0, 0, 0),
        ("training", 1, 0, 0),
        ("training", 2, 0, 0),
        ("training", 2, 0, 0),
        ("attacking", 2, 1, 0),
        ("succeeded", 3, 0, 1),
    ]
    row = _row(opened, name)
    assert (row.worker, row.device, row.epochs_done, row.test_accuracy) == ("host:1", "cpu", 3, 0.8)
    with opened.read() as session:
        assert artifacts.get_artifact(session, name, "bundle").size_bytes == 1
    assert _told(opened, job_of(opened, context.hold.job_id)) == ["training", "attacking", "succeeded"]


def test_only_what_is_new_counts_as_progress(training: tuple[JobContext, TrainingTally, str], opened: Database) -> None:
    """A trial that begins again and again, and tells old epochs, is an attempt that gets nowhere."""
    context, tally, name = training
    listener = CandidateListener(context, tally)
    listener.told(name, epoch_report(0))
    first = job_of(opened, context.hold.job_id).committed_at
    assert first is not None
    with opened.write() as session:
        jobs.set_values(session, context.hold.job_id, stalls=2)
    for news in (Began("host:2", "cpu", 1), epoch_report(0), Attacking()):
        listener.told(name, news)
    old = job_of(opened, context.hold.job_id)
    assert (old.committed_at, old.stalls) == (first, 2)
    listener.told(name, epoch_report(1))
    assert job_of(opened, context.hold.job_id).stalls == 0


@pytest.mark.parametrize("news", [Began("host:1", "cpu", 0), epoch_report(0), DONE, Failed("diverged")])
def test_an_attempt_that_is_over_writes_nothing(
    news: Began, training: tuple[JobContext, TrainingTally, str], opened: Database
) -> None:
    context, tally, name = training
    with opened.write() as session:
        attempts.release(session, jobs.get_job(session, context.hold.job_id), "its lease ran out", 3)
    with pytest.raises(LateResultError):
        CandidateListener(context, tally).told(name, news)
    row = _row(opened, name)
    assert (row.state, row.epochs_done, row.worker) == ("waiting", 0, None)


def test_how_a_trial_ended_otherwise_is_kept_at_once(training: tuple[JobContext, TrainingTally, str], opened: Database) -> None:
    context, tally, name = training
    listener = CandidateListener(context, tally)
    listener.told(name, Began("host:1", "cpu", 0))
    listener.told(name, Failed("training diverged: the loss of epoch 3 is nan"))
    row = _row(opened, name)
    assert (row.state, row.error) == ("failed", "training diverged: the loss of epoch 3 is nan")
    assert row.finished_at is not None
    listener.stopped(name)  # nothing moves what is over
    assert _row(opened, name).state == CandidateState.FAILED


def test_full_precision_networks_are_counted_and_told_of(
    training: tuple[JobContext, TrainingTally, str], opened: Database
) -> None:
    context, tally, _ = training
    tally.full_precision_left = 2
    listener = FullPrecisionListener(context, tally)
    listener.told("architecture", Began("host:1", "cpu", 0))
    listener.told("architecture", Done(epoch_report(2), {}))
    job = job_of(opened, context.hold.job_id)
    assert (job.progress["full_precision_left"], job.progress["phase"]) == (1, "full-precision")
    with opened.read() as session:
        told = [event.data for event in events.list_events(session, job.id, limit=9) if event.kind == "full-precision.trained"]
    assert told == [{"architecture": "architecture", "validation_accuracy": 0.6}]
    with pytest.raises(NasError, match="the full-precision network of architecture architecture failed: no place"):
        listener.told("architecture", Failed("no place"))

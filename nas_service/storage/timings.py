"""Timings: how long like work took here, from averages of the newest rows, whose number is limited: never a whole history."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.lifecycle import CandidateState, JobState
from nas_service.specs import Component, SearchSpec, TrainingSection
from nas_service.storage import jobs
from nas_service.storage.models import Candidate, Job, SampleRow
from nas_service.timing import Timing, method_key

_JOBS = 20  # newest ones that are looked at
_ROWS = 1000  # newest ones that are averaged

_SEARCH_PARTS = ("space", "dataset", "method", "strategy", "evaluation")  # what the time of a sample depends on
_TRAINING_PARTS = ("space", "dataset")  # and that of an epoch, beside recipe and method
_WORKER = ("cpus_per_worker", "gpus_per_worker")
_TRIAL = ("cpus_per_trial", "gpus_per_trial")


def sample_timing(session: Session, spec: SearchSpec) -> Timing | None:
    """Return how long samples took in the newest finished search of the same kind, on workers of the same size."""
    wanted = spec.model_dump(mode="json")
    like = _like(session, jobs.SEARCH, wanted, _SEARCH_PARTS, _WORKER)
    if not like:
        return None
    newest = select(SampleRow.seconds).where(SampleRow.job_id == next(iter(like))).order_by(SampleRow.index.desc())
    seconds = newest.limit(_ROWS).subquery()
    mean, count = session.execute(select(func.avg(seconds.c.seconds), func.count())).one()
    return Timing(float(mean), int(count)) if count else None


def epoch_timings(session: Session, space: Component, dataset: Component, section: TrainingSection) -> dict[str, Timing]:
    """Return how long an epoch of a candidate took in finished trainings of the same kind, by `method_key`."""
    wanted = {"space": space.model_dump(), "dataset": dataset.model_dump(), "resources": section.resources.model_dump()}
    like = _like(session, jobs.TRAINING, wanted, _TRAINING_PARTS, _TRIAL)
    query = (
        select(Candidate.job_id, Candidate.method, Candidate.seconds, Candidate.epochs_done)
        .where(Candidate.job_id.in_(like), Candidate.state == CandidateState.SUCCEEDED.value, Candidate.epochs_done > 0)
        .order_by(Candidate.id.desc())
        .limit(_ROWS)
    )
    taken: dict[str, list[float]] = {}
    for job_id, method, seconds, epochs in session.execute(query):
        taken.setdefault(method_key(method, like[job_id]["recipe"]), []).append(seconds / epochs)
    return {key: Timing(sum(each) / len(each), len(each)) for key, each in taken.items()}


def _like(
    session: Session, kind: str, wanted: Mapping[str, Any], parts: tuple[str, ...], sizes: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Return the specs of finished jobs whose parts and sizes of workers are those that are wanted, newest first."""
    newest = select(Job.id, Job.spec).where(Job.kind == kind, Job.state == JobState.SUCCEEDED.value).order_by(Job.id.desc())
    found: dict[str, dict[str, Any]] = {}
    for key, spec in session.execute(newest.limit(_JOBS)):
        resources = spec.get("resources", {})
        same_sizes = all(resources.get(size) == wanted["resources"][size] for size in sizes)
        if same_sizes and all(spec.get(part) == wanted[part] for part in parts):
            found[key] = spec
    return found

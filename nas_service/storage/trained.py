"""What trainings led to, for comparing: candidates that succeeded, and the specs and data of their trainings."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.job_events import DataRead
from nas_service.lifecycle import FINISHED, CandidateState, JobState
from nas_service.reports import CandidateMetrics
from nas_service.search.control import Control
from nas_service.storage.jobs import SEARCH, TRAINING
from nas_service.storage.models import Architecture, Candidate, Event, Job, SampleRow
from nas_service.terms import method_label
from nas_service.trained import FoundArchitecture, LiveJob, SpentSteps, TrainedCandidate, TrainingFacts


def trained_of(
    session: Session, *, trainings: Collection[str] | None = None, search_id: str | None = None
) -> list[TrainedCandidate]:
    """Return what can be compared so far: the candidates that succeeded, of trainings or of a search's architectures."""
    query = (
        select(Candidate, Architecture)
        .join(Architecture, Candidate.architecture_id == Architecture.id)
        .where(Candidate.state == CandidateState.SUCCEEDED.value)
        .order_by(Candidate.job_id, Candidate.position)
    )
    if trainings is not None:
        query = query.where(Candidate.job_id.in_(trainings))
    if search_id is not None:
        query = query.where(Architecture.job_id == search_id)
    rows = session.execute(query).all()
    specs = session.execute(select(Job.id, Job.spec).where(Job.id.in_({row.job_id for row, _ in rows})))
    spaces = {key: spec.get("space", {}) for key, spec in specs}
    return [
        TrainedCandidate(
            id=row.id,
            training=row.job_id,
            found=_found(found),
            method=row.method,
            label=method_label(row.method),
            seed=row.seed,
            metrics=CandidateMetrics.model_validate(row.metrics),
            cost=row.cost,
            seconds=row.seconds,
            space=spaces[row.job_id],
        )
        for row, found in rows
    ]


def _found(row: Architecture) -> FoundArchitecture:
    return FoundArchitecture(row.id, row.job_id, row.rank, row.score, None if row.control is None else Control(row.control))


def trainings_of_spaces(
    session: Session, spaces: Collection[str], datasets: Collection[str], *, beside: Collection[str], most: int
) -> list[str]:
    """Return the ids of the newest trainings in spaces and on datasets of these names, `beside` left out."""
    query = (
        select(Job.id)
        .where(Job.kind == TRAINING, Job.space.in_(spaces), Job.dataset.in_(datasets), Job.id.not_in(beside))
        .order_by(Job.id.desc())
        .limit(most)
    )
    return list(session.scalars(query))


def live_of_spaces(session: Session, spaces: Collection[str], datasets: Collection[str]) -> list[LiveJob]:
    """Return the searches and trainings in spaces and on datasets of these names that are to end with results, oldest first."""
    return [LiveJob(job.id, job.kind, job.state, job.spec) for job in _live_of_spaces(session, spaces, datasets)]


def _live_of_spaces(session: Session, spaces: Collection[str], datasets: Collection[str]) -> list[Job]:
    query = (
        select(Job)
        .where(Job.kind.in_((SEARCH, TRAINING)), Job.space.in_(spaces), Job.dataset.in_(datasets))
        .where(Job.state.not_in([state.value for state in (*FINISHED, JobState.CANCELLING)]))
        .order_by(Job.id)
    )
    return list(session.scalars(query))


def live_search(session: Session, spec: Mapping[str, Any]) -> str | None:
    """Return the id of a search with this spec that is not over, or whose training is not; None if there is none."""
    live = _live_of_spaces(session, [spec["space"]["name"]], [spec["dataset"]["name"]])
    keys = {job.id if job.kind == SEARCH else job.parent_id for job in live}
    rows = session.execute(select(Job.id, Job.spec).where(Job.id.in_(keys), Job.kind == SEARCH).order_by(Job.id))
    return next((key for key, known in rows if known == spec), None)


def spent_steps(session: Session, searches: Collection[str]) -> dict[str, SpentSteps]:
    """Return what searches took, by id; those of which a sample's steps are not known are left out."""
    totals = (
        select(SampleRow.job_id, func.sum(SampleRow.steps).label("steps"))
        .where(SampleRow.job_id.in_(searches))
        .group_by(SampleRow.job_id)
        .having(func.count() == func.count(SampleRow.steps))
    )
    told = session.execute(select(Event.job_id, Event.data).where(Event.job_id.in_(searches), Event.kind == DataRead.kind))
    images = {job_id: DataRead.model_validate(data).train for job_id, data in told}
    return {row.job_id: SpentSteps(row.steps, images.get(row.job_id)) for row in session.execute(totals)}


def training_facts(session: Session, trainings: Collection[str]) -> list[TrainingFacts]:
    """Return what tells whether the figures of trainings can be compared, in the order of their ids."""
    first = (
        select(Event.job_id, func.min(Event.id).label("id"))
        .where(Event.job_id.in_(trainings), Event.kind == DataRead.kind)
        .group_by(Event.job_id)
        .subquery()
    )
    told = session.execute(select(Event.job_id, Event.data).join(first, Event.id == first.c.id))
    digests = {job_id: str(data["digest"]) for job_id, data in told}
    rows = session.execute(select(Job.id, Job.spec).where(Job.id.in_(trainings)).order_by(Job.id))
    return [TrainingFacts(job_id, spec, digests.get(job_id)) for job_id, spec in rows]

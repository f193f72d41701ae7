"""What trainings led to, for comparing: candidates that succeeded, and the specs and data of their trainings."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.comparison import method_label
from nas_service.job_events import DataRead
from nas_service.lifecycle import CandidateState
from nas_service.reports import CandidateMetrics
from nas_service.storage.jobs import TRAINING
from nas_service.storage.models import Architecture, Candidate, Event, Job
from nas_service.trained import FoundArchitecture, TrainedCandidate, TrainingFacts


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
            found=FoundArchitecture(found.id, found.job_id, found.rank, found.score),
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

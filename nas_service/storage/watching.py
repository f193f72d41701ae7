"""What those who watch jobs ask, for many jobs in one query. In what order events become visible is told in `events`."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, literal_column, or_, select
from sqlalchemy.orm import Session, defer

from nas_service.job_events import StateTold
from nas_service.lifecycle import HELD
from nas_service.storage.models import Event, Job

_WITHOUT_SPEC = defer(Job.spec, raiseload=True)  # the longest column; looks are four a second
_HELD = [state.value for state in HELD]
_IS_MOVE = Event.kind == literal_column(f"'{StateTold.kind}'")  # as the index says it: see `models.IS_MOVE`


def jobs_of(session: Session, job_ids: Sequence[str]) -> list[Job]:
    """Return those of some jobs that are there."""
    return list(session.scalars(select(Job).where(Job.id.in_(job_ids)).options(_WITHOUT_SPEC)))


def held_or(session: Session, job_ids: Collection[str]) -> list[Job]:
    """Return the jobs that a driver may be working on, and those of some others that are there."""
    query = select(Job).where(or_(Job.state.in_(_HELD), Job.id.in_(job_ids))).order_by(Job.id)
    return list(session.scalars(query.options(_WITHOUT_SPEC)))


def is_held(job: Job) -> bool:
    """Return whether a driver may be working on a job."""
    return job.state in _HELD


def events_since(session: Session, places: Mapping[str, int], *, limit: int) -> list[Event]:
    """Return the events of several jobs, each after an id of its own, the oldest first."""
    if not places:
        return []
    conditions = [(Event.job_id == job_id) & (Event.id > after) for job_id, after in places.items()]
    return list(session.scalars(select(Event).where(or_(*conditions)).order_by(Event.id).limit(limit)))


def moves_since(session: Session, after: int, *, limit: int) -> list[tuple[Event, str, str | None]]:
    """Return the moves of all jobs after an id, oldest first, each with the job's kind and project."""
    query = select(Event, Job.kind, Job.project).join(Job, Job.id == Event.job_id).where(Event.id > after, _IS_MOVE)
    return [(event, kind, project) for event, kind, project in session.execute(query.order_by(Event.id).limit(limit))]


def last_ids(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """Return the id of the newest event of every job that has one."""
    query = select(Event.job_id, func.max(Event.id)).where(Event.job_id.in_(job_ids)).group_by(Event.job_id)
    return {job_id: last for job_id, last in session.execute(query)}  # noqa: C416 - rows have no type that `dict` takes


def last_move(session: Session) -> int:
    """Return the id of the newest move of any job; 0 without any.

    Only moves are ordered over all jobs: whoever began after the newest event of any kind could miss one.
    """
    return session.scalar(select(func.max(Event.id)).where(_IS_MOVE)) or 0


def jobs_with_last_event(session: Session, job_ids: Sequence[str]) -> dict[str, tuple[Job, int]]:
    """Return jobs as they are now with the id of their newest event (0: none), both as of one moment: that of the statement."""
    last = select(func.max(Event.id)).where(Event.job_id == Job.id).correlate(Job).scalar_subquery()
    query = select(Job, func.coalesce(last, 0)).where(Job.id.in_(job_ids))
    rows = session.execute(query.execution_options(populate_existing=True))
    return {job.id: (job, identifier) for job, identifier in rows}

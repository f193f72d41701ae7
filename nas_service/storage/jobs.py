"""Jobs: every move of a job's state is one guarded UPDATE and one event row, here and nowhere else."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Update, func, select, update
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError, LateResultError, NotFoundError
from nas_service.lifecycle import COMMITTING, FINISHED, HELD, JobState, sources_of
from nas_service.storage import events
from nas_service.storage.models import Job
from nas_service.storage.session import new_id, utc_now

SEARCH = "search"
TRAINING = "training"


def create_job(session: Session, kind: str, name: str, spec: dict[str, Any], parent_id: str | None = None) -> Job:
    """Insert a queued job and its first event."""
    job = Job(
        id=new_id(),
        kind=kind,
        name=name,
        state=JobState.QUEUED.value,
        spec=spec,
        parent_id=parent_id,
        attempt=0,
        stalls=0,
        progress={},
        created_at=utc_now(),
    )
    session.add(job)
    session.flush()
    events.record(session, job.id, "state", {"state": job.state})
    return job


def get_job(session: Session, job_id: str, kind: str | None = None) -> Job:
    """Return a job.

    Raises:
        NotFoundError: If there is none of that id, or it is of another kind.
    """
    job = session.get(Job, job_id, populate_existing=True)
    if job is None or (kind is not None and job.kind != kind):
        raise NotFoundError(kind or "job", job_id)
    return job


def list_jobs(
    session: Session,
    kind: str,
    *,
    limit: int,
    before: str | None = None,
    states: Sequence[str] = (),
    parent_id: str | None = None,
) -> list[Job]:
    """Return jobs, newest first, older than the id `before`."""
    query = select(Job).where(Job.kind == kind).order_by(Job.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Job.id < before)
    if states:
        query = query.where(Job.state.in_(states))
    if parent_id is not None:
        query = query.where(Job.parent_id == parent_id)
    return list(session.scalars(query))


def count_by_state(session: Session) -> dict[tuple[str, str], int]:
    """Return the number of jobs by (kind, state)."""
    rows = session.execute(select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state))
    return {(kind, state): count for kind, state, count in rows}


def _moved(session: Session, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101 - for the type checker; an UPDATE gives one
    return result.rowcount == 1


def move(session: Session, job_id: str, target: JobState, *, attempt: int | None = None, error: str | None = None) -> bool:
    """Move a job to `target` if the table of moves allows it; return whether it moved.

    Args:
        session: An open write session.
        job_id: The job.
        target: Where to.
        attempt: Move only if this is still the job's attempt.
        error: Kept with the job and its event.
    """
    values: dict[str, Any] = {"state": target.value}
    if target in FINISHED:
        values |= {"finished_at": utc_now(), "lease_expires_at": None, "error": error}
    if target in {JobState.QUEUED, JobState.LOST, JobState.PAUSED}:
        values |= {"lease_expires_at": None}
    statement = update(Job).where(Job.id == job_id, Job.state.in_([state.value for state in sources_of(target)]))
    if attempt is not None:
        statement = statement.where(Job.attempt == attempt)
    moved = _moved(session, statement.values(values))
    if moved:
        data = {"state": target.value} | ({"error": error} if error else {})
        events.record(session, job_id, "state", data)
    return moved


def claim(session: Session, lease: timedelta, now: datetime) -> Job | None:
    """Take the oldest queued job: it is `starting`, its attempt is one higher and its lease runs."""
    query = select(Job).where(Job.state == JobState.QUEUED.value).order_by(Job.id).limit(1)
    job = session.scalars(query.with_for_update(skip_locked=True)).first()
    if job is None or not move(session, job.id, JobState.STARTING):
        return None
    values = {"attempt": Job.attempt + 1, "lease_expires_at": now + lease}
    session.execute(update(Job).where(Job.id == job.id).values(values).execution_options(synchronize_session=False))
    return get_job(session, job.id)


def start(session: Session, job_id: str, attempt: int, lease: timedelta) -> Job:
    """Let the driver of `attempt` take the job over.

    Raises:
        LateResultError: If the attempt is over.
    """
    if not move(session, job_id, JobState.RUNNING, attempt=attempt):
        raise LateResultError(_late(get_job(session, job_id), attempt))
    now = utc_now()
    values = {"lease_expires_at": now + lease, "started_at": func.coalesce(Job.started_at, now)}
    session.execute(update(Job).where(Job.id == job_id).values(values).execution_options(synchronize_session=False))
    return get_job(session, job_id)


def renew(session: Session, job_id: str, attempt: int, lease: timedelta, progress: dict[str, Any] | None = None) -> JobState:
    """Renew the lease of a running attempt, with its progress if there is new; return the job's state.

    Progress resets the count of fruitless attempts, since the next one goes on from there; what is only told to people does
    not (`tell`).

    Raises:
        LateResultError: If the attempt is over; nothing may be committed then.
    """
    values: dict[str, Any] = {"lease_expires_at": utc_now() + lease}
    if progress is not None:
        values |= {"progress": progress, "stalls": 0}
    return _renew(session, job_id, attempt, values)


def tell(session: Session, job_id: str, attempt: int, lease: timedelta, progress: dict[str, Any]) -> JobState:
    """As `renew`, with progress that nothing durable stands behind: the count of fruitless attempts stays."""
    return _renew(session, job_id, attempt, {"lease_expires_at": utc_now() + lease, "progress": progress})


def _renew(session: Session, job_id: str, attempt: int, values: dict[str, Any]) -> JobState:
    held = [state.value for state in COMMITTING]
    statement = update(Job).where(Job.id == job_id, Job.attempt == attempt, Job.state.in_(held)).values(values)
    if not _moved(session, statement):
        raise LateResultError(_late(get_job(session, job_id), attempt))
    return JobState(get_job(session, job_id).state)


def _late(job: Job, attempt: int) -> str:
    return f"attempt {attempt} of {job.kind} {job.id} is over: the job is {job.state} in attempt {job.attempt}"


def request_cancel(session: Session, job_id: str, kind: str) -> Job:
    """Ask for a job's end; the driver, or the controller if there is none, carries it out.

    Cancelling twice is not an error.

    Raises:
        NotFoundError: If there is no such job.
        ConflictError: If the job is over.
    """
    job = get_job(session, job_id, kind)
    if not move(session, job_id, JobState.CANCELLING):
        job = get_job(session, job_id, kind)
        if job.state not in {JobState.CANCELLING.value, JobState.CANCELLED.value}:
            message = f"{kind} {job_id} is {job.state} and cannot be cancelled"
            raise ConflictError(message)
    return get_job(session, job_id, kind)


def held(session: Session) -> list[Job]:
    """Return the jobs that a driver should be working on."""
    return list(session.scalars(select(Job).where(Job.state.in_([state.value for state in HELD]))))


def held_count(session: Session) -> int:
    """Return how many jobs a driver may be working on."""
    query = select(func.count()).select_from(Job).where(Job.state.in_([state.value for state in HELD]))
    return session.scalar(query) or 0


def requeue(session: Session, job_id: str, attempt: int, reason: str) -> bool:
    """Let another attempt go on, through no fault of this one: it does not count as fruitless. Return whether it does.

    A job that is being cancelled or paused is not queued again.
    """
    if not move(session, job_id, JobState.LOST, attempt=attempt):
        return False
    events.record(session, job_id, "released", {"attempt": attempt, "reason": reason})
    return move(session, job_id, JobState.QUEUED)


def release_lost(session: Session, job: Job, reason: str, max_stalls: int) -> JobState:
    """Finish what a dead driver left: a cancelling job is cancelled, a pausing one paused, any other lost.

    A lost job is queued again, or failed after `max_stalls` attempts without progress.
    """
    wound_up = {JobState.CANCELLING: JobState.CANCELLED, JobState.PAUSING: JobState.PAUSED}.get(JobState(job.state))
    if wound_up is not None:
        moved = move(session, job.id, wound_up, attempt=job.attempt)
        return wound_up if moved else JobState(get_job(session, job.id).state)
    if not move(session, job.id, JobState.LOST, attempt=job.attempt):
        return JobState(get_job(session, job.id).state)
    events.record(session, job.id, "lost", {"attempt": job.attempt, "reason": reason})
    stalls = job.stalls + 1
    session.execute(update(Job).where(Job.id == job.id).values(stalls=stalls).execution_options(synchronize_session=False))
    if stalls >= max_stalls:
        error = f"lost {stalls} drivers in a row without progress; the last: {reason}"
        move(session, job.id, JobState.FAILED, error=error)
        return JobState.FAILED
    move(session, job.id, JobState.QUEUED)
    return JobState.QUEUED

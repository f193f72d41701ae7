"""Attempts: how a controller claims a job, a driver holds it, and what is left by one that is gone is finished.

Time is the database's: it writes leases and judges them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, load_only

from nas_service.errors import LateResultError
from nas_service.fair_share import Rules, next_leave, next_start
from nas_service.job_events import AttemptLost, AttemptReleased, PhaseTold
from nas_service.lifecycle import COMMITTING, HELD, JobState, Loss
from nas_service.reports import AnyProgress
from nas_service.storage import events, totals, usage
from nas_service.storage.jobs import KINDS, LANES, get_job, move, set_values, update_one
from nas_service.storage.models import Job
from nas_service.storage.session import database_now, exclusive
from nas_service.storage.shares import at_work, standings

MADE_ROOM = "it had its turn, and made room for a job whose turn it was"
_HOLDING = (Job.id, Job.kind, Job.state, Job.attempt, Job.lease_expires_at)
_CLAIMS = 7_230_001  # the lock of those who count held jobs and take another; any number that nobody else uses


@dataclass(frozen=True)
class Hold:
    """A driver's hold on its job: everything that it commits names it.

    Attributes:
        job_id: The job.
        attempt: At it; what an attempt that is over wants to commit is refused.
        lease: How long the job is held from a commit on.
    """

    job_id: str
    attempt: int
    lease: timedelta


def claim(session: Session, start_limit: timedelta, most: int, most_registrations: int = 1, owner_jobs: int = 0) -> Job | None:
    """Take the queued job whose turn it is (`fair_share`): it is `starting`, and its attempt is one higher.

    However many controllers share the database, they count and take one after another.

    Args:
        session: An open write session.
        start_limit: For which the lease runs until the driver takes over.
        most: Searches and trainings that may be held at once.
        most_registrations: Registrations likewise, which neither wait for the others nor hold them up.
        owner_jobs: Searches and trainings of one owner that may be held at once; 0: any number.
    """
    exclusive(session, _CLAIMS)
    for lane, rules in zip(LANES, (Rules(most, owner_jobs), Rules(most_registrations)), strict=True):
        if held_count(session, lane) >= rules.places:
            continue
        first = next_start(standings(session, lane), rules)
        if first is None or not move(session, first.id, JobState.STARTING):
            continue
        now, job = database_now(session), get_job(session, first.id)
        if job.attempt == 0:
            totals.count_wait(session, job.id, (now - job.created_at).total_seconds())
        set_values(session, job.id, attempt=Job.attempt + 1, lease_expires_at=now + start_limit)
        return get_job(session, job.id)
    return None


def make_room(session: Session, rules: Rules) -> Job | None:
    """Ask a running search or training to let go and queue again, where another job should have its place (`fair_share`)."""
    exclusive(session, _CLAIMS)
    found = next_leave(standings(session, LANES[0]), rules)
    if found is None or not move(session, found.id, JobState.PAUSING):
        return None
    usage.count(session, found.id)  # so that its owner comes later even if its driver dies now
    set_values(session, found.id, made_room=True)
    return get_job(session, found.id)


def start(session: Session, hold: Hold) -> Job:
    """Let the driver of an attempt take the job over.

    Raises:
        LateResultError: If the attempt is over.
    """
    if not move(session, hold.job_id, JobState.RUNNING, attempt=hold.attempt):
        raise LateResultError(_late(get_job(session, hold.job_id), hold.attempt))
    now = database_now(session)
    started = func.coalesce(Job.started_at, now)
    held_from = {"turn_at": now, "counted_at": now, "cpus": 0.0, "gpus": 0.0}
    set_values(session, hold.job_id, lease_expires_at=now + hold.lease, started_at=started, waiting_for=None, **held_from)
    return get_job(session, hold.job_id)


def renew(session: Session, hold: Hold, progress: AnyProgress | None = None, usual_s: float | None = None) -> JobState:
    """Renew the lease of a running attempt, with its progress if there is new; return the job's state.

    Progress resets the count of fruitless attempts, since the next one goes on from there; what is only told to people does
    not (`tell`).

    Args:
        session: An open write session.
        hold: Of the attempt.
        progress: What is committed with it.
        usual_s: The longest that work was silent so far and then was not.

    Raises:
        LateResultError: If the attempt is over; nothing may be committed then.
    """
    values: dict[str, Any] = {}
    if progress is not None:
        values = _shown(progress) | {"stalls": 0, "committed_at": database_now(session)}
        values |= {"waiting_for": None} | ({} if usual_s is None else {"usual_s": usual_s})
    return _renew(session, hold, values)


def tell(session: Session, hold: Hold, progress: AnyProgress) -> JobState:
    """As `renew`, with progress that nothing durable stands behind: the count of fruitless attempts stays."""
    return _renew(session, hold, _shown(progress))


def wait(session: Session, hold: Hold, reason: str | None) -> JobState:
    """As `renew`, saying what keeps the attempt from going on; None: nothing any more."""
    return _renew(session, hold, {"waiting_for": reason})


def take_devices(session: Session, hold: Hold, cpus: float, gpus: float) -> JobState:
    """As `renew`, with what the actors and trials of the attempt have from now on, as they asked for it of Ray."""
    state = _renew(session, hold, {})
    set_values(session, hold.job_id, cpus=cpus, gpus=gpus)
    return state


def _shown(progress: AnyProgress) -> dict[str, Any]:
    return {"progress": progress.model_dump(mode="json")}


def _renew(session: Session, hold: Hold, values: dict[str, Any]) -> JobState:
    """Write to a job that the attempt holds; what it does is told where that changes."""
    held = [state.value for state in COMMITTING]
    phase = values["progress"]["phase"] if "progress" in values else None
    before = session.scalar(select(Job.progress).where(Job.id == hold.job_id)) if phase is not None else None
    values["lease_expires_at"] = database_now(session) + hold.lease
    statement = update(Job).where(Job.id == hold.job_id, Job.attempt == hold.attempt, Job.state.in_(held))
    if not update_one(session, statement.values(values)):
        raise LateResultError(_late(get_job(session, hold.job_id), hold.attempt))
    usage.count(session, hold.job_id)
    if phase is not None and (before or {}).get("phase") != phase:
        events.record(session, hold.job_id, PhaseTold(phase=phase))
    return JobState(session.scalars(select(Job.state).where(Job.id == hold.job_id)).one())


def state_of(session: Session, hold: Hold) -> JobState:
    """Return the job's state as long as the attempt holds it; writes nothing.

    Raises:
        LateResultError: If the attempt is over.
    """
    # Every driver asks once a second: neither spec nor progress is read.
    query = select(Job.attempt, Job.state).where(Job.id == hold.job_id)
    found = [JobState(state) for attempt, state in session.execute(query) if attempt == hold.attempt]
    if not found or found[0] not in COMMITTING:
        raise LateResultError(_late(get_job(session, hold.job_id), hold.attempt))
    return found[0]


def _late(job: Job, attempt: int) -> str:
    return f"attempt {attempt} of {job.kind} {job.id} is over: the job is {job.state} in attempt {job.attempt}"


def held(session: Session) -> list[Job]:
    """Return the jobs that a driver should be working on; of each only what tells whether it still does is read."""
    query = select(Job).where(Job.state.in_([state.value for state in HELD]))
    return list(session.scalars(query.options(load_only(*_HOLDING, raiseload=True))))


def held_count(session: Session, kinds: Sequence[str] = KINDS) -> int:
    """Return how many jobs of some kinds a driver may be working on."""
    return session.scalar(select(func.count()).select_from(Job).where(*at_work(kinds))) or 0


def has_queued(session: Session) -> bool:
    """Return whether a job waits to be claimed."""
    return session.scalars(select(Job.id).where(Job.state == JobState.QUEUED.value).limit(1)).first() is not None


def lapsed(session: Session, held: Sequence[Job]) -> set[str]:
    """Return the ids of the jobs whose lease ran out, by the database's clock; a job that nobody holds has none."""
    now = database_now(session)
    return {job.id for job in held if job.lease_expires_at is None or job.lease_expires_at < now}


def is_unchanged(session: Session, seen: Job, *, lease: bool) -> bool:
    """Return whether a job is still in the attempt, the state and, where that matters, the lease in which it was seen.

    The row is written, so this also tells whether it can be, and nobody else changes it before the transaction ends.
    """
    statement = update(Job).where(Job.id == seen.id, Job.attempt == seen.attempt, Job.state == seen.state)
    if lease:
        statement = statement.where(Job.lease_expires_at == seen.lease_expires_at)
    return update_one(session, statement.values(attempt=seen.attempt))


def requeue(session: Session, hold: Hold, reason: str, *, waiting_for: str | None = None) -> bool:
    """Let another attempt go on, through no fault of this one: it does not count as fruitless. Return whether it does.

    A job that is being cancelled or paused is not queued again.
    """
    if not move(session, hold.job_id, JobState.LOST, attempt=hold.attempt):
        return False
    events.record(session, hold.job_id, AttemptReleased(attempt=hold.attempt, reason=reason))
    moved = move(session, hold.job_id, JobState.QUEUED)
    if waiting_for is not None:
        set_values(session, hold.job_id, waiting_for=waiting_for)
    return moved


def is_last(job: Job, max_stalls: int) -> bool:
    """Return whether `release` would end the job: nobody need rank what it found where another attempt goes on."""
    if job.state == JobState.RUNNING.value:
        return job.stalls + 1 >= max_stalls
    return job.state == JobState.CANCELLING.value


def rest(session: Session, job_id: str, attempt: int) -> JobState:
    """Let go of a job that is pausing: it is paused, or, where it makes room, queued again. Return its state then."""
    pausing = update(Job).where(Job.id == job_id, Job.attempt == attempt, Job.state == JobState.PAUSING.value)
    if update_one(session, pausing.values(attempt=attempt)):  # which locks it: somebody may pause it for good just now
        makes_room = get_job(session, job_id).made_room
        move(session, job_id, JobState.QUEUED if makes_room else JobState.PAUSED)
        if makes_room:
            events.record(session, job_id, AttemptReleased(attempt=attempt, reason=MADE_ROOM))
    return JobState(get_job(session, job_id).state)


def release(session: Session, job: Job, reason: str, max_stalls: int, why: Loss = Loss.DRIVER) -> JobState:
    """Finish what a driver left that is gone: a cancelling job is cancelled, a pausing one rests, any other is queued again.

    One that ran is failed after `max_stalls` attempts without progress. One whose driver never began is not to blame.
    """
    if lapsed(session, [job]):
        usage.forget(session, job.id)
    if job.state == JobState.PAUSING.value:
        return rest(session, job.id, job.attempt)
    if job.state == JobState.CANCELLING.value:
        move(session, job.id, JobState.CANCELLED, attempt=job.attempt)
        return JobState(get_job(session, job.id).state)
    began = job.state == JobState.RUNNING.value
    if not move(session, job.id, JobState.LOST, attempt=job.attempt):
        return JobState(get_job(session, job.id).state)
    events.record(session, job.id, AttemptLost(attempt=job.attempt, reason=reason))
    totals.count_lost(session, job.id, why if began else Loss.START)
    if began:
        stalls = job.stalls + 1
        set_values(session, job.id, stalls=stalls)
        if stalls >= max_stalls:
            error = f"lost {stalls} drivers in a row without progress; the last: {reason}"
            move(session, job.id, JobState.FAILED, error=error)
            return JobState.FAILED
    move(session, job.id, JobState.QUEUED)
    if not began:
        set_values(session, job.id, waiting_for=f"its driver to start: {reason}")
    return JobState.QUEUED

"""Usage: what jobs held, by the database's clock, so that it can be told by job, by owner and by day.

A driver's commits and renewals of its lease count: what its actors and trials had since the last one, times the seconds since. An
attempt that is lost is counted up to its last sign. Nothing is counted twice: whoever counts has the job's row, and the attempt.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.orm import Session

from nas_service.storage import totals
from nas_service.storage.models import Job, UsageRow
from nas_service.storage.session import database_now

LATELY_DAYS = 7  # that shares heed; each day counts half as much as the next
_SUMS = (func.sum(UsageRow.seconds), func.sum(UsageRow.cpu_seconds), func.sum(UsageRow.gpu_seconds))


@dataclass(frozen=True)
class Usage:
    """What was held.

    Attributes:
        seconds: For which a driver had a job.
        cpu_seconds: Processors that actors and trials asked of Ray, times seconds.
        gpu_seconds: GPUs likewise.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0


@dataclass(frozen=True)
class OwnersUsage:
    """What the jobs of an owner held, those included that were deleted since.

    Attributes:
        owner: None: jobs for which nobody was asked for a key.
        project: Of the jobs.
        jobs: How many.
        seconds: As of `Usage`, with the next two.
        cpu_seconds: Processors.
        gpu_seconds: GPUs.
    """

    owner: str | None
    project: str | None
    jobs: int
    seconds: float
    cpu_seconds: float
    gpu_seconds: float


def count(session: Session, job_id: str, *, ends: bool = False) -> None:
    """Count what a job held up to now; the caller has locked its row by writing to it.

    Args:
        session: An open write session.
        job_id: The job.
        ends: Whether it holds nothing from now on.
    """
    query = select(Job.counted_at, Job.cpus, Job.gpus, Job.owner, Job.project).where(Job.id == job_id)
    since, cpus, gpus, owner, project = session.execute(query).one()
    if since is None:
        return
    now = max(since, database_now(session))
    totals.count_work(session, job_id, (now - since).total_seconds(), cpus, gpus)
    for day, seconds in _by_day(since, now):
        more = {"seconds": seconds, "cpu_seconds": cpus * seconds, "gpu_seconds": gpus * seconds}
        row = update(UsageRow).where(UsageRow.job_id == job_id, UsageRow.day == day).returning(UsageRow.day)
        grown = {name: getattr(UsageRow, name) + value for name, value in more.items()}
        if session.execute(row.values(grown).execution_options(synchronize_session=False)).first() is None:
            session.execute(insert(UsageRow).values(job_id=job_id, day=day, owner=owner, project=project, **more))
    values = {"counted_at": None, "cpus": 0.0, "gpus": 0.0} if ends else {"counted_at": now}
    session.execute(update(Job).where(Job.id == job_id).values(values).execution_options(synchronize_session=False))


def forget(session: Session, job_id: str) -> None:
    """Count nothing of a job from its last sign on: nobody knows what its driver still did."""
    session.execute(update(Job).where(Job.id == job_id).values(counted_at=None, cpus=0.0, gpus=0.0))


def usage_of(session: Session, job_ids: Sequence[str]) -> dict[str, Usage]:
    """Return by id what those of some jobs held that held anything."""
    query = select(UsageRow.job_id, *_SUMS).where(UsageRow.job_id.in_(job_ids)).group_by(UsageRow.job_id)
    return {job_id: Usage(*sums) for job_id, *sums in session.execute(query)}


def usage_by_owner(session: Session, since: date | None = None, until: date | None = None) -> list[OwnersUsage]:
    """Return what the jobs of every owner held, by project, from a day on and up to one, that included; most GPUs first."""
    query = select(UsageRow.owner, UsageRow.project, func.count(UsageRow.job_id.distinct()), *_SUMS)
    if since is not None:
        query = query.where(UsageRow.day >= since)
    if until is not None:
        query = query.where(UsageRow.day <= until)
    found = [OwnersUsage(*row) for row in session.execute(query.group_by(UsageRow.owner, UsageRow.project))]
    return sorted(found, key=lambda one: (-one.gpu_seconds, -one.cpu_seconds, one.owner or "", one.project or ""))


def used_lately(session: Session, owners: Collection[str | None], now: datetime) -> dict[str | None, float]:
    """Return the seconds for which jobs of some owners had drivers, the less the longer ago."""
    today = now.astimezone(UTC).date()
    query = select(UsageRow.owner, UsageRow.day, func.sum(UsageRow.seconds)).where(
        UsageRow.day > today - timedelta(days=LATELY_DAYS), owned_by(owners)
    )
    used: dict[str | None, float] = dict.fromkeys(owners, 0.0)
    for owner, day, seconds in session.execute(query.group_by(UsageRow.owner, UsageRow.day)):
        used[owner] += seconds * 0.5 ** (today - day).days
    return used


def owned_by(owners: Collection[str | None]) -> ColumnElement[bool]:
    """Return that a row of usage is of one of some owners."""
    named = UsageRow.owner.in_([owner for owner in owners if owner is not None])
    return or_(named, UsageRow.owner.is_(None)) if None in owners else named


def _by_day(since: datetime, until: datetime) -> Iterator[tuple[date, float]]:
    """Part a stretch of time at every midnight in UTC."""
    while True:
        day = since.astimezone(UTC).date()
        midnight = datetime.combine(day + timedelta(days=1), time(), UTC)
        end = min(until, midnight)
        yield day, (end - since).total_seconds()
        if end == until:
            return
        since = end

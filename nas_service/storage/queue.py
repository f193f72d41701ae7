"""The queue: at what place a job waits, in the order in which controllers claim (`attempts.claim`)."""

from collections.abc import Sequence
from itertools import accumulate

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from nas_service.lifecycle import JobState
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job


def places(session: Session, shown: Sequence[Job]) -> dict[str, int]:
    """Return by id the places, from 1, of those of `shown` that are queued: 1 is claimed next of the kinds in its lane."""
    found: dict[str, int] = {}
    for lane in LANES:
        ids = sorted(job.id for job in shown if job.state == JobState.QUEUED.value and job.kind in lane)
        if ids:
            found |= _places_in(session, lane, ids)
    return found


def _places_in(session: Session, lane: Sequence[str], ids: list[str]) -> dict[str, int]:
    """Count once through the queue: for every job those that stand between it and the one before it of `ids`."""
    asked = select(Job.id, func.lag(Job.id, 1, "").over(order_by=Job.id).label("before")).where(Job.id.in_(ids)).subquery()
    waiting = aliased(Job)
    between = (
        select(func.count())
        .select_from(waiting)
        .where(
            waiting.state == JobState.QUEUED.value,
            waiting.id > asked.c.before,
            waiting.id <= asked.c.id,
            waiting.kind.in_(lane),
        )
        .scalar_subquery()
    )
    rows = session.execute(select(asked.c.id, between).order_by(asked.c.id)).all()
    counts = accumulate(count for _, count in rows)
    return {key: place for (key, _), place in zip(rows, counts, strict=True)}

"""The queue: at what place a job waits, in the order in which controllers claim (`attempts.claim`)."""

from collections.abc import Sequence
from itertools import accumulate

from sqlalchemy import Select, bindparam, func, inspect, select
from sqlalchemy.orm import Session

from nas_service.lifecycle import JobState
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job


def _between() -> Select[str, int]:
    """Return what counts once through the queue: for every job of `ids` those that stand between it and the one before it."""
    jobs, waiting = select(Job.id).subquery("jobs_asked"), inspect(Job).local_table.alias("waiting")
    asked = (
        select(jobs.c.id, func.lag(jobs.c.id, 1, "").over(order_by=jobs.c.id).label("before"))
        .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
        .subquery("asked")
    )
    between = select(func.count()).where(
        waiting.c.state == JobState.QUEUED.value,
        waiting.c.id > asked.c.before,
        waiting.c.id <= asked.c.id,
        waiting.c.kind.in_(bindparam("lane", expanding=True)),
    )
    return select(asked.c.id, between.scalar_subquery()).order_by(asked.c.id)


_BETWEEN = _between()  # building it takes longer than carrying it out


def places(session: Session, shown: Sequence[Job]) -> dict[str, int]:
    """Return by id the places, from 1, of those of `shown` that are queued: 1 is claimed next of the kinds in its lane."""
    found: dict[str, int] = {}
    for lane in LANES:
        ids = sorted(job.id for job in shown if job.state == JobState.QUEUED.value and job.kind in lane)
        if ids:
            found |= _places_in(session, lane, ids)
    return found


def _places_in(session: Session, lane: Sequence[str], ids: list[str]) -> dict[str, int]:
    rows = session.execute(_BETWEEN, {"ids": ids, "lane": list(lane)}).all()
    counts = accumulate(count for _, count in rows)
    return {key: place for (key, _), place in zip(rows, counts, strict=True)}

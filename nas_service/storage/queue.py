"""The queue: at what place a job waits among everybody's, in the order in which controllers claim (`attempts.claim`)."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.lifecycle import JobState
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job
from nas_service.storage.visibility import EVERYBODYS


def places(session: Session, shown: Sequence[Job]) -> dict[str, int]:
    """Return by id the places, from 1, of those of `shown` that are queued: 1 is claimed next of the kinds in its lane."""
    found: dict[str, int] = {}
    for lane in LANES:
        ids = [job.id for job in shown if job.state == JobState.QUEUED.value and job.kind in lane]
        if ids:
            found |= _places_in(session, lane, ids)
    return found


def _places_in(session: Session, lane: Sequence[str], ids: list[str]) -> dict[str, int]:
    """Number the queue once, up to the last that is asked for: one walk through a stretch of an index."""
    waiting = (
        select(Job.id, func.row_number().over(order_by=Job.id).label("place"))
        .where(Job.state == JobState.QUEUED.value, Job.id <= max(ids), Job.kind.in_(lane))
        .subquery("waiting")
    )
    query = select(waiting.c.id, waiting.c.place).where(waiting.c.id.in_(ids))
    rows = session.execute(query, execution_options=EVERYBODYS)
    return {key: int(place) for key, place in rows}

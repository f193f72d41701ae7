"""The queue: at what place a job waits among everybody's, in the order in which controllers claim, as owners stand now."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from nas_service.fair_share import Standing
from nas_service.lifecycle import JobState
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job
from nas_service.storage.shares import QUEUED, standings
from nas_service.storage.visibility import everybodys


def places(session: Session, shown: Sequence[Job]) -> dict[str, int]:
    """Return by id the places, from 1, of those of `shown` that are queued: 1 is claimed next of the kinds in its lane.

    With several owners the places are those of this moment: who gets one, or is at work meanwhile, moves back.
    """
    found: dict[str, int] = {}
    with everybodys(session):
        for lane in LANES:
            waiting = [job for job in shown if job.state == JobState.QUEUED.value and job.kind in lane]
            if waiting:
                found |= _places_in(session, lane, waiting)
    return found


def _places_in(session: Session, lane: Sequence[str], waiting: Sequence[Job]) -> dict[str, int]:
    own = _own_places(session, lane, waiting)
    everybody = standings(session, lane)
    if len(everybody) == 1:
        return own
    lengths = _lengths(session, lane)
    by_owner = {standing.owner: standing for standing in everybody}
    return {
        job.id: own[job.id] + _others_before(by_owner.get(job.owner), own[job.id], everybody, lengths)
        for job in waiting
        if job.id in own
    }


def _own_places(session: Session, lane: Sequence[str], waiting: Iterable[Job]) -> dict[str, int]:
    """Return the places of some jobs among those of their owners: every stretch of an index is counted once."""
    asked: dict[tuple[str | None, int], list[str]] = {}
    for job in waiting:
        asked.setdefault((job.owner, job.priority), []).append(job.id)
    found: dict[str, int] = {}
    for (owner, priority), ids in asked.items():
        own = select(func.count()).select_from(Job).where(Job.state == QUEUED, Job.kind.in_(lane), _is(owner))
        place, last = session.scalar(own.where(Job.priority > priority)) or 0, ""
        for key in sorted(ids):
            place += session.scalar(own.where(Job.priority == priority, Job.id > last, Job.id <= key)) or 0
            found[key], last = place, key
    return found


def _is(owner: str | None) -> ColumnElement[bool]:
    return Job.owner.is_(None) if owner is None else Job.owner == owner


def _lengths(session: Session, lane: Sequence[str]) -> dict[str | None, int]:
    """Return by owner how many jobs wait."""
    query = select(Job.owner, func.count()).where(Job.state == QUEUED, Job.kind.in_(lane)).group_by(Job.owner)
    return {owner: int(length) for owner, length in session.execute(query)}


def _others_before(own: Standing | None, place: int, everybody: Sequence[Standing], lengths: Mapping[str | None, int]) -> int:
    """Return how many jobs of other owners are claimed before the one of an owner at a place among its own.

    Every job that is claimed lets its owner have one more at work, and then come later.
    """
    if own is None:
        return 0
    level = len(own.placed) + place - 1  # jobs of this owner at work when the turn is its
    before = 0
    for other in everybody:
        if other is not own:
            claimed = level - len(other.placed) + (_tie(other) < _tie(own))
            before += max(0, min(lengths.get(other.owner, 0), claimed))
    return before


def _tie(standing: Standing) -> tuple[float, str]:
    return standing.used_s, "" if standing.head is None else standing.head.id

"""Shares: how the owners of jobs stand, which `fair_share` decides by. Of queues their heads alone are read."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import CTE, ColumnElement, ScalarSelect, func, literal_column, select
from sqlalchemy.orm import Session, aliased

from nas_service.fair_share import Placed, Standing, Waiting
from nas_service.lifecycle import HELD, JobState
from nas_service.storage.models import Job
from nas_service.storage.session import database_now
from nas_service.storage.usage import used_lately

_LEAVING = {JobState.PAUSING.value, JobState.CANCELLING.value}
QUEUED: ColumnElement[str] = literal_column("'queued'")  # as the index says it: see `models.IS_QUEUED`


def standings(session: Session, lane: Sequence[str]) -> list[Standing]:
    """Return how everybody stands who has a job of some kinds at work or waiting.

    What was used counts where there are several only; of a job at work up to now.
    """
    placed, running_s = _placed(session, lane, database_now(session))
    heads = _heads(session, lane)
    owners = sorted({*placed, *heads}, key=lambda owner: owner or "")
    used = used_lately(session, owners, database_now(session)) if len(owners) > 1 else {}
    return [
        Standing(owner, used.get(owner, 0.0) + running_s.get(owner, 0.0), tuple(placed.get(owner, ())), heads.get(owner))
        for owner in owners
    ]


def at_work(lane: Sequence[str]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return that a job of some kinds may have a driver; the kind in a form for which SQLite leaves no index of states for it."""
    return Job.state.in_([state.value for state in HELD]), func.coalesce(Job.kind, literal_column("''")).in_(lane)


def _placed(
    session: Session, lane: Sequence[str], now: datetime
) -> tuple[dict[str | None, list[Placed]], dict[str | None, float]]:
    """Return by owner the jobs at work, and for how many seconds they were that are in no usage yet."""
    columns = Job.id, Job.owner, Job.priority, Job.state, Job.turn_at, Job.counted_at, Job.committed_at, Job.made_room
    held = select(*columns).where(*at_work(lane))
    placed: dict[str | None, list[Placed]] = {}
    running_s: dict[str | None, float] = {}
    for key, owner, priority, state, turn_at, counted_at, committed_at, made_room in session.execute(held):
        # Who made room may do so again when something is committed: else work that takes a turn would begin anew for ever.
        has_committed = turn_at is not None and committed_at is not None and committed_at >= turn_at
        may_leave = state == JobState.RUNNING.value and (has_committed or not made_room)
        ran_s = 0.0 if turn_at is None else max(0.0, (now - turn_at).total_seconds())
        placed.setdefault(owner, []).append(Placed(key, priority, ran_s, state in _LEAVING, may_leave))
        if counted_at is not None:
            running_s[owner] = running_s.get(owner, 0.0) + max(0.0, (now - counted_at).total_seconds())
    return placed, running_s


def _heads(session: Session, lane: Sequence[str]) -> dict[str | None, Waiting]:
    """Return by owner the job that is next: a few steps in an index for every owner that waits with jobs of a kind."""
    found: dict[str | None, Waiting] = {}
    for kind in lane:
        for owner, head in _heads_of(session, kind):
            known = found.get(owner, head)
            found[owner] = min(known, head, key=lambda waiting: (-waiting.priority, waiting.id))
    return found


def _heads_of(session: Session, kind: str) -> Iterator[tuple[str | None, Waiting]]:
    owners = _owners_waiting(kind)
    top = _top(kind, Job.owner == owners.c.owner)
    ranked = select(owners.c.owner, top.label("priority")).where(owners.c.owner.is_not(None)).subquery("ranked")
    first = _oldest(kind, Job.owner == ranked.c.owner, Job.priority == ranked.c.priority)
    for owner, priority, key in session.execute(select(ranked.c.owner, ranked.c.priority, first)):
        yield owner, Waiting(key, priority)
    is_nobodys = Job.owner.is_(None)
    priority = session.scalar(select(_top(kind, is_nobodys)))
    if priority is not None:
        key = session.scalar(select(_oldest(kind, is_nobodys, Job.priority == priority)))
        yield None, Waiting(key or "", priority)


def _owners_waiting(kind: str) -> CTE:
    """Walk from one owner to the next in the index, without a look at the jobs between; the last row is null."""
    later = aliased(Job)
    owners = select(func.min(Job.owner).label("owner")).where(*_waits(kind)).cte("owners", recursive=True)
    waits = later.state == QUEUED, later.kind == kind, later.owner > owners.c.owner
    following = select(func.min(later.owner)).where(*waits).scalar_subquery()
    return owners.union_all(select(following).where(owners.c.owner.is_not(None)))


def _top(kind: str, *of: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.max(Job.priority)).where(*_waits(kind), *of).scalar_subquery()


def _oldest(kind: str, *of: ColumnElement[bool]) -> ScalarSelect[str]:
    return select(func.min(Job.id)).where(*_waits(kind), *of).scalar_subquery()


def _waits(kind: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Job.state == QUEUED, Job.kind == kind

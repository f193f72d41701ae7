"""Events: what happened to a job, in order.

**Order.** Whoever reads on from the last id that he saw must not miss one that becomes visible later with a smaller id.
SQLite has one writer at a time. On PostgreSQL an id is drawn before its transaction ends, so two writers could end in the other
order. Therefore whoever records an event first locks its job's row: the events of one job get their ids, and become visible, one
transaction after the other. The events of kind `state` are also read over all jobs; those who record one also hold a lock that
all of them share, so that the same is true of them together. A driver that freezes in a transaction holds others up for as long
as `idle_in_transaction_session_timeout` lets it.

**Ids are never used again.** PostgreSQL's sequence only grows. SQLite would give the id of a deleted event to the next one, so
it takes the milliseconds since 2026 where that is more than the largest id so far.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session

from nas_service.job_events import JobEvent, StateTold
from nas_service.storage.models import Event, Job
from nas_service.storage.session import database_now, exclusive

_STATES = 7_230_002  # the lock of those who record a move of a job
_ERA = datetime(2026, 1, 1, tzinfo=UTC)


def record(session: Session, job_id: str, told: JobEvent) -> None:
    """Append an event to a job's history."""
    values: dict[str, object] = {"job_id": job_id, "kind": told.kind, "data": told.to_data()}
    if session.get_bind().dialect.name == "postgresql":
        with session.no_autoflush:  # a row may be half made
            session.execute(select(Job.id).where(Job.id == job_id).with_for_update(key_share=True))
        if isinstance(told, StateTold):
            exclusive(session, _STATES)
        now = database_now(session)
    else:
        now = database_now(session)
        since_era_ms = int((now - _ERA).total_seconds() * 1000)
        values["id"] = select(func.max(func.coalesce(func.max(Event.id), 0) + 1, since_era_ms)).scalar_subquery()
    session.execute(insert(Event).values(**values, created_at=now))


def list_events(
    session: Session, job_id: str, *, limit: int, after: int = 0, kinds: Sequence[str] = (), before: int | None = None
) -> list[Event]:
    """Return a job's events with ids above `after` (and up to `before`), oldest first; only of some kinds, where given."""
    query = select(Event).where(Event.job_id == job_id, Event.id > after).order_by(Event.id).limit(limit)
    if kinds:
        query = query.where(Event.kind.in_(kinds))
    if before is not None:
        query = query.where(Event.id <= before)
    return list(session.scalars(query))


def events_since(session: Session, places: Mapping[str, int], *, limit: int) -> list[Event]:
    """Return the events of several jobs, each after an id of its own, the oldest first, in one query."""
    if not places:
        return []
    conditions = [(Event.job_id == job_id) & (Event.id > after) for job_id, after in places.items()]
    return list(session.scalars(select(Event).where(or_(*conditions)).order_by(Event.id).limit(limit)))


def list_moves(session: Session, *, after: int, limit: int) -> list[tuple[Event, str]]:
    """Return the moves of all jobs with ids above `after`, oldest first, each with the job's kind."""
    query = select(Event, Job.kind).join(Job, Job.id == Event.job_id).where(Event.id > after, Event.kind == StateTold.kind)
    return [(event, kind) for event, kind in session.execute(query.order_by(Event.id).limit(limit))]


def last_id(session: Session) -> int:
    """Return the id of the newest event of any job; 0 without any."""
    return session.scalar(select(func.max(Event.id))) or 0


def first_event(session: Session, job_id: str, kind: str) -> Event | None:
    """Return a job's oldest event of a kind, if there is one."""
    return session.scalars(select(Event).where(Event.job_id == job_id, Event.kind == kind).order_by(Event.id).limit(1)).first()

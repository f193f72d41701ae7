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
from typing import Any

from sqlalchemy import Select, func, insert, select
from sqlalchemy.orm import Session

from nas_service.job_events import JobEvent, StateTold
from nas_service.storage.models import Event, Job
from nas_service.storage.session import database_now, exclusive
from nas_service.storage.visibility import EVERYBODYS

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
        values["id"] = _next_id(now).scalar_subquery()
    session.execute(insert(Event).values(**values, created_at=now))


def record_again(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append events, moves among them, of jobs that are new in this transaction: in order, all columns but the ids given."""
    new: list[dict[str, Any]] = [dict(row) for row in rows]
    if session.get_bind().dialect.name == "postgresql":
        exclusive(session, _STATES)
    else:
        first = session.scalars(_next_id(database_now(session)), execution_options=EVERYBODYS).one()
        new = [row | {"id": first + place} for place, row in enumerate(new)]
    if new:
        session.execute(insert(Event), new)


def _next_id(now: datetime) -> Select[int]:
    """Return what asks SQLite for the id of the next event."""
    since_era_ms = int((now - _ERA).total_seconds() * 1000)
    return select(func.max(func.coalesce(func.max(Event.id), 0) + 1, since_era_ms))


def list_events(session: Session, job_id: str, *, limit: int, after: int = 0, kinds: Sequence[str] = ()) -> list[Event]:
    """Return a job's events with ids above `after`, oldest first; only of some kinds, where given."""
    query = select(Event).where(Event.job_id == job_id, Event.id > after).order_by(Event.id).limit(limit)
    if kinds:
        query = query.where(Event.kind.in_(kinds))
    return list(session.scalars(query))


def first_event(session: Session, job_id: str, kind: str) -> Event | None:
    """Return a job's oldest event of a kind, if there is one."""
    return session.scalars(select(Event).where(Event.job_id == job_id, Event.kind == kind).order_by(Event.id).limit(1)).first()

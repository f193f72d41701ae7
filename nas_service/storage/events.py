"""Events: what happened to a job, in order."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.storage.models import Event
from nas_service.storage.session import database_now


def record(session: Session, job_id: str, kind: str, data: dict[str, Any]) -> None:
    """Append an event to a job's history."""
    session.add(Event(job_id=job_id, kind=kind, data=data, created_at=database_now(session)))


def list_events(session: Session, job_id: str, *, limit: int, after: int = 0) -> list[Event]:
    """Return a job's events with ids above `after`, oldest first."""
    query = select(Event).where(Event.job_id == job_id, Event.id > after).order_by(Event.id).limit(limit)
    return list(session.scalars(query))


def first_event(session: Session, job_id: str, kind: str) -> Event | None:
    """Return a job's oldest event of a kind, if there is one."""
    return session.scalars(select(Event).where(Event.job_id == job_id, Event.kind == kind).order_by(Event.id).limit(1)).first()

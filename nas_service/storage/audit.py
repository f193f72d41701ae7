"""Audit events: who changed what. What is done in the name of somebody is written down in the transaction that does it.

`done_by` says who that is; the first transaction that is committed meanwhile, in threads that work for the same request too,
takes the row along: there is no change without its row, and no row without its change.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, event, insert, select
from sqlalchemy.orm import Session

from nas_service.access import Caller
from nas_service.storage.models import AuditEvent
from nas_service.storage.session import database_now

FORGOTTEN_AT_ONCE = 10_000
_IS_WRITTEN = "audit event"  # in the `info` of a session: whose row its transaction holds
_LENGTHS = {"owner": 100, "key": 16, "address": 100, "request_id": 100, "action": 200, "resource": 300}


@dataclass
class Deed:
    """What somebody does, or was refused.

    Attributes:
        action: Verb and route with its placeholders, or a command.
        address: From where.
        owner: Who, where a key was shown.
        key: What the key is called.
        request_id: Of the request, if it has one.
        resource: What it is done to, or what it made; whoever makes something says so.
        status: Of the reply.
    """

    action: str
    address: str
    owner: str | None = None
    key: str | None = None
    request_id: str | None = None
    resource: str | None = None
    status: int = 200
    is_told: bool = False


@dataclass(frozen=True)
class EventFilter:
    """Which events are asked for; None asks for all.

    Attributes:
        owner: Of whose keys.
        since: From this moment on.
        until: Before this moment.
        action: What occurs in the action, in whatever case: a verb, a route, a command.
        resource: What occurs in the resource, in whatever case: the id of a job.
    """

    owner: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    action: str | None = None
    resource: str | None = None


_under_way: ContextVar[Deed | None] = ContextVar("deed", default=None)


@contextmanager
def done_by(deed: Deed | None) -> Iterator[None]:
    """Let the first transaction that is committed within the block take along what is done; None: it is nobody's deed."""
    token = _under_way.set(deed)
    try:
        yield
    finally:
        _under_way.reset(token)


def deed_under_way() -> Deed | None:
    """Return what is being done, to say more of it; None where it is in nobody's name: a driver's work, a controller's."""
    return _under_way.get()


def name_resource(resource: str) -> None:
    """Say what was made, or changed, where the route does not."""
    deed = _under_way.get()
    if deed is not None:
        deed.resource = resource


def name_doer(caller: Caller) -> None:
    """Say who it is that does something, where that is found out on the way: a browser that logs in, or out."""
    deed = _under_way.get()
    if deed is not None:
        deed.owner, deed.key = caller.owner, caller.prefix


@event.listens_for(Session, "before_commit")
def _write_down(session: Session) -> None:
    deed = _under_way.get()
    if deed is not None and not deed.is_told and _IS_WRITTEN not in session.info:
        record(session, [(deed, 1)])
        session.info[_IS_WRITTEN] = deed


@event.listens_for(Session, "after_commit")
def _is_done(session: Session) -> None:
    deed = session.info.pop(_IS_WRITTEN, None)
    if isinstance(deed, Deed):
        deed.is_told = True


@event.listens_for(Session, "after_rollback")
def _is_not_done(session: Session) -> None:
    session.info.pop(_IS_WRITTEN, None)


def record(session: Session, deeds: Sequence[tuple[Deed, int]]) -> None:
    """Add rows, each with how often it was; what is longer than its column is cut."""
    now = database_now(session)
    rows = [
        {name: _cut(getattr(deed, name), most) for name, most in _LENGTHS.items()}
        | {"status": deed.status, "count": count, "at": now}
        for deed, count in deeds
    ]
    if rows:
        session.execute(insert(AuditEvent), rows)


def list_events(
    session: Session, *, limit: int, before: int | None = None, which: EventFilter = EventFilter()
) -> list[AuditEvent]:
    """Return the events that are asked for, newest first, with ids below `before`."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    if which.owner is not None:
        query = query.where(AuditEvent.owner == which.owner)
    if which.since is not None:
        query = query.where(AuditEvent.at >= which.since)
    if which.until is not None:
        query = query.where(AuditEvent.at < which.until)
    for column, text in ((AuditEvent.action, which.action), (AuditEvent.resource, which.resource)):
        if text is not None:
            query = query.where(column.icontains(text, autoescape=True))
    return list(session.scalars(query))


def has_old(session: Session, days: float) -> bool:
    """Return whether there are events that are older than so many days."""
    return session.scalar(select(AuditEvent.id).where(AuditEvent.at < _horizon(session, days)).limit(1)) is not None


def forget_old(session: Session, days: float) -> None:
    """Delete events that are older than so many days, some at once."""
    old = select(AuditEvent.id).where(AuditEvent.at < _horizon(session, days)).order_by(AuditEvent.at).limit(FORGOTTEN_AT_ONCE)
    session.execute(delete(AuditEvent).where(AuditEvent.id.in_(old)).execution_options(synchronize_session=False))


def _horizon(session: Session, days: float) -> datetime:
    return database_now(session) - timedelta(days=days)


def _cut(text: str | None, most: int) -> str | None:
    return text if text is None else text[:most]

"""/audit: who changed what."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime

from api.audit_views import AuditView
from api.deps import ServiceDep
from api.pagination import Cursor, Limit, decode_cursor, paginate
from api.views import Page
from nas_service.storage import audit
from nas_service.storage.audit import EventFilter

router = APIRouter(prefix="/audit", tags=["access"])


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a moment within the years 1 to 9999 in UTC") from error


Owner = Annotated[str | None, Query(max_length=100, description="Only what keys of this owner did.")]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Since = Annotated[Moment | None, Query(description="Only from this moment on, with its time zone.")]
Until = Annotated[Moment | None, Query(description="Only before this moment, with its time zone.")]
Action = Annotated[
    str | None, Query(min_length=1, max_length=200, description="Only what has this in its action: DELETE, nas keys.")
]
Resource = Annotated[
    str | None, Query(min_length=1, max_length=300, description="Only what has this in its resource: a job's id.")
]


def _which(
    owner: Owner = None, since: Since = None, until: Until = None, action: Action = None, resource: Resource = None
) -> EventFilter:
    return EventFilter(owner, since, until, action, resource)


Filter = Annotated[EventFilter, Depends(_which)]


@router.get("", summary="What was changed, by whom and from where, newest first")
def list_audit(service: ServiceDep, which: Filter, cursor: Cursor = None, limit: Limit = 100) -> Page[AuditView]:
    """Return every change that was accepted, and what was refused at the gate (401, 403, 429), counted by the minute."""
    count = service.page_limit(limit)
    with service.database.read() as session:
        rows = audit.list_events(session, limit=count + 1, before=decode_cursor(cursor, int), which=which)
    return paginate(rows, count, lambda row: row.id, AuditView.model_validate)

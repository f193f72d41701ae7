"""What searches and trainings have in common: lists, single jobs, events, cancelling. Not a resource of its own."""

from typing import Annotated

from fastapi import APIRouter, Query, status

from api.deps import ServiceDep
from api.errors import documented
from api.pagination import Cursor, Limit, decode_cursor, paginate
from api.views import EventView, JobView, Page
from nas_service.lifecycle import JobState
from nas_service.storage import events, jobs

NOT_FOUND = documented(404)
CONFLICT = documented(409)

States = Annotated[list[JobState] | None, Query(description="Only jobs in these states.")]


def add_job_routes(router: APIRouter, kind: str) -> None:
    """Add the routes that every kind of job has."""

    @router.get("", summary=f"List {kind} jobs, newest first")
    def list_jobs(
        service: ServiceDep,
        state: States = None,
        parent: Annotated[str | None, Query(description="Only jobs that this search started.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[JobView]:
        count = service.page_limit(limit)
        with service.database.read() as session:
            rows = jobs.list_jobs(
                session,
                kind,
                limit=count + 1,
                before=decode_cursor(cursor, str),
                states=[entry.value for entry in state or ()],
                parent_id=parent,
            )
        return paginate(rows, count, lambda row: row.id, JobView.model_validate)

    @router.get("/{job_id}", summary=f"One {kind}, with its progress", responses=NOT_FOUND)
    def get_job(service: ServiceDep, job_id: str) -> JobView:
        with service.database.read() as session:
            return JobView.model_validate(jobs.get_job(session, job_id, kind))

    @router.post(
        "/{job_id}/cancel",
        summary=f"Cancel a {kind}; what it found so far is kept",
        status_code=status.HTTP_202_ACCEPTED,
        responses=NOT_FOUND | CONFLICT,
    )
    def cancel_job(service: ServiceDep, job_id: str) -> JobView:
        with service.database.write() as session:
            view = JobView.model_validate(jobs.request_cancel(session, job_id, kind))
        service.wake_controller()
        return view

    @router.get("/{job_id}/events", summary=f"What happened to a {kind}, oldest first", responses=NOT_FOUND)
    def list_events(service: ServiceDep, job_id: str, cursor: Cursor = None, limit: Limit = 100) -> Page[EventView]:
        count = service.page_limit(limit)
        with service.database.read() as session:
            jobs.get_job(session, job_id, kind)
            rows = events.list_events(session, job_id, limit=count + 1, after=decode_cursor(cursor, int) or 0)
        return paginate(rows, count, lambda row: row.id, EventView.model_validate)

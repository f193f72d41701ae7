"""What searches, trainings and registrations have in common: lists, single jobs, events, requests. Not a resource of its own."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status

from api.deps import Service, ServiceDep
from api.errors import documented
from api.event_views import EventView, event_view
from api.pagination import Cursor, Limit, decode_cursor, paginate
from api.resources.candidate_views import candidate_views
from api.resources.etags import UNCHANGED, tagged_view
from api.resources.streams import LARGEST_ID, add_stream_route
from api.views import BestView, JobView, Page
from nas_service.comparison import best
from nas_service.errors import NotFoundError
from nas_service.job_events import EventKind
from nas_service.lifecycle import JobState
from nas_service.storage import candidates, events, jobs, listing, queue, usage
from nas_service.storage.deletion import delete_job
from nas_service.storage.models import Job
from nas_service.storage.session import Session
from nas_service.storage.trained import trained_of
from nas_service.storage.waiting import waits_of
from nas_service.storage.watching import jobs_with_last_event

NOT_FOUND = documented(404)
CONFLICT = documented(409)

States = Annotated[list[JobState] | None, Query(description="Only jobs in these states.")]

# What can be asked of a job beside its deletion: what it does, in the API's words, and how.
_ACTIONS: dict[str, tuple[str, Callable[[Session, str, str], Job]]] = {
    "cancel": ("Cancel a {kind}; {found}", jobs.request_cancel),
    "pause": ("Let a {kind} rest: its processes end, and {kept}", jobs.request_pause),
    "resume": ("Put a paused {kind} back into the queue; it ends as if it had not rested", jobs.request_resume),
}
_KEEPING = {"found": "what it found so far is kept", "kept": "everything is kept"}
_BEGINNING_ANEW = {"found": "nothing of it is kept", "kept": "it begins anew when it goes on"}


def job_views(session: Session, rows: Sequence[Job]) -> list[JobView]:
    """Return jobs as they are shown, with what they wait for."""
    found = jobs_with_last_event(session, [row.id for row in rows])
    told = [found.get(row.id, (row, 0)) for row in rows]
    beside = told_beside(session, [job for job, _ in told])
    return [
        JobView.model_validate(job).model_copy(update={**more, "last_event": last})
        for (job, last), more in zip(told, beside, strict=True)
    ]


def told_beside(session: Session, rows: Sequence[Job]) -> list[dict[str, Any]]:
    """Return what is told of every job that its row does not hold: waits, its place in the queue, tags, and what it held."""
    places = queue.places(session, rows)
    ids = [row.id for row in rows]
    waits, tags, used = waits_of(session, rows, places), listing.tags_of(session, ids), usage.usage_of(session, ids)
    return [
        {"waiting_for": waits.get(key), "queue_position": places.get(key), "tags": tags.get(key, [])}
        | ({"cpu_seconds": used[key].cpu_seconds, "gpu_seconds": used[key].gpu_seconds} if key in used else {})
        for key in ids
    ]


def add_job_routes(router: APIRouter, kind: str) -> None:
    """Add the routes that every kind of job has alike."""
    _add_readers(router, kind)
    add_stream_route(router, kind)
    words = {"kind": kind, **(_BEGINNING_ANEW if kind == jobs.REGISTRATION else _KEEPING)}
    for action, (summary, request) in _ACTIONS.items():
        _add_action(router, kind, action, summary.format(**words), request)


def _add_readers(router: APIRouter, kind: str) -> None:
    @router.get("", summary=f"List {kind} jobs, newest first", responses=UNCHANGED, response_model=Page[JobView])
    def list_jobs(
        service: ServiceDep,
        request: Request,
        state: States = None,
        parent: Annotated[str | None, Query(description="Only jobs that this search started.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
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
            page = paginate(job_views(session, rows), count, lambda view: view.id, lambda view: view)
        return tagged_view(request, page)

    @router.get("/{job_id}", summary=f"One {kind}, with its progress", responses=NOT_FOUND | UNCHANGED, response_model=JobView)
    def get_job(service: ServiceDep, request: Request, job_id: str) -> Response:
        with service.database.read() as session:
            (view,) = job_views(session, [jobs.get_job(session, job_id, kind)])
        return tagged_view(request, view)

    @router.get("/{job_id}/events", summary=f"What happened to a {kind}, oldest first", responses=NOT_FOUND)
    def list_events(
        service: ServiceDep,
        job_id: str,
        kind_of_event: Annotated[list[EventKind] | None, Query(alias="kind", description="Only events of these kinds.")] = None,
        after: Annotated[int, Query(ge=0, le=LARGEST_ID, description="Only events after this one.")] = 0,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Page[EventView]:
        count, place = service.page_limit(limit), max(after, decode_cursor(cursor, int) or 0)
        with service.database.read() as session:
            jobs.get_job(session, job_id, kind)
            rows = events.list_events(session, job_id, limit=count + 1, after=place, kinds=kind_of_event or ())
        return paginate(rows, count, lambda row: row.id, event_view)


def add_best_route(router: APIRouter, kind: str) -> None:
    """Add the route that tells the best of what a search found, or of what a training trained."""

    @router.get("/{job_id}/best", summary=f"The best trained candidate of a {kind}", responses=NOT_FOUND)
    def get_best(service: ServiceDep, job_id: str) -> BestView:
        with service.database.read() as session:
            jobs.get_job(session, job_id, kind)
            is_search = kind == jobs.SEARCH
            found = best(trained_of(session, search_id=job_id) if is_search else trained_of(session, trainings=[job_id]))
            if found is None:
                what = f"trained candidate of {kind}"
                raise NotFoundError(what, job_id)
            (view,) = candidate_views(session, [candidates.get_candidate(session, found.candidate)])
            told = {name: getattr(found, name) for name in ("quantity", "value", "mean", "spread", "seeds")}
            return BestView(**told, candidate=view)


def _add_action(router: APIRouter, kind: str, action: str, summary: str, request: Callable[[Session, str, str], Job]) -> None:
    @router.post(
        f"/{{job_id}}/{action}",
        summary=summary,
        name=f"{action}_{kind}",
        status_code=status.HTTP_202_ACCEPTED,
        responses=NOT_FOUND | CONFLICT,
    )
    def act(service: ServiceDep, job_id: str) -> JobView:
        with service.database.write() as session:
            (view,) = job_views(session, [request(session, job_id, kind)])
        service.wake_controller()
        return view


def delete_and_wake(service: Service, job_id: str, kind: str, *, with_trainings: bool) -> None:
    """Delete a job, and let the controller remove its files."""
    with service.database.write() as session:
        delete_job(session, job_id, kind, with_trainings=with_trainings)
    service.wake_controller()

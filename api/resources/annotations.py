"""What people do to a job beside running it: change, clone it, read its log. Not a resource of its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response, status

from api.deps import Service, ServiceDep
from api.job_views import JobChange, LogView
from api.resources.jobs import CONFLICT, NOT_FOUND, job_views
from api.resources.submission import IdempotencyKey, Priority, Submission, accept
from api.views import JobView
from nas_service.errors import InvalidInputError
from nas_service.lifecycle import HELD, JobState
from nas_service.storage import jobs, listing
from nas_service.storage.models import Job
from search_spaces.errors import InvalidFieldError
from workers import driver_logs

TAIL = 200  # lines that are told where nobody says from where on
_MOST_LINES = 5000
_MAX_BYTE = 2**53 - 1  # what JSON readers keep exactly

Changes = Annotated[dict[str, Any] | None, Body(description="Fields of the spec that differ; each replaces the whole field.")]


def add_annotation_routes(router: APIRouter, kind: str, check: Callable[[Service, object], Submission]) -> None:
    """Add the routes; `check` reads a spec as one that is submitted anew."""
    _add_change(router, kind)
    _add_clone(router, kind, check)
    _add_log(router, kind)


def _add_change(router: APIRouter, kind: str) -> None:
    @router.patch(
        "/{job_id}", summary=f"Rename, note, tag or rank a {kind}, in any state", name=f"change_{kind}", responses=NOT_FOUND
    )
    def change(service: ServiceDep, job_id: str, body: JobChange) -> JobView:
        """Change what is given and leave the rest; the spec stays as it was submitted."""
        with service.database.write() as session:
            (view,) = job_views(session, [listing.annotate(session, job_id, kind, **body.given())])
        service.wake_controller()
        return view


def _add_clone(router: APIRouter, kind: str, check: Callable[[Service, object], Submission]) -> None:
    @router.post(
        "/{job_id}/clone",
        summary=f"Submit a {kind} again, with some fields of its spec changed",
        name=f"clone_{kind}",
        status_code=status.HTTP_202_ACCEPTED,
        responses=NOT_FOUND | CONFLICT,
    )
    def clone(
        service: ServiceDep,
        response: Response,
        job_id: str,
        changes: Changes = None,
        idempotency_key: IdempotencyKey = None,
        priority: Priority = 0,
    ) -> JobView:
        """Check the spec as one that is submitted; it has the name that the job has now, and no note, tag or priority of it.

        The name in the spec of a registration is that of its dataset, and stays.
        """
        with service.database.read() as session:
            job = jobs.get_job(session, job_id, kind)
        name = {} if kind == jobs.REGISTRATION else {"name": job.name}
        submission = check(service, job.spec | name | (changes or {}))
        return accept(service, response, replace(submission, key=idempotency_key, priority=priority))


def _add_log(router: APIRouter, kind: str) -> None:
    @router.get("/{job_id}/logs", summary=f"What the driver of a {kind} printed", name=f"log_of_{kind}", responses=NOT_FOUND)
    def read_log(
        service: ServiceDep,
        job_id: str,
        attempt: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Which one; the last if left out.")] = None,
        after: Annotated[
            int | None, Query(ge=0, le=_MAX_BYTE, description="Byte from which on: `next` of the part before.")
        ] = None,
        tail: Annotated[
            int | None,
            Query(ge=1, le=_MOST_LINES, description=f"So many last lines; {TAIL} if neither this nor `after` is given."),
        ] = None,
    ) -> LogView:
        """Return lines as they were printed, whole ones as long as the driver runs, up to 256 kB at once."""
        if after is not None and tail is not None:
            raise InvalidInputError([InvalidFieldError("tail", tail, "either `after` or `tail`")])
        with service.database.read() as session:
            job = jobs.get_job(session, job_id, kind)
        return _log(service, job, attempt, after, TAIL if tail is None else tail)


def _log(service: Service, job: Job, asked: int | None, after: int | None, tail: int) -> LogView:
    kept = driver_logs.attempts_kept(service.settings, job.id)
    attempts = sorted({*kept, *([job.attempt] if job.attempt else [])})
    if not attempts and asked is None:
        return LogView(attempt=None, attempts=[], lines=[], next=0, size=0, missing=driver_logs.NOT_BEGUN)
    attempt = attempts[-1] if asked is None else asked
    if attempt > job.attempt and attempt not in kept:
        allowed = f"1 to {job.attempt}" if job.attempt else driver_logs.NOT_BEGUN
        raise InvalidInputError([InvalidFieldError("attempt", attempt, allowed)])
    whole = attempt != job.attempt or JobState(job.state) not in HELD
    log = driver_logs.open_log(service.settings, service.launcher, job.id, attempt)
    if log is None:
        missing = driver_logs.where_else(service.settings, job.id, attempt)
        return LogView(attempt=attempt, attempts=attempts, lines=[], next=0, size=0, missing=missing)
    with log:
        part = driver_logs.read_tail(log, tail, whole=whole) if after is None else driver_logs.read_after(log, after, whole=whole)
    return LogView(attempt=attempt, attempts=attempts, lines=list(part.lines), next=part.next, size=part.size)

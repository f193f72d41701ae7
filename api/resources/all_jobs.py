"""/jobs: searches, trainings and registrations in one list, filtered and counted."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.deps import ServiceDep
from api.job_views import JobCounts, JobRow
from api.pagination import Cursor, Limit, decode_cursor, paginate
from api.resources.etags import UNCHANGED, tagged_view
from api.resources.jobs import told_beside
from api.views import Page
from nas_service.lifecycle import JobState
from nas_service.storage import jobs, listing
from nas_service.storage.listing import JobFilter
from nas_service.storage.models import Job
from nas_service.storage.session import Session

router = APIRouter(prefix="/jobs", tags=["jobs"])


class Kind(StrEnum):
    """A kind of job."""

    SEARCH = jobs.SEARCH
    TRAINING = jobs.TRAINING
    REGISTRATION = jobs.REGISTRATION


Name = Annotated[str | None, Query(max_length=200)]


def _read_filter(  # noqa: PLR0913, PLR0917 - one a filter
    kind: Annotated[list[Kind] | None, Query(description="Only jobs of these kinds.")] = None,
    state: Annotated[list[JobState] | None, Query(description="Only jobs in these states.")] = None,
    text: Annotated[
        str | None,
        Query(max_length=200, description="Only jobs with this in their name, in any case, or at the start of their id."),
    ] = None,
    space: Annotated[Name, Query(description="Only jobs on this space, by its name.")] = None,
    dataset: Annotated[Name, Query(description="Only jobs on this dataset, by its name.")] = None,
    strategy: Annotated[Name, Query(description="Only searches with this strategy, by its name.")] = None,
    tag: Annotated[Name, Query(description="Only jobs with this tag.")] = None,
    parent: Annotated[Name, Query(description="Only jobs that this search started.")] = None,
    owner: Annotated[Name, Query(description="Only jobs that this owner of a key submitted.")] = None,
) -> JobFilter:
    kinds, states = tuple(entry.value for entry in kind or ()), tuple(entry.value for entry in state or ())
    return JobFilter(kinds, states, text, space, dataset, strategy, tag, parent, owner)


Filter = Annotated[JobFilter, Depends(_read_filter)]


def _shown(session: Session, rows: list[Job]) -> list[JobRow]:
    """Return jobs as lists show them."""
    views = []
    for row, beside in zip(rows, told_beside(session, rows), strict=True):
        view = JobRow.model_validate(row)
        views.append(view.model_copy(update=beside | {"best": view.best_so_far()}))
    return views


@router.get("", summary="List jobs of every kind, newest first", responses=UNCHANGED, response_model=Page[JobRow])
def list_all(service: ServiceDep, request: Request, only: Filter, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Return jobs without their specs; filters are taken together."""
    count = service.page_limit(limit)
    with service.database.read() as session:
        rows = listing.list_rows(session, only, limit=count + 1, before=decode_cursor(cursor, str))
        page = paginate(_shown(session, rows), count, lambda view: view.id, lambda view: view)
    return tagged_view(request, page)


@router.get("/counts", summary="Count jobs by state", responses=UNCHANGED, response_model=JobCounts)
def count_all(service: ServiceDep, request: Request, only: Filter) -> Response:
    """Count the jobs that the same filters let pass in a list."""
    with service.database.read() as session:
        found = listing.count_rows(session, only)
    by_state = {state: found.get(state.value, 0) for state in JobState}
    return tagged_view(request, JobCounts(by_state=by_state, total=sum(by_state.values())))

"""/searches: submit, watch, cancel, and read samples and arms."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.bodies import SearchBody
from api.deps import Service, ServiceDep
from api.estimates import EstimateView
from api.pagination import Cursor, Limit, decode_cursor, paginate
from api.resources.annotations import add_annotation_routes
from api.resources.jobs import CONFLICT, NOT_FOUND, add_best_route, add_job_routes, delete_and_wake
from api.resources.submission import IdempotencyKey, Priority, Submission, accept
from api.views import JobView, Page, SampleView
from nas_service.catalogue import samples_of
from nas_service.checking.specs import check_search
from nas_service.earlier_searches import hold_earlier
from nas_service.estimates.search import estimate_search
from nas_service.estimates.training import Conditions
from nas_service.storage import jobs, samples
from nas_service.storage.timings import epoch_timings, sample_timing

router = APIRouter(prefix="/searches", tags=["searches"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Submit a search", responses=CONFLICT)
def submit_search(
    service: ServiceDep, body: SearchBody, response: Response, idempotency_key: IdempotencyKey = None, priority: Priority = 0
) -> JobView:
    """Check the whole spec, then queue it: a spec that is accepted does not fail for what could be known now."""
    return accept(service, response, replace(_checked(service, body), key=idempotency_key, priority=priority))


def _checked(service: Service, body: object) -> Submission:
    spec = check_search(body, service.place()).spec
    stored = spec.model_dump(mode="json")
    given = body.get("from_search") if isinstance(body, dict) else None
    counted = given.get("samples") if isinstance(given, dict) else None  # what is filled in grows with the other search
    asked = {**stored, "from_search": {**stored["from_search"], "samples": counted}} if stored["from_search"] else stored
    return Submission(
        jobs.SEARCH, spec.name, stored, asked=asked, check=partial(hold_earlier, spec=spec), samples=samples_of(spec)
    )


@router.post("/estimate", summary="What a search would take; nothing is started")
def estimate(service: ServiceDep, body: SearchBody) -> EstimateView:
    """Count samples, images, attacks, memory and files, those of the training that follows too.

    The time comes from work of the same kind that ran here before.
    """
    place = service.place()
    checked = check_search(body, place)
    spec = checked.spec
    with service.database.read() as session:
        timing = sample_timing(session, spec)
        timings = {} if spec.training is None else epoch_timings(session, spec.space, spec.dataset, spec.training)
    conditions = Conditions(checked.facts, place.capacity, service.settings.bundled_test_bytes, timings)
    return EstimateView.model_validate(estimate_search(spec, conditions, timing))


add_job_routes(router, jobs.SEARCH)
add_best_route(router, jobs.SEARCH)
add_annotation_routes(router, jobs.SEARCH, _checked)


@router.delete(
    "/{job_id}",
    summary="Delete a search that is over, with its results and their files",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=NOT_FOUND | CONFLICT,
)
def delete_search(
    service: ServiceDep,
    job_id: str,
    trainings: Annotated[bool, Query(description="Also the trainings of what it found.")] = False,  # noqa: FBT002 - FastAPI's way
) -> None:
    """Refuse where something that is not over needs it, or where trainings would go that nobody named."""
    delete_and_wake(service, job_id, jobs.SEARCH, with_trainings=trainings)


@router.get("/{job_id}/samples", summary="Samples in order", responses=NOT_FOUND)
def list_samples(service: ServiceDep, job_id: str, cursor: Cursor = None, limit: Limit = 100) -> Page[SampleView]:
    """Return evaluated paths with reward, cost and worker."""
    count = service.page_limit(limit)
    after = decode_cursor(cursor, int)
    with service.database.read() as session:
        jobs.get_job(session, job_id, jobs.SEARCH)
        rows = samples.list_samples(session, job_id, limit=count + 1, after=-1 if after is None else after)
    return paginate(rows, count, lambda row: row.index, SampleView.model_validate)

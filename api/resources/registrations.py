"""/registrations: what becomes of datasets that were submitted to /datasets."""

from fastapi import APIRouter, status

from api.deps import ServiceDep
from api.resources.annotations import add_annotation_routes
from api.resources.jobs import CONFLICT, NOT_FOUND, add_job_routes, delete_and_wake
from api.resources.submission import checked_registration
from nas_service.storage import jobs

router = APIRouter(prefix="/registrations", tags=["registrations"])

add_job_routes(router, jobs.REGISTRATION)
add_annotation_routes(router, jobs.REGISTRATION, checked_registration)


@router.delete(
    "/{job_id}",
    summary="Delete a registration that is over; its dataset stays",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=NOT_FOUND | CONFLICT,
)
def delete_registration(service: ServiceDep, job_id: str) -> None:
    """Forget what happened to it."""
    delete_and_wake(service, job_id, jobs.REGISTRATION, with_trainings=False)

"""/trainings: train architectures that a search found, with any methods and seeds."""

from fastapi import APIRouter, Response, status

from api.deps import ServiceDep
from api.resources.jobs import NOT_FOUND, add_job_routes
from api.resources.submission import IdempotencyKey, accept
from api.views import JobView
from nas_service.catalogue import check_training
from nas_service.specs import TrainingSpec
from nas_service.storage import jobs
from nas_service.storage.architectures import get_architecture

router = APIRouter(prefix="/trainings", tags=["trainings"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Submit a training", responses=NOT_FOUND)
def submit_training(
    service: ServiceDep, spec: TrainingSpec, response: Response, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Queue architectures x methods x seeds; the architectures must be there and of the space that is named."""
    settings = service.settings
    checked = check_training(spec, settings.data, service.launcher.capacity(), service.registered_datasets())
    with service.database.read() as session:
        for key in checked.architectures:
            get_architecture(session, key)
    return accept(service, response, jobs.TRAINING, spec.name, checked.model_dump(mode="json"), idempotency_key)


add_job_routes(router, jobs.TRAINING)

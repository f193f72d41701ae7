"""/trainings: train architectures that a search found, with any methods and seeds."""

from fastapi import APIRouter, Response, status

from api.deps import Service, ServiceDep
from api.resources.jobs import add_job_routes
from api.resources.submission import IdempotencyKey, accept
from api.views import JobView
from nas_service.catalogue import build_space, check_training
from nas_service.errors import InvalidInputError, NotFoundError
from nas_service.specs import TrainingSpec
from nas_service.storage import jobs
from nas_service.storage.architectures import get_architecture
from search_spaces.errors import InvalidFieldError

router = APIRouter(prefix="/trainings", tags=["trainings"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Submit a training")
def submit_training(
    service: ServiceDep, spec: TrainingSpec, response: Response, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Queue architectures x methods x seeds; the architectures must be there and of the space that is named."""
    settings = service.settings
    checked = check_training(spec, settings.data, service.launcher.capacity(), service.registered_datasets())
    _check_architectures(service, checked)
    return accept(service, response, jobs.TRAINING, spec.name, checked.model_dump(mode="json"), idempotency_key)


def _check_architectures(service: Service, spec: TrainingSpec) -> None:
    """Refuse architectures that no search found, or that are not of the space as it is named, now rather than in a trial.

    Raises:
        InvalidInputError: Naming each of them.
    """
    space = build_space(spec.space)
    problems = []
    with service.database.read() as session:
        for index, key in enumerate(spec.architectures):
            try:
                space.parse(get_architecture(session, key).genotype)
            except NotFoundError:
                allowed = "an id that GET /v1/architectures lists"
                problems.append(InvalidFieldError(f"architectures.{index}", key, allowed))
            except InvalidFieldError as error:
                allowed = f"an architecture of the space that is named ({error})"
                problems.append(InvalidFieldError(f"architectures.{index}", key, allowed))
    if problems:
        raise InvalidInputError(problems)


add_job_routes(router, jobs.TRAINING)

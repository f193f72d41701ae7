"""/trainings: train architectures that a search found, with any methods and seeds."""

from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Response, status

from api.bodies import TrainingBody
from api.deps import Service, ServiceDep
from api.estimates import TrainingEstimateView
from api.resources.annotations import add_annotation_routes
from api.resources.jobs import CONFLICT, NOT_FOUND, add_best_route, add_job_routes, delete_and_wake
from api.resources.named_results import NamedResults
from api.resources.submission import IdempotencyKey, Priority, Submission, accept
from api.views import JobView
from nas_service.catalogue import build_space, samples_of
from nas_service.checking.specs import check_search, check_training
from nas_service.estimates.training import Conditions, costings, estimate_training
from nas_service.hand_made import hand_made_search
from nas_service.specs import HandMadeSpec, SearchSpec, TrainingSpec
from nas_service.storage import jobs
from nas_service.storage.architectures import get_architecture
from nas_service.storage.timings import epoch_timings
from nas_service.storage.trained import live_search

router = APIRouter(prefix="/trainings", tags=["trainings"])


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Submit a training", responses=CONFLICT)
def submit_training(
    service: ServiceDep, body: TrainingBody, response: Response, idempotency_key: IdempotencyKey = None, priority: Priority = 0
) -> JobView:
    """Queue architectures x methods x seeds; the architectures must be there and of the space that is named."""
    return accept(service, response, replace(_checked(service, body), key=idempotency_key, priority=priority))


def _checked(service: Service, body: object) -> Submission:
    place = service.place()
    spec = check_training(body, place, NamedResults(service, place).check).spec
    return Submission(jobs.TRAINING, spec.name, spec.model_dump(mode="json"))


@router.post("/estimate", summary="What a training would take; nothing is started")
def estimate(service: ServiceDep, body: TrainingBody) -> TrainingEstimateView:
    """Count candidates, images, attacks and files; the time comes from candidates of the same kind that were trained here."""
    place = service.place()
    named = NamedResults(service, place)
    checked = check_training(body, place, named.check)
    spec = checked.spec
    with service.database.read() as session:
        timings = epoch_timings(session, spec.space, spec.dataset, spec)
    has_teacher = spec.teacher is not None
    conditions = Conditions(checked.facts, place.capacity, service.settings.bundled_test_bytes, timings, has_teacher)
    architectures = costings(build_space(spec.space), named.genotypes, checked.facts)
    return TrainingEstimateView.model_validate(estimate_training(spec, architectures, conditions))


@router.post(
    "/{job_id}/hand-made",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Train a network of the literature, of like cost, as this training trains what was found",
    responses=NOT_FOUND | CONFLICT,
)
def train_hand_made(
    service: ServiceDep, job_id: str, response: Response, body: HandMadeSpec, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Queue a search of one sample, the network itself, with a training of the same methods, seeds, recipe and images.

    Like cost: OPs next to those of the training's first architecture. Comparisons show it when it is trained. One that is asked
    for and not over yet is answered with its search as it is.
    """
    with service.database.read() as session:
        training = TrainingSpec.model_validate(jobs.get_job(session, job_id, jobs.TRAINING).spec)
        first = get_architecture(session, training.architectures[0])
        found = SearchSpec.model_validate(jobs.get_job(session, first.job_id).spec)
    place = service.place()
    spec = hand_made_search(body, training, found, first.genotype, place.datasets.facts(training.dataset))
    checked = check_search(spec.model_dump(mode="json"), place).spec
    stated = checked.model_dump(mode="json")
    under_way = partial(live_search, spec=stated)
    submission = Submission(jobs.SEARCH, checked.name, stated, idempotency_key, under_way=under_way, samples=samples_of(checked))
    return accept(service, response, submission)


add_job_routes(router, jobs.TRAINING)
add_best_route(router, jobs.TRAINING)
add_annotation_routes(router, jobs.TRAINING, _checked)


@router.delete(
    "/{job_id}",
    summary="Delete a training that is over, with its candidates and their files",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=NOT_FOUND | CONFLICT,
)
def delete_training(service: ServiceDep, job_id: str) -> None:
    """Refuse where something that is not over needs it."""
    delete_and_wake(service, job_id, jobs.TRAINING, with_trainings=False)

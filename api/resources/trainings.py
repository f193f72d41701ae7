"""/trainings: train architectures that a search found, with any methods and seeds."""

import csv
import io
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from api.deps import Service, ServiceDep
from api.resources.etags import tagged, tagged_view
from api.resources.jobs import NOT_FOUND, add_job_routes
from api.resources.submission import IdempotencyKey, accept
from api.views import ComparisonView, JobView, MethodView, PairView
from nas_service.catalogue import build_dataset, build_space, check_training
from nas_service.comparison import ComparedPair, compare
from nas_service.errors import InvalidInputError, NotFoundError
from nas_service.lifecycle import CandidateState
from nas_service.specs import TrainingSpec
from nas_service.storage import candidates, jobs
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
    _check_teacher(service, checked)
    return accept(service, response, jobs.TRAINING, spec.name, checked.model_dump(mode="json"), idempotency_key)


def _check_teacher(service: Service, spec: TrainingSpec) -> None:
    """Refuse a teacher that cannot teach these students: not trained, of another space, of other images or classes.

    Raises:
        InvalidInputError: Naming the field `teacher`.
    """
    if spec.teacher is None:
        return
    with service.database.read() as session:
        try:
            row = candidates.get_candidate(session, spec.teacher)
        except NotFoundError:
            row = None
        if row is None or row.state != CandidateState.SUCCEEDED.value:
            raise InvalidInputError([InvalidFieldError("teacher", spec.teacher, "the id of a trained candidate")])
        own = TrainingSpec.model_validate(jobs.get_job(session, row.job_id).spec)
    if build_space(own.space) != build_space(spec.space):
        allowed = f"a candidate of the same space: {spec.space.model_dump_json()}"
        raise InvalidInputError([InvalidFieldError("teacher", spec.teacher, allowed)])
    if own.dataset == spec.dataset:
        return
    seen, wanted = (build_dataset(entry).load(service.settings.data).image_format for entry in (own.dataset, spec.dataset))
    if (seen.channels, seen.classes) != (wanted.channels, wanted.classes):
        allowed = f"a candidate that was trained on images of {wanted.channels} channel(s) and {wanted.classes} classes"
        raise InvalidInputError([InvalidFieldError("teacher", spec.teacher, allowed)])


class ComparisonFormat(StrEnum):
    """How a comparison is written."""

    JSON = "json"
    CSV = "csv"


@router.get(
    "/{job_id}/comparison",
    summary="Methods x architectures: mean, spread, rank",
    response_model=ComparisonView,
    responses=NOT_FOUND | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def compare_candidates(
    service: ServiceDep,
    request: Request,
    job_id: str,
    file_format: Annotated[ComparisonFormat, Query(alias="format")] = ComparisonFormat.JSON,
) -> Response:
    """Compare the candidates that are finished; as CSV, the pairs."""
    with service.database.read() as session:
        jobs.get_job(session, job_id, jobs.TRAINING)
        pairs, methods = compare(candidates.trained_of(session, job_id=job_id))
    if file_format is ComparisonFormat.CSV:
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(ComparedPair)])
        writer.writeheader()
        writer.writerows(asdict(pair) for pair in pairs)
        return tagged(request, text.getvalue().encode(), "text/csv", f"comparison-{job_id}.csv")
    view = ComparisonView(pairs=[PairView(**asdict(pair)) for pair in pairs], methods=[MethodView(**asdict(m)) for m in methods])
    return tagged_view(request, view)


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

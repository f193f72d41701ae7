"""Curves: the epochs of all candidates of a training in one reply."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.deps import ServiceDep
from api.resources.etags import tagged_view
from api.resources.jobs import NOT_FOUND
from api.resources.tables import AS_CSV, Format, TableFormat, csv_reply
from api.training_views import CurvesView, CurveView
from nas_service.curves import Curve, curve
from nas_service.likeness import planned_epochs
from nas_service.storage import candidates, jobs
from nas_service.storage.curves import EXTRA, FIGURES, count_epochs, epochs_of
from nas_service.storage.models import Candidate
from nas_service.storage.trained import training_facts
from nas_service.terms import method_label
from nas_service.thinning import least_points
from nas_service.trained import TrainingFacts
from search_spaces.errors import InvalidFieldError
from search_spaces.registry import near_matches

router = APIRouter(tags=["trainings"])

MOST_EPOCHS = 200_000  # of all candidates together in one reply: about a second's work
_DEFAULT = "validation_accuracy,train_loss"
_HEAD = ("candidate", "architecture", "method", "seed", "epoch")


def _fields(given: str) -> list[str]:
    """Return the fields that are asked for, each once.

    Raises:
        InvalidFieldError: If there is no such field.
    """
    fields = list(dict.fromkeys(field.strip() for field in given.split(",")))
    for field in fields:
        if field not in {*FIGURES, EXTRA} and not (field.startswith(f"{EXTRA}.") and field != f"{EXTRA}."):
            known = [*FIGURES, EXTRA]
            near = near_matches(field, known)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            allowed = f"{hint}some of {', '.join(known)} (the method's own figures) or {EXTRA}.NAME (one of them), by commas"
            raise InvalidFieldError("fields", field, allowed)
    return fields


def _chosen(rows: list[Candidate], wanted: list[str]) -> list[Candidate]:
    """Return the candidates that are wanted, or all.

    Raises:
        InvalidFieldError: If one of them is not the training's.
    """
    known = {row.id for row in rows}
    for key in wanted:
        if key not in known:
            raise InvalidFieldError("candidate", key, "an id that GET /v1/candidates?training= lists")
    return [row for row in rows if row.id in wanted] if wanted else rows


def _view(row: Candidate, training: TrainingFacts, found: Curve) -> CurveView:
    return CurveView(
        candidate=row.id,
        architecture=row.architecture_id,
        method=method_label(row.method),
        seed=row.seed,
        state=row.state,
        epochs_total=planned_epochs(training, row.method),
        epochs_done=found.total,
        epoch=found.epoch,
        columns=found.columns,
    )


@router.get(
    "/trainings/{job_id}/curves",
    summary="The epochs of all candidates of a training",
    response_model=CurvesView,
    responses=NOT_FOUND | AS_CSV,
)
def get_curves(  # noqa: PLR0913, PLR0917 - the parameters of the query
    service: ServiceDep,
    request: Request,
    job_id: str,
    fields: Annotated[
        str, Query(max_length=2000, description=f"Names by commas: {', '.join(FIGURES)}, extra, extra.NAME.")
    ] = _DEFAULT,
    points: Annotated[int, Query(ge=4, le=10_000, description="Epochs a candidate at most; extremes are kept.")] = 500,
    candidate: Annotated[list[str] | None, Query(max_length=1000, description="Only this candidate; may be repeated.")] = None,
    file_format: Format = TableFormat.JSON,
) -> Response:
    """Return columns by candidate; where epochs are left out, each one's first, last and extremes by field are there."""
    names = _fields(fields)
    if points < least_points(len(names)):
        raise InvalidFieldError("points", points, f"{least_points(len(names))} or more for {len(names)} fields")
    with service.database.read() as session:
        jobs.get_job(session, job_id, jobs.TRAINING)
        rows = _chosen(candidates.candidates_of(session, job_id), candidate or [])
        keys = [row.id for row in rows]
        if (count := count_epochs(session, keys)) > MOST_EPOCHS:
            allowed = f"some of the candidates: these have {count:,} epochs, and a reply takes at most {MOST_EPOCHS:,}"
            raise InvalidFieldError("candidate", candidate or "all", allowed)
        (training,) = training_facts(session, [job_id])
        columns = list(dict.fromkeys(name.partition(".")[0] for name in names))
        found = {key: curve(epochs, names, points) for key, epochs in epochs_of(session, keys, columns)}
    empty = Curve([], {name: [] for name in names if name != EXTRA}, 0)
    views = [_view(row, training, found.get(row.id, empty)) for row in rows]
    if file_format is TableFormat.CSV:
        told = list(dict.fromkeys(name for view in views for name in view.columns))
        lines = (
            {**view.model_dump(include=set(_HEAD) - {"epoch"}), "epoch": epoch}
            | {name: values[place] for name, values in view.columns.items()}
            for view in views
            for place, epoch in enumerate(view.epoch)
        )
        return csv_reply(request, f"curves-{job_id}.csv", [*_HEAD, *told], lines)
    thinned = any(len(view.epoch) < view.epochs_done for view in views)
    return tagged_view(request, CurvesView(fields=names, candidates=views, thinned=thinned))

"""Comparisons: methods x architectures of one training or more, and search scores against trained accuracies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.deps import ServiceDep
from api.resources.control_lines import control_lines
from api.resources.etags import tagged_view
from api.resources.jobs import NOT_FOUND
from api.resources.tables import AS_CSV, Format, TableFormat, csv_reply
from api.training_views import (
    ComparisonView,
    ControlLineView,
    CorrelationView,
    FrontView,
    HandMadeView,
    LiveNetworkView,
    MethodView,
    PairView,
    ScoreCorrelationView,
    ScorePointView,
)
from nas_service.beside_controls import ControlLine
from nas_service.comparison import ComparedPair, compare
from nas_service.correlation import correlate
from nas_service.hand_made import HandMadeLine, LiveNetwork, against_hand_made, is_reference, reference_names, under_way
from nas_service.likeness import dataset_name, require_same_data, space_name, told_apart
from nas_service.pareto import fronts
from nas_service.storage import jobs
from nas_service.storage.session import Session
from nas_service.storage.trained import live_of_spaces, trained_of, training_facts, trainings_of_spaces
from nas_service.trained import TrainedCandidate

router = APIRouter(tags=["comparison"])

_NESTED = {"runs", "cost", "attack"}  # of a pair: what one cell of a table cannot hold
_COLUMNS = [name for name in PairView.model_fields if name not in _NESTED]
MOST_TRAININGS = 100


def _pair(pair: ComparedPair) -> PairView:
    return PairView.model_validate({**vars(pair), "eps": None if pair.attack is None else pair.attack.eps}, from_attributes=True)


@dataclass(frozen=True)
class _Compared:
    """What is compared, what controls and networks of the literature reach beside it, and which could be trained beside it."""

    candidates: Sequence[TrainedCandidate]
    controls: Sequence[ControlLine]
    hand_made: Sequence[HandMadeLine]
    under_way: Sequence[LiveNetwork]
    networks: Sequence[str]


def _read(session: Session, trainings: Sequence[str], *, beside_hand_made: bool) -> _Compared:
    """Return the finished candidates of trainings, in which labels tell apart what was not trained alike.

    Raises:
        InvalidFieldError: If the trainings are not all on the same data.
    """
    facts = training_facts(session, trainings)
    require_same_data(facts)
    candidates = told_apart(trained_of(session, trainings=trainings), facts)
    controls = control_lines(session, candidates, facts)
    if not beside_hand_made or all(is_reference(space_name(entry)) for entry in facts):
        return _Compared(candidates, controls, [], [], [])
    datasets = {dataset_name(entry) for entry in facts}
    beside = trainings_of_spaces(session, reference_names(), datasets, beside=trainings, most=MOST_TRAININGS)
    others, other_facts = trained_of(session, trainings=beside), training_facts(session, beside)
    lines = against_hand_made(candidates, others, [*facts, *other_facts])
    live = under_way(candidates, facts, live_of_spaces(session, reference_names(), datasets))
    return _Compared(candidates, controls, lines, live, reference_names())


def _reply(request: Request, compared: _Compared, file_format: TableFormat, name: str) -> Response:
    candidates = compared.candidates
    pairs, methods = compare(candidates)
    views = [_pair(pair) for pair in pairs]
    if file_format is TableFormat.CSV:
        return csv_reply(request, f"comparison-{name}.csv", _COLUMNS, (view.model_dump() for view in views))
    front_views = [FrontView.model_validate(front) for front in fronts([pair for pair in pairs if pair.control is None])]
    rows = [MethodView.model_validate(method) for method in methods]
    lines = [HandMadeView.model_validate(line) for line in compared.hand_made]
    view = ComparisonView(
        pairs=views,
        methods=rows,
        controls=[ControlLineView.model_validate(line) for line in compared.controls],
        hand_made=lines,
        under_way=[LiveNetworkView.model_validate(live) for live in compared.under_way],
        networks=list(compared.networks),
        pareto=front_views,
    )
    return tagged_view(request, view)


@router.get(
    "/trainings/{job_id}/comparison",
    summary="Methods x architectures: mean, spread, rank, fronts",
    response_model=ComparisonView,
    responses=NOT_FOUND | AS_CSV,
)
def compare_candidates(service: ServiceDep, request: Request, job_id: str, file_format: Format = TableFormat.JSON) -> Response:
    """Compare the candidates that are finished; as CSV, the pairs."""
    with service.database.read() as session:
        jobs.get_job(session, job_id, jobs.TRAINING)
        compared = _read(session, [job_id], beside_hand_made=file_format is TableFormat.JSON)
    return _reply(request, compared, file_format, job_id)


@router.get(
    "/comparison",
    summary="Methods x architectures over several trainings",
    response_model=ComparisonView,
    responses=NOT_FOUND | AS_CSV,
)
def compare_trainings(
    service: ServiceDep,
    request: Request,
    training: Annotated[
        list[str], Query(min_length=1, max_length=MOST_TRAININGS, description="Id of a training; may be repeated.")
    ],
    file_format: Format = TableFormat.JSON,
) -> Response:
    """Compare the finished candidates of trainings on the same images, classes and split; others are refused.

    Labels of methods also name what the trainings did not have in common (`bnn(recipe.epochs=50)`), and a seed that several of
    them trained alike counts once.
    """
    keys = list(dict.fromkeys(training))
    with service.database.read() as session:
        for key in keys:
            jobs.get_job(session, key, jobs.TRAINING)
        compared = _read(session, keys, beside_hand_made=file_format is TableFormat.JSON)
    return _reply(request, compared, file_format, "-".join(keys[:3]))


@router.get(
    "/searches/{job_id}/correlation",
    summary="What the search thought of its architectures, against what they reached",
    response_model=CorrelationView,
    responses=NOT_FOUND | AS_CSV,
)
def correlate_scores(service: ServiceDep, request: Request, job_id: str, file_format: Format = TableFormat.JSON) -> Response:
    """Return score and mean test accuracy of every method on every architecture that was trained; as CSV, the points."""
    with service.database.read() as session:
        jobs.get_job(session, job_id, jobs.SEARCH)
        found = trained_of(session, search_id=job_id)
        facts = training_facts(session, {entry.training for entry in found})
    points, methods = correlate(found, facts)
    if file_format is TableFormat.CSV:
        return csv_reply(request, f"correlation-{job_id}.csv", ScorePointView.model_fields, map(vars, points))
    views = [ScorePointView.model_validate(point) for point in points]
    rows = [ScoreCorrelationView.model_validate(method) for method in methods]
    return tagged_view(request, CorrelationView(points=views, methods=rows))

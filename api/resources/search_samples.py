"""/searches/{id}/series, /leader and /samples/{index}: samples as columns, the genotype in front, and pictures of them."""

import csv
import io
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.deps import Service, ServiceDep
from api.errors import file_reply
from api.resources.etags import UNCHANGED, tagged, tagged_view
from api.resources.jobs import NOT_FOUND
from api.resources.search_arms import At, Looked, chosen, look
from api.search_views import LeaderView, SeriesView
from api.views import SampleView
from nas_service.errors import InvalidInputError, NotFoundError
from nas_service.export.diagram import draw
from nas_service.export.svg_paint import Theme
from nas_service.search.strategy import Ranked
from nas_service.storage import architectures, jobs, samples
from nas_service.storage.series import FIELDS, cost_of
from nas_service.thinning import best_so_far, kept_places, new_bests
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype

router = APIRouter(prefix="/searches", tags=["searches"])

BEST = "best"
_ALL = (*FIELDS, BEST)
Index = Annotated[int, Path(ge=0, le=10**9)]
ThemeQuery = Annotated[Theme, Query(description="What it is looked at on; auto: as the reader's browser prefers.")]


class SeriesFormat(StrEnum):
    """How a series is written."""

    JSON = "json"
    CSV = "csv"


@router.get(
    "/{job_id}/series",
    summary="Samples as columns, thinned for charts",
    responses=NOT_FOUND | UNCHANGED | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    response_model=SeriesView,
)
def get_series(  # noqa: PLR0913, PLR0917 - one a parameter
    service: ServiceDep,
    request: Request,
    job_id: str,
    fields: Annotated[
        str, Query(description=f"Which columns, with commas between them: {', '.join(_ALL)}. `best`: the best reward so far.")
    ] = ",".join(_ALL),
    points: Annotated[int, Query(ge=2, le=100_000, description="About how many samples to keep; new bests may be more.")] = 2000,
    after: Annotated[int, Query(ge=-1, le=10**9, description="Only samples with an index above this.")] = -1,
    format: SeriesFormat = SeriesFormat.JSON,  # noqa: A002 - the parameter's name in the API
) -> Response:
    """Return first, last, new bests, and the extremes of as many lots as fit; `thinned` says whether others were left out."""
    names = _known(fields)
    with service.database.read() as session:
        jobs.get_job(session, job_id, jobs.SEARCH)
        known = service.columns.columns(session, job_id)
    standings = list(zip(known["fidelity"], known["reward"], strict=True))
    columns = {name: column[after + 1 :] for name, column in (known | {BEST: best_so_far(standings)}).items()}
    total = len(columns["reward"])
    places = kept_places([columns["reward"]], points, always=new_bests(standings[after + 1 :]))
    shown = {name: [columns[name][place] for place in places] for name in names}
    if format is SeriesFormat.CSV:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(zip(*(shown[name] for name in names), strict=True))
        return tagged(request, text.getvalue().encode(), "text/csv", f"series-{job_id}.csv")
    thin = len(places) < total
    return tagged_view(request, SeriesView(fields=names, columns=shown, points=len(places), points_total=total, thinned=thin))


def _known(fields: str) -> list[str]:
    """Return the columns that are asked for, each once.

    Raises:
        InvalidInputError: Naming those that there are not.
    """
    names = list(dict.fromkeys(fields.split(",")))
    problems = [InvalidFieldError("fields", name, f"of: {', '.join(_ALL)}") for name in names if name not in _ALL]
    if problems:
        raise InvalidInputError(problems)
    return names


async def _leader(service: Service, looked: Looked, count: int) -> Ranked:
    """Return what the strategy would give first.

    Raises:
        NotFoundError: If there is none yet.
    """
    search = looked.search
    key = (looked.job_id, "leader", count)
    ranked = await service.replays.ask(key, search, lambda: search.strategy.rank(search.history(count), 1))
    if not ranked:
        what = f"leader after {count} samples of search"
        raise NotFoundError(what, looked.job_id)
    return ranked[0]


@router.get(
    "/{job_id}/leader",
    summary="The genotype in front, after any number of samples",
    responses=NOT_FOUND | UNCHANGED,
    response_model=LeaderView,
)
async def get_leader(service: ServiceDep, request: Request, job_id: str, at: At = None) -> Response:
    """Return what the search would discover first if it ended then."""
    looked = await run_in_threadpool(look, service, job_id)
    count = chosen(looked, at, None)
    leader = await _leader(service, looked, count)
    cost = await run_in_threadpool(_cost, service, job_id, leader.genotype.digest)
    positions = {key: position for position, key in enumerate(looked.search.keys)}
    view = LeaderView(
        at=count,
        genotype=leader.genotype.to_dict(),
        digest=leader.genotype.digest,
        score=leader.score,
        score_unit=looked.search.strategy.score_unit(count),
        cost=cost,
        choices=[positions[key] for key in leader.genotype.choices],
    )
    return tagged_view(request, view)


def _cost(service: Service, job_id: str, digest: str) -> dict[str, int | float] | None:
    with service.database.read() as session:
        found = cost_of(session, job_id, digest)
        if found is None:
            rows = architectures.list_architectures(session, limit=1, job_id=job_id)
            found = next((row.cost for row in rows if row.digest == digest), None)
    return found


@router.get(
    "/{job_id}/leader/diagram.svg",
    summary="The cells of the genotype in front as a picture",
    response_class=Response,
    responses=NOT_FOUND | file_reply("image/svg+xml"),
)
async def get_leader_diagram(
    service: ServiceDep, request: Request, job_id: str, at: At = None, theme: ThemeQuery = Theme.LIGHT
) -> Response:
    """Return an SVG that needs nothing from the network."""
    looked = await run_in_threadpool(look, service, job_id)
    count = chosen(looked, at, None)
    leader = await _leader(service, looked, count)
    said = f"Leader after {count} samples"
    return await run_in_threadpool(_picture, request, looked, leader.genotype, said, theme)


@router.get("/{job_id}/samples/{index}", summary="One sample", responses=NOT_FOUND)
def get_sample(service: ServiceDep, job_id: str, index: Index) -> SampleView:
    """Return an evaluated path."""
    with service.database.read() as session:
        jobs.get_job(session, job_id, jobs.SEARCH)
        return SampleView.model_validate(samples.get_sample(session, job_id, index))


@router.get(
    "/{job_id}/samples/{index}/diagram.svg",
    summary="The cells of a sample as a picture",
    response_class=Response,
    responses=NOT_FOUND | file_reply("image/svg+xml"),
)
def get_sample_diagram(
    service: ServiceDep, request: Request, job_id: str, index: Index, theme: ThemeQuery = Theme.LIGHT
) -> Response:
    """Return an SVG that needs nothing from the network."""
    looked = look(service, job_id)
    with service.database.read() as session:
        genotype = Genotype.from_dict(samples.get_sample(session, job_id, index).genotype)
    return _picture(request, looked, genotype, f"Sample {index}", theme)


def _picture(request: Request, looked: Looked, genotype: Genotype, title: str, theme: Theme) -> Response:
    search = looked.search
    # from the stored form: databases may give cells in another order
    drawn = search.space.parse(genotype.to_dict())
    said = f"{title} of search {looked.job_id}, space {search.space.name}."
    return tagged(request, draw(search.space, drawn, theme=theme, title=title, description=said).encode(), "image/svg+xml")

"""/searches/{id}/arms and /rounds: the arms after any number of samples, their history, and the rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from api.arm_pictures import ArmHistory, arm_table, arm_view, round_view
from api.deps import Service, ServiceDep
from api.replays import SearchReplay
from api.resources.etags import UNCHANGED, tagged_view
from api.resources.jobs import NOT_FOUND
from api.search_views import ArmHistoryView, ArmTableView, RoundsView
from api.views import ArmView, Page
from nas_service.errors import InvalidInputError
from nas_service.search.bandit import Arm
from nas_service.search.rounds import Snapshot
from nas_service.storage import arm_rounds, jobs, samples
from nas_service.thinning import spread
from search_spaces.errors import InvalidFieldError

router = APIRouter(prefix="/searches", tags=["searches"])

_HISTORY_WEIGHT = 40  # of the answers that are kept: about 8 MB at 500 points and 540 arms
_GROWING = frozenset({"samples", "round_ends"})  # of a table, and nothing else where the table is of past samples
_COSTLY_POINTS = 10  # of a history whose tables take seconds each, and none was kept

At = Annotated[
    int | None,
    Query(ge=0, le=10**9, description="As they were after so many samples; now, where neither this nor `round` is given."),
]
Round = Annotated[
    int | None, Query(ge=0, le=10**9, description="As they were when this round ended, from 1; 0: before the first sample.")
]


@dataclass(frozen=True)
class Looked:
    """A search, and how far it is.

    Attributes:
        search: Its replay.
        job_id: Of the search.
        samples: Committed.
        now: Its arms after them; empty before the first wave.
    """

    search: SearchReplay
    job_id: str
    samples: int
    now: tuple[Arm, ...]


def look(service: Service, job_id: str) -> Looked:
    """Read how far a search is.

    Raises:
        NotFoundError: If there is no such search.
    """
    with service.database.read() as session:
        job = jobs.get_job(session, job_id, jobs.SEARCH)
        count, arms = samples.arms_now(session, job_id)
    return Looked(service.replays.search(job), job_id, count, arms)


def chosen(looked: Looked, at: int | None, number: int | None) -> int:
    """Return the number of samples that a request means.

    Raises:
        InvalidInputError: If it means more than there are, or says it twice.
    """
    if at is not None and number is not None:
        raise InvalidInputError([InvalidFieldError("round", number, "left out where `at` is given: either one or the other")])
    if at is not None:
        if at > looked.samples:
            raise InvalidInputError([InvalidFieldError("at", at, f"0 to {looked.samples}, the samples that are committed")])
        return at
    if number is None:
        return looked.samples
    ends = (0, *looked.search.strategy.round_ends(looked.samples))
    if number >= len(ends):
        raise InvalidInputError([InvalidFieldError("round", number, f"0 to {len(ends) - 1}, the rounds that are over")])
    return ends[number]


async def arms_after(service: Service, looked: Looked, count: int) -> tuple[Arm, ...]:
    """Return every arm after so many samples."""
    if count == looked.samples and looked.now:
        return looked.now
    search = looked.search
    return await service.replays.ask((looked.job_id, "arms", count), search, lambda: search.arms(count))


@router.get(
    "/{job_id}/arms/table",
    summary="The statistics of every arm as columns, after any number of samples",
    responses=NOT_FOUND | UNCHANGED,
    response_model=ArmTableView,
)
async def get_arm_table(
    service: ServiceDep,
    request: Request,
    job_id: str,
    at: At = None,
    number: Annotated[Round, Query(alias="round")] = None,
) -> Response:
    """Return what the strategy knew then; of past samples it never changes.

    Nor does its ETag, which leaves `samples` and `round_ends` out: a reader may keep what they were when it asked.
    """
    looked = await run_in_threadpool(look, service, job_id)
    count = chosen(looked, at, number)
    arms = await arms_after(service, looked, count)
    return await _tagged(request, lambda: arm_table(looked.search.strategy, arms, count, looked.samples), _GROWING)


@router.get(
    "/{job_id}/arms", summary="The statistics of every arm", responses=NOT_FOUND | UNCHANGED, response_model=Page[ArmView]
)
async def list_arms(  # noqa: PLR0913, PLR0917 - one a parameter
    service: ServiceDep,
    request: Request,
    job_id: str,
    at: At = None,
    number: Annotated[Round, Query(alias="round")] = None,
    cell: Annotated[str | None, Query(description="Only arms of this kind of cell.")] = None,
    edge: Annotated[str | None, Query(description="Only arms of this edge.")] = None,
) -> Response:
    """Return the arms that the space's cells allow: as many as the space has, so it is one page."""
    looked = await run_in_threadpool(look, service, job_id)
    _require_place(looked.search, cell, edge)
    count = chosen(looked, at, number)
    if at is None and number is None and not count:
        return await _tagged(request, lambda: Page[ArmView](items=[]))
    arms = await arms_after(service, looked, count)
    allowed = [arm for arm in arms if looked.search.space.may_hold(arm.key)]
    shown = [arm for arm in allowed if (cell is None or arm.key.cell == cell) and (edge is None or arm.key.edge == edge)]
    return await _tagged(request, lambda: Page[ArmView](items=[arm_view(arm) for arm in shown]))


@router.get(
    "/{job_id}/arms/history",
    summary="The arms of one edge over time",
    responses=NOT_FOUND | UNCHANGED,
    response_model=ArmHistoryView,
)
async def get_arm_history(
    service: ServiceDep,
    request: Request,
    job_id: str,
    cell: Annotated[str, Query(description="Kind of cell.")],
    edge: Annotated[str, Query(description="`source-target`.")],
    points: Annotated[int, Query(ge=2, le=500, description="Numbers of samples to tell of, at most.")] = 500,
) -> Response:
    """Return figures after some numbers of samples, evenly spread; where a strategy's arms are costly, only after those kept."""
    looked = await run_in_threadpool(look, service, job_id)
    search = looked.search
    _require_place(search, cell, edge)
    key = (job_id, "history", looked.samples, points)
    history = await service.replays.ask(key, search, lambda: _history(service, looked, points), _HISTORY_WEIGHT)
    keys = [(place, arm) for place, arm in enumerate(search.keys) if (arm.cell, arm.edge) == (cell, edge)]
    places = [place for place, arm in keys if search.space.may_hold(arm)]
    return await _tagged(request, lambda: history.view(places))


@router.get("/{job_id}/rounds", summary="The rounds that are over", responses=NOT_FOUND | UNCHANGED, response_model=RoundsView)
async def list_rounds(service: ServiceDep, request: Request, job_id: str) -> Response:
    """Return when each ended, what it dropped and which arms led then; none for strategies that have no rounds."""
    looked = await run_in_threadpool(look, service, job_id)
    search, total = looked.search, looked.samples
    ends = search.strategy.round_ends(total)
    rounds = await service.replays.ask((job_id, "rounds", ends), search, lambda: _rounds(service, looked, ends))
    views = [round_view(entry, number) for number, entry in enumerate(rounds, start=1)]
    return await _tagged(request, lambda: RoundsView(samples=total, rounds=views))


def _rounds(service: Service, looked: Looked, ends: Sequence[int]) -> list[Snapshot]:
    """Return the arms at the ends of rounds: as they were kept, and of an earlier version's searches by replay."""
    search = looked.search
    with service.database.read() as session:
        kept = {entry.samples: entry for entry in arm_rounds.list_rounds(session, looked.job_id, search.keys)}
    return [
        kept.get(end) or Snapshot(end, number, search.strategy.arms(search.history(end)))
        for number, end in enumerate(ends, start=1)
    ]


def _history(service: Service, looked: Looked, points: int) -> ArmHistory:
    search, count = looked.search, looked.samples
    at = spread(min(1, count), count, points)
    history = search.history(count)  # read at once
    if search.strategy.is_costly:
        with service.database.read() as session:
            kept = arm_rounds.kept_at(session, looked.job_id)
        known = sorted({*kept, count})
        few = spread(min(1, count), count, min(points, _COSTLY_POINTS))
        at = [known[place] for place in spread(0, len(known) - 1, points)] if kept else few
        return ArmHistory.of(at, map(search.arms, at))
    return ArmHistory.of(at, (search.strategy.arms(history[:after]) for after in at))


def _require_place(search: SearchReplay, cell: str | None, edge: str | None) -> None:
    """Refuse cells and edges that the space does not have.

    Raises:
        InvalidInputError: Naming each.
    """
    cells, edges = [entry.name for entry in search.space.cell_types], [entry.name for entry in search.space.edges]
    given = (("cell", cell, cells), ("edge", edge, edges))
    problems = [
        InvalidFieldError(field, value, f"one of: {', '.join(names)}")
        for field, value, names in given
        if value is not None and value not in names
    ]
    if problems:
        raise InvalidInputError(problems)


async def _tagged(request: Request, view: Callable[[], BaseModel], apart: frozenset[str] = frozenset()) -> Response:
    """Return a view with its ETag, made in a thread: it may be long."""
    return await run_in_threadpool(lambda: tagged_view(request, view(), apart))

"""/searches/{id}/beliefs: how far a strategy's models believe sizes, short trainings and other searches."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.deps import ServiceDep
from api.resources.etags import UNCHANGED, tagged_view
from api.resources.jobs import NOT_FOUND
from api.resources.search_arms import At, Round, chosen, look
from api.search_views import BeliefsView, BeliefView, PriorView
from nas_service.search.earlier import PriorSearch
from nas_service.specs import FromSearch

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get(
    "/{job_id}/beliefs",
    summary="How far the strategy believes sizes, short trainings and another search",
    responses=NOT_FOUND | UNCHANGED,
    response_model=BeliefsView,
)
async def get_beliefs(
    service: ServiceDep, request: Request, job_id: str, at: At = None, number: Annotated[Round, Query(alias="round")] = None
) -> Response:
    """Return the slopes of what its models know beside arms; none where they know nothing, or nothing was sampled."""
    looked = await run_in_threadpool(look, service, job_id)
    count, search = chosen(looked, at, number), looked.search
    key = (job_id, "beliefs", count)
    found = await service.replays.ask(key, search, lambda: search.strategy.beliefs(search.history(count)))
    prior = _prior(search.spec.from_search, search.strategy.prior)
    return tagged_view(request, BeliefsView(at=count, prior=prior, beliefs=[BeliefView.model_validate(entry) for entry in found]))


def _prior(given: FromSearch | None, prior: PriorSearch | None) -> PriorView | None:
    if given is None or prior is None or prior.fidelity is None:
        return None
    samples, told = len(prior.history), len(prior.told)
    return PriorView(search=given.search, samples=samples, told=told, fidelity=prior.fidelity)

"""/healthz /readyz /metrics: for whoever keeps the service running. None of them takes a thread that requests wait for."""

import asyncio

from fastapi import APIRouter, Response, status
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import ServiceDep
from api.metrics import exposition
from api.views import Readiness

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the process answers")
async def get_health() -> dict[str, str]:
    """Say that the process lives; asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether the service can work", responses={503: {"model": Readiness}})
async def get_readiness(service: ServiceDep, response: Response) -> Readiness:
    """Look at database, artifact store, free space and controller.

    `ready`; `degraded` where something is amiss that work gets over (little space, no driver can be started now); `not-ready`
    with 503 where it does not.
    """
    readiness, _ = await service.readiness.look()
    if readiness.status == "not-ready":
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return readiness


@router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
async def get_metrics(service: ServiceDep) -> Response:
    """Tell figures of this process, and of the whole service where the database can be asked."""
    (readiness, _), figures = await asyncio.gather(service.readiness.look(), service.readiness.figures())
    streams = service.streams.viewers, service.streams.most
    told = exposition(readiness, figures, service.readiness.free_bytes, service.database.connections(), streams)
    return Response(told, media_type=CONTENT_TYPE_LATEST)

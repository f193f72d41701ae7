"""/healthz /readyz /metrics: for whoever keeps the service running. None of them takes a thread that requests wait for."""

from fastapi import APIRouter, Response, status
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.deps import ServiceDep
from api.readiness import OK
from api.views import Readiness
from nas_service.lifecycle import JobState
from nas_service.storage import jobs

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
    """Tell the checks of readiness, and count jobs by kind and state where the database can be asked."""
    readiness, counts = await service.readiness.look()
    registry = CollectorRegistry()
    checked = Gauge("nas_check_ok", "Checks of readiness: 1 where all is well.", ["check"], registry=registry)
    for name, told in readiness.checks.items():
        checked.labels(name).set(told == OK)
    if counts is not None:
        gauge = Gauge("nas_jobs", "Jobs by kind and state.", ["kind", "state"], registry=registry)
        for kind in jobs.KINDS:
            for state in JobState:
                gauge.labels(kind, state.value).set(counts.get((kind, state.value), 0))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

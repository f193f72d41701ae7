"""/healthz /readyz /metrics: for whoever keeps the service running."""

from fastapi import APIRouter, Response, status
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.deps import Service, ServiceDep
from api.views import Readiness
from nas_service.lifecycle import HELD, JobState
from nas_service.storage import jobs
from nas_service.storage.schema import current_revision, head_revision

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the process answers")
def get_health() -> dict[str, str]:
    """Say that the process lives; asks nobody else."""
    return {"status": "ok"}


def _check(service: Service) -> Readiness:
    checks: dict[str, str] = {}
    queued = running = 0
    try:
        current, head = current_revision(service.database.engine), head_revision()
        checks["database"] = "ok"
        checks["migrations"] = "ok" if current == head else f"at {current}, needs {head}: run `nas migrate`"
        if current == head:
            with service.database.read() as session:
                counts = jobs.count_by_state(session)
            queued = sum(count for (_, state), count in counts.items() if state == JobState.QUEUED.value)
            running = sum(count for (_, state), count in counts.items() if JobState(state) in HELD)
    except Exception as error:  # noqa: BLE001 - whatever keeps the database away is what readiness reports
        checks["database"] = f"unreachable: {type(error).__name__}"
    if service.controller is not None:
        checks["controller"] = "ok" if service.controller.last_good_step_age_s is not None else "it has not made a good step yet"
    ready = all(result == "ok" for result in checks.values())
    return Readiness(status="ready" if ready else "not-ready", checks=checks, queued=queued, running=running)


@router.get("/readyz", summary="Whether the service can work", responses={503: {"model": Readiness}})
def get_readiness(service: ServiceDep, response: Response) -> Readiness:
    """Look at the database, its migrations and the controller; 503 if one is not right."""
    readiness = _check(service)
    if readiness.status != "ready":
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return readiness


@router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
def get_metrics(service: ServiceDep) -> Response:
    """Count jobs by kind and state, read from the database at the moment of asking."""
    registry = CollectorRegistry()
    gauge = Gauge("nas_jobs", "Jobs by kind and state.", ["kind", "state"], registry=registry)
    with service.database.read() as session:
        counts = jobs.count_by_state(session)
    for kind in (jobs.SEARCH, jobs.TRAINING):
        for state in JobState:
            gauge.labels(kind, state.value).set(counts.get((kind, state.value), 0))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

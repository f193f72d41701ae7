"""/system: what the service stands on, who works for it, and at what."""

import platform
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from api.deps import Service, ServiceDep
from api.system_views import (
    CapacityView,
    ControllerView,
    DatabaseFacts,
    DiskView,
    LauncherView,
    SystemView,
    WorkerView,
)
from api.views import Readiness
from nas_service.errors import NotReadyError
from nas_service.lifecycle import JobState
from nas_service.storage import at_work, controllers, jobs

router = APIRouter(prefix="/system", tags=["system"])

_PACKAGES = {"nas": "nas-service", "torch": "torch", "ray": "ray", "fastapi": "fastapi", "sqlalchemy": "sqlalchemy"}


@cache  # reading them takes longer than all else
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _launcher(service: Service) -> LauncherView:
    trouble = service.launcher.trouble()
    try:
        given = service.launcher.capacity()
    except NotReadyError as error:
        return LauncherView(kind=service.settings.launcher, capacity=None, trouble=trouble or str(error))
    capacity = CapacityView(cpus=given.cpus, gpus=given.gpus)
    return LauncherView(kind=service.settings.launcher, capacity=capacity, trouble=trouble)


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _see(service: Service, readiness: Readiness, seen: Mapping[tuple[str, str], int] | None) -> SystemView:
    launcher = _launcher(service)  # it may ask Ray: no connection is held meanwhile
    with service.database.read() as session:
        counts = jobs.count_by_state(session) if seen is None else seen
        kind, size = at_work.database_bytes(session)
        return SystemView(
            versions=_versions(),
            launcher=launcher,
            controllers=[ControllerView.model_validate(row) for row in controllers.living(session)],
            workers=[
                WorkerView(
                    id=worker.id,
                    host=worker.host,
                    device=worker.device,
                    job=worker.job_id,
                    job_kind=worker.job_kind,
                    job_name=worker.job_name,
                    doing=worker.doing,
                    since=worker.since,
                )
                for worker in at_work.workers_of(session)
            ],
            queue={state.value: sum(counts.get((kind, state.value), 0) for kind in jobs.KINDS) for state in JobState},
            database=DatabaseFacts(kind=kind, bytes=size),
            disk=DiskView(home_free_bytes=_free_bytes(service.settings.home), artifact_bytes=at_work.artifact_bytes(session)),
            readiness=readiness,
        )


@router.get("", summary="What the service stands on, who works for it, and at what")
async def get_system(service: ServiceDep) -> SystemView:
    """Tell versions, launcher, controllers, workers, the queue, sizes and readiness; the workers as their commits tell."""
    readiness, seen = await service.readiness.look()
    return await run_in_threadpool(_see, service, readiness, seen)

"""The FastAPI application: routes, error handlers, and the controller loop beside them."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from api import pages
from api.audited import Audited, TurnedAway, tell_route
from api.compression import Compression
from api.deps import Service
from api.doors import Doors
from api.errors import documented, install_handlers, name_problem
from api.gate import Gate, Gated
from api.key_schemes import describe_keys
from api.limits import BodyLimit, require_storable_text
from api.parameters import require_known_parameters
from api.readiness import ReadinessWatch
from api.replays import Replays
from api.request_log import RequestLog
from api.resources import (
    all_jobs,
    architectures,
    audit,
    candidates,
    catalogue,
    comparison,
    cost,
    curves,
    datasets,
    health,
    registrations,
    reports,
    search_arms,
    search_beliefs,
    search_samples,
    searches,
    session,
    streams,
    system,
    trainings,
    usage,
)
from api.stream_places import StreamPlaces
from api.streams.hub import StreamHub
from api.streams.looks import Logs
from nas_service.errors import StoreAwayError
from nas_service.settings import Settings
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.engines import STARTS, TimeOuts
from nas_service.storage.schema import require_head
from nas_service.storage.series import KnownColumns
from nas_service.storage.session import Database
from workers import driver_logs
from workers.controller import Controller
from workers.launcher import Launcher, log_name
from workers.launchers import create_launcher

log = structlog.get_logger()

PREFIX = "/v1"
_MODULES = (
    all_jobs,
    audit,
    searches,
    search_arms,
    search_beliefs,
    search_samples,
    trainings,
    comparison,
    curves,
    architectures,
    cost,
    candidates,
    catalogue,
    datasets,
    registrations,
    reports,
    session,
    streams,
    system,
    usage,
)
_CONNECT_S = 2.0
_POOL_S = 2.0
_IDLE_S = 30.0


def _time_outs(settings: Settings) -> TimeOuts:
    """Return how long requests wait for the database: a client rather asks again, and there are 40 threads for all of them."""
    return TimeOuts(settings.request_lock_s, settings.request_statement_s, _CONNECT_S, _POOL_S, _IDLE_S)


def _logs(settings: Settings) -> Logs:
    return Logs(
        lambda job_id, attempt: settings.home / log_name(job_id, attempt),
        lambda job_id, attempt: driver_logs.where_else(settings, job_id, attempt) if attempt else driver_logs.NOT_BEGUN,
    )


class _Ending:
    """Ends the controller and its drivers once, whoever asks first; everybody waits for it."""

    def __init__(self, controller: Controller | None) -> None:
        self._controller = controller
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            if self._controller is not None:
                self._controller.stop()
                self._controller = None


def _remove_abandoned(store: ArtifactStore) -> None:
    try:
        removed = store.remove_abandoned()
    except StoreAwayError as error:
        log.warning("store.not_tidied", error=str(error))
    else:
        if removed:
            log.info("store.tidied", removed=removed)


def _guard(app: FastAPI, settings: Settings, gate: Gate | None) -> None:
    """Put what every request goes through around an application; what is added last sees it first."""
    app.add_middleware(BodyLimit, limit_bytes=settings.max_body_bytes, limit_s=settings.body_timeout_s)
    app.add_middleware(Compression)
    app.add_middleware(Audited)
    if gate is not None:
        app.add_middleware(Gated, gate=gate)
    app.add_middleware(Doors, names=settings.names, origins=settings.sites)
    app.add_middleware(RequestLog)


def create_app(settings: Settings, launcher: Launcher | None = None) -> FastAPI:
    """Make the application; `app.state.end_drivers` ends what its controller started, once.

    Args:
        settings: Of this installation.
        launcher: How drivers start; the settings' own if left out.
    """
    database, store = Database(settings.database, _time_outs(settings)), ArtifactStore(settings.artifacts)
    starter = launcher if launcher is not None else create_launcher(settings)
    controller = Controller(settings, database, starter) if settings.controller else None
    hub = StreamHub(database, settings.max_streams, _logs(settings))
    replays = Replays(database)
    watch = ReadinessWatch(settings, store, controller)
    turned_away = TurnedAway(database)
    gate = Gate(database, settings.key_requests_per_s, turned_away) if settings.require_keys else None
    places = StreamPlaces(settings.key_streams)
    service = Service(settings, database, store, starter, controller, watch, hub, replays, KnownColumns(), gate, places)
    end_drivers = _Ending(controller)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        require_head(settings.database, STARTS)
        hub.start()
        replays.start()
        turned_away.start()
        if controller is not None:
            controller.start()
        threading.Thread(target=_remove_abandoned, args=(store,), name="tidy", daemon=True).start()
        try:
            yield
        finally:
            replays.close()
            await turned_away.stop()
            await hub.stop()
            await asyncio.to_thread(end_drivers)
            service.readiness.close()
            database.close()

    app: FastAPI = FastAPIOffline(  # its /docs and /redoc load nothing from the network
        title="nas-service",
        version=version("nas-service"),
        summary="Architecture search for 1-bit neural networks.",
        lifespan=lifespan,
        redirect_slashes=False,
        dependencies=[Depends(tell_route), Depends(require_storable_text), Depends(require_known_parameters)],
        responses=documented(400, 401, 403, 408, 413, 421, 422, 429, 503),
    )
    app.state.service, app.state.end_drivers = service, end_drivers
    install_handlers(app)
    name_problem(app)
    describe_keys(app, is_asked=gate is not None)
    _guard(app, settings, gate)
    for module in _MODULES:
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(health.router)
    app.router.routes.extend(pages.ROUTES)
    return app

"""The FastAPI application: routes, error handlers, and the controller loop beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from api.deps import Service
from api.errors import documented, install_handlers
from api.limits import BodyLimit, require_storable_text
from api.resources import architectures, candidates, catalogue, datasets, health, searches, trainings
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.schema import current_revision, head_revision
from nas_service.storage.session import Database
from workers.controller import Controller
from workers.launcher import Launcher
from workers.launchers import create_launcher

PREFIX = "/v1"


def check_schema(database: Database) -> None:
    """Refuse to work on a database whose migrations did not run.

    Raises:
        NotReadyError: Saying what to run.
    """
    current, head = current_revision(database.engine), head_revision()
    if current != head:
        raise NotReadyError(f"the database is at revision {current}, this version needs {head}: run `nas migrate`")


def create_app(settings: Settings, launcher: Launcher | None = None) -> FastAPI:
    """Make the application.

    Args:
        settings: Of this installation.
        launcher: How drivers start; the settings' own if left out.
    """
    database = Database(settings.database)
    starter = launcher if launcher is not None else create_launcher(settings)
    controller = Controller(settings, database, starter) if settings.controller else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        check_schema(database)
        if controller is not None:
            controller.start()
        try:
            yield
        finally:
            if controller is not None:
                controller.stop()
            database.close()

    app: FastAPI = FastAPIOffline(  # its /docs and /redoc load nothing from the network
        title="nas-service",
        version=version("nas-service"),
        summary="Architecture search for 1-bit neural networks.",
        lifespan=lifespan,
        redirect_slashes=False,
        dependencies=[Depends(require_storable_text)],
        responses=documented(400, 413, 422),
    )
    app.state.service = Service(settings, database, ArtifactStore(settings.artifacts), starter, controller)
    install_handlers(app)
    app.add_middleware(BodyLimit, limit_bytes=settings.max_body_bytes)
    for module in (searches, trainings, architectures, candidates, catalogue, datasets):
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(health.router)
    return app

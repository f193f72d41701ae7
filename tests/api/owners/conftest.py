"""A service that asks for keys, and everything that a project can have in it."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from nas_service.settings import Settings
from nas_service.storage.models import Architecture
from nas_service.storage.session import Database
from tests.api.owners.owning import Owned, write_owned


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Return the settings of a service on SQLite, or on the kind of database that the test names."""
    kind = getattr(request, "param", "sqlite")
    return settings if kind == "sqlite" else settings.model_copy(update={"database_url": request.getfixturevalue(f"{kind}_url")})


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """Make an application that asks for keys."""
    return create_app(settings.model_copy(update={"require_keys": True, "key_requests_per_s": 10_000.0}))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Return a client of it that shows no key by itself."""
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as connected:
        yield connected


@pytest.fixture
def whole(settings: Settings) -> Iterator[Database]:
    """Return the service's database, whole."""
    opened = Database(settings.database)
    yield opened
    opened.close()


@pytest.fixture
def owned(settings: Settings, client: TestClient, whole: Database, finished_search: str) -> Owned:
    """Write everything that a project can have, all of it Ada's."""
    with whole.read() as session:
        architectures = list(session.scalars(select(Architecture.id).where(Architecture.job_id == finished_search)))
    return write_owned(settings, client, finished_search, architectures)

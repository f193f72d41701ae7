"""A service on a real socket, as whoever imports the client sees it."""

from collections.abc import Iterator

import pytest

from api.app import create_app
from api.client import NasClient
from nas_service.settings import Settings
from tests.serving import in_thread


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """Return the address of a service whose jobs nobody carries out."""
    with in_thread(create_app(settings)) as address:
        yield address


@pytest.fixture
def nas(url: str) -> Iterator[NasClient]:
    """Return a client of it."""
    with NasClient(url) as connected:
        yield connected

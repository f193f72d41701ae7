"""A controller on a real database that starts real driver processes."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from nas_service.settings import Settings
from nas_service.storage.session import Database
from workers.controller import Controller
from workers.launchers import ChildProcessLauncher

LEASE = timedelta(seconds=30)


@pytest.fixture
def opened(settings: Settings) -> Iterator[Database]:
    """Return the database of `settings`."""
    database = Database(settings.database)
    yield database
    database.close()


@pytest.fixture
def launcher(settings: Settings) -> Iterator[ChildProcessLauncher]:
    """Return a launcher whose drivers end with the test."""
    made = ChildProcessLauncher(settings)
    yield made
    made.close(grace_s=0)


@pytest.fixture
def controller(settings: Settings, opened: Database, launcher: ChildProcessLauncher) -> Controller:
    """Return a controller that the test steps by hand."""
    return Controller(settings, opened, launcher)

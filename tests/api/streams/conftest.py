"""Jobs that a test moves on, and streams of them over real sockets."""

from collections.abc import Iterator

import pytest

from nas_service.job_events import BestTold
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import events, jobs
from nas_service.storage.session import Database
from tests.holds import held


class Running:
    """A running search that the test writes events of."""

    def __init__(self, database: Database) -> None:
        """Queue it and take it over."""
        self.database = database
        with database.write() as session:
            self.id = jobs.create_job(session, jobs.SEARCH, "", {}).id
            held(session)

    def tell(self, index: int) -> None:
        """Write an event that differs from others by its index."""
        with self.database.write() as session:
            events.record(session, self.id, BestTold(index=index, reward=0.5, digest="0" * 64))

    def end(self) -> None:
        """Let it succeed."""
        with self.database.write() as session:
            assert jobs.move(session, self.id, JobState.SUCCEEDED)

    @property
    def path(self) -> str:
        """Where it is told."""
        return f"/v1/searches/{self.id}"


@pytest.fixture
def opened(settings: Settings) -> Iterator[Database]:
    """Return the database of the service."""
    database = Database(settings.database)
    yield database
    database.close()


@pytest.fixture
def running(opened: Database) -> Running:
    """Return a running search."""
    return Running(opened)

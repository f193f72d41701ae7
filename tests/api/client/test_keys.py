"""The client beside a service that asks for keys: what shows the key, and what a limit on requests does to those who wait."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from api.app import create_app
from api.async_client import AsyncNasClient
from api.client import ApiError, NasClient, StillAtWorkError
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.session import Database
from tests.serving import in_thread

Serve = Callable[[float], AbstractContextManager[str]]


@pytest.fixture
def serve(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Return what serves with a limit of requests a second for the key that the environment has."""
    database = Database(settings.database)
    with database.write() as session:
        monkeypatch.setenv("NAS_KEY", access_keys.create_key(session, "ada", Scope.SUBMIT, None)[1])
    database.close()

    @contextmanager
    def served(requests_per_s: float) -> Iterator[str]:
        changes = {"require_keys": True, "key_requests_per_s": requests_per_s}
        with in_thread(create_app(settings.model_copy(update=changes))) as url:
            yield url

    return served


def test_the_key_of_the_environment_is_shown_by_a_connection_that_is_opened_again_too(serve: Serve) -> None:
    async def look(url: str) -> str:
        async with AsyncNasClient(url) as nas:
            search = await nas.search(space="tiny")
        state = (await search.refresh()).state
        await search._client.close()
        return state

    with serve(1000.0) as url:
        with NasClient(url) as nas:
            search = nas.search(space="tiny")
        assert search.refresh().state == "queued"
        search._client.close()
        assert asyncio.run(look(url)) == "queued"


def test_who_waits_outlives_the_limit_of_a_key(serve: Serve) -> None:
    with serve(0.5) as url, NasClient(url) as nas:
        search = nas.search(space="tiny")
        assert search.refresh().state == "queued"
        with pytest.raises(ApiError) as caught:
            search.refresh()
        assert (caught.value.problem.status, caught.value.is_passing, caught.value.retry_after_s) == (429, True, 1.0)
        with pytest.raises(StillAtWorkError):
            search.wait(2.5, quiet=True)

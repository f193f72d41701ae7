"""Replays: a search takes one thread however much is asked of it, and what is under way holds no end up."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.replays import Replays, ReplayTakesLongError, SearchReplay
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.live_searches import search_live


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return the application's database."""
    opened = Database(settings.database)
    yield opened
    opened.close()


def _search(database: Database, replays: Replays) -> SearchReplay:
    with database.write() as session:
        spec = SearchSpec.model_validate({"space": "tiny"}).model_dump(mode="json")
        return replays.search(jobs.create_job(session, jobs.SEARCH, "", spec))


def test_a_search_of_which_much_is_asked_leaves_a_thread_to_others(database: Database) -> None:
    replays, go_on, begun = Replays(database), threading.Event(), list[int]()
    slow, quick = _search(database, replays), _search(database, replays)

    def wait(number: int) -> int:
        begun.append(number)
        assert go_on.wait(30)
        return number

    async def ask() -> None:
        asked = [asyncio.ensure_future(replays.ask(number, slow, lambda number=number: wait(number))) for number in range(5)]  # type: ignore[misc]
        await asyncio.sleep(0)
        assert await replays.ask("quick", quick, lambda: "done") == "done"
        assert begun == [0]
        go_on.set()
        assert await asyncio.gather(*asked) == begun == [0, 1, 2, 3, 4]

    asyncio.run(ask())


def test_who_waits_at_the_end_is_refused_and_after_a_new_beginning_served(database: Database) -> None:
    replays, go_on = Replays(database), threading.Event()
    search = _search(database, replays)

    async def ask() -> None:
        first = asyncio.ensure_future(replays.ask("first", search, lambda: go_on.wait(30)))
        second = asyncio.ensure_future(replays.ask("second", search, lambda: 2))
        await asyncio.sleep(0)
        replays.close()
        for waiting in (second, replays.ask("third", search, lambda: 3)):
            with pytest.raises(ReplayTakesLongError, match="ending"):
                await waiting
        replays.start()
        again = asyncio.ensure_future(replays.ask("second", search, lambda: 2))
        go_on.set()
        assert list(await asyncio.gather(first, again)) == [True, 2]

    asyncio.run(ask())


def test_what_goes_wrong_is_told_and_tried_again_by_the_next_who_asks(database: Database) -> None:
    replays = Replays(database)
    search = _search(database, replays)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(replays.ask("key", search, lambda: 1 // 0))
    assert asyncio.run(replays.ask("key", search, lambda: 1)) == 1


def test_an_application_that_is_begun_again_replays_and_ends_beside_work_that_is_under_way(
    settings: Settings, database: Database
) -> None:
    live = search_live(database, {"name": "abandit", "settings": {}}, keeps=False)
    app, go_on = create_app(settings), threading.Event()
    replays: Replays = app.state.service.replays
    other = _search(database, replays)
    for at in (2, 3):
        with TestClient(app, base_url="http://localhost") as client:
            assert client.get(f"/v1/searches/{live.job_id}/arms/table?at={at}").status_code == 200
            replays._future(("long", at), other, lambda: go_on.wait(60), 1)
            ended = time.monotonic()
        assert time.monotonic() - ended < 10
    go_on.set()

"""Two replicas behind a balancer without sticky sessions: a page needs neither the one nor the other."""

import signal

import pytest
from playwright.sync_api import Browser, Page

from nas_service.settings import Settings
from nas_service.storage.session import Database
from tests.browser.recorded import RecordedSearch, begin
from tests.browser.watched import Watch
from tests.round_robin import round_robin
from tests.serving import nas_serve


def _shows(page: Page, search: RecordedSearch) -> None:
    said = f"samples{len(search.history)} of"
    page.wait_for_function("(said) => document.querySelector('.facts')?.textContent.includes(said)", arg=said)


@pytest.mark.few(1)
@pytest.mark.parametrize("killed", [0, 1])
def test_a_page_stays_live_when_either_replica_is_killed(
    browser: Browser, settings: Settings, store: Database, killed: int
) -> None:
    search = begin(store).run(20)
    home, url = settings.home, settings.database
    other = home.parent / "other"
    with (
        nas_serve(home, NAS_DATABASE_URL=url, NAS_CONTROLLER="false") as first,
        nas_serve(other, NAS_DATABASE_URL=url, NAS_CONTROLLER="false") as second,
        round_robin([first.url, second.url]) as (address, balancer),
    ):
        watch = Watch(address)
        watch.forgive("ERR_EMPTY_RESPONSE|ERR_CONNECTION|ERR_INCOMPLETE|Failed to load resource")
        context = browser.new_context(base_url=address)
        page = context.new_page()
        loads: list[str] = []
        page.on("load", lambda loaded: loads.append(loaded.url))
        watch.follow(page)
        page.goto(f"/searches/{search.job_id}")
        _shows(page, search)
        for _ in range(3):
            assert search.step()
            _shows(page, search)
        assert all(balancer.served), "both replicas answered the page"
        [first, second][killed].process.send_signal(signal.SIGKILL)
        for _ in range(3):
            assert search.step()
            _shows(page, search)
        assert len(loads) == 1
        assert watch.complaints() == []
        context.close()

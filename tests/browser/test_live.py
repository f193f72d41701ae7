"""What stays true while the service goes away and comes back, and while many tabs look at once."""

import signal
import time
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect

from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage.session import Database
from tests.browser.conftest import OpenContext, OpenPage
from tests.browser.rows import add_search, begin_next, end, fill
from tests.browser.watched import LIGHT, Watch, axe, overflow
from tests.serving import nas_serve

BANNER_S = 2.0
AWAY_MS = 3000  # for which a page is left alone with nobody who answers
MOST_ASKED = 15  # in that time: a page asks for a sign of life, and for nothing else
TABS = 8


def _away(page: Page) -> float:
    """Return after how many seconds the page said that nobody answers."""
    began = time.monotonic()
    expect(page.locator(".banner")).to_be_visible(timeout=20_000)
    return time.monotonic() - began


def test_a_killed_service_is_told_within_two_seconds_and_the_page_goes_on_by_itself(
    browser: Browser, settings: Settings, store: Database
) -> None:
    fill(store)
    home, url = settings.home, settings.database
    with nas_serve(home, NAS_DATABASE_URL=url, NAS_CONTROLLER="false") as served:
        context = browser.new_context(base_url=served.url)
        page = context.new_page()
        port = str(urlsplit(served.url).port)
        page.goto("/")
        expect(page.get_by_role("link", name="at work")).to_be_visible()
        page.evaluate("window.kept = document.querySelector('main table')")
        served.process.send_signal(signal.SIGKILL)
        assert _away(page) <= BANNER_S
        expect(page.get_by_role("link", name="at work")).to_be_visible()
        page.locator(".banner").get_by_text("old").wait_for()
        assert axe(page) == []
        assert overflow(page) == []
    add_search(store, "written meanwhile")
    with nas_serve(home, "--port", port, NAS_DATABASE_URL=url, NAS_CONTROLLER="false"):
        expect(page.locator(".banner")).to_have_count(0, timeout=20_000)
        expect(page.get_by_role("link", name="written meanwhile")).to_have_count(1)
        assert page.evaluate("window.kept === document.querySelector('main table')")
    context.close()


@pytest.mark.slow
def test_a_page_of_two_streams_asks_little_while_the_service_is_away(
    browser: Browser, settings: Settings, store: Database
) -> None:
    job_id = fill(store)["running"]
    with nas_serve(settings.home, NAS_DATABASE_URL=settings.database, NAS_CONTROLLER="false") as served:
        context = browser.new_context(base_url=served.url)
        page = context.new_page()
        port = str(urlsplit(served.url).port)
        page.goto(f"/searches/{job_id}")
        expect(page.locator("main .state-running").first).to_be_visible()
        page.evaluate("window.kept = document.querySelector('main h1')")
        page.wait_for_load_state("load")
        served.process.send_signal(signal.SIGKILL)
        assert _away(page) <= BANNER_S
        asked: list[str] = []
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page.wait_for_timeout(AWAY_MS)
        assert 0 < len(asked) <= MOST_ASKED, asked[: 2 * MOST_ASKED]
        assert axe(page) == []
    with nas_serve(settings.home, "--port", port, NAS_DATABASE_URL=settings.database, NAS_CONTROLLER="false"):
        expect(page.locator(".banner")).to_have_count(0, timeout=20_000)
        end(store, job_id, JobState.FAILED, "it broke")
        expect(page.locator("main .state-failed").first).to_be_visible()
        assert page.evaluate("window.kept === document.querySelector('main h1')")
    context.close()


def test_a_job_moves_on_the_page_in_its_own_row(open_page: OpenPage, store: Database) -> None:
    job_id = add_search(store, "watched")
    page = open_page("/")
    expect(page.locator(".state-queued")).to_be_visible()
    page.evaluate("window.row = document.querySelector('main tbody tr')")
    begin_next(store)
    expect(page.locator("main .state-running")).to_be_visible()
    end(store, job_id, JobState.FAILED, "it broke")
    expect(page.locator("main .state-failed")).to_be_visible()
    expect(page.get_by_text("it broke")).to_be_visible()
    assert page.evaluate("window.row === document.querySelector('main tbody tr')")
    add_search(store, "another")
    begin_next(store)
    expect(page.get_by_role("link", name="another")).to_be_visible()


def test_a_refused_stream_is_told_with_its_reason_until_it_is_given(open_page: OpenPage, store: Database, watch: Watch) -> None:
    watch.forgive("429")
    add_search(store, "watched")
    page = open_page("/system")
    body = {"type": "urn:nas:problem:too-many", "title": "Too many streams", "status": 429, "detail": "200 are open"}
    page.route("**/v1/stream*", lambda route: route.fulfill(status=429, json=body, content_type="application/problem+json"))
    page.goto("/")
    expect(page.locator(".banner")).to_contain_text("Not live: Too many streams: 200 are open (HTTP 429)")
    expect(page.get_by_role("link", name="watched")).to_be_visible()
    assert axe(page) == []
    page.unroute("**/v1/stream*")
    expect(page.locator(".banner")).to_have_count(0)
    begin_next(store)
    expect(page.locator("main .state-running")).to_be_visible()


def _open_tabs(context: BrowserContext, watch: Watch, path: str) -> list[Page]:
    pages = []
    for _ in range(TABS):
        page = context.new_page()
        watch.follow(page)
        page.goto(path)
        pages.append(page)
    return pages


@pytest.mark.few(1)
@pytest.mark.parametrize(("path", "streams"), [("/", 1), ("/searches/{id}", 2)])
def test_eight_tabs_share_streams_all_move_and_another_takes_over(
    open_context: OpenContext, application: FastAPI, store: Database, watch: Watch, path: str, streams: int
) -> None:
    job_id = add_search(store, "first")
    hub = application.state.service.streams
    pages = _open_tabs(open_context(LIGHT), watch, path.format(id=job_id))
    for page in pages:
        expect(page.locator("main .state-queued").first).to_be_visible()
    begin_next(store)
    for page in pages:
        expect(page.locator("main .state-running").first).to_be_visible()
    assert hub.viewers == streams
    pages.pop(0).close()
    end(store, job_id, JobState.FAILED, "it broke")
    for page in pages:
        expect(page.locator("main .state-failed").first).to_be_visible()
    assert hub.viewers <= streams

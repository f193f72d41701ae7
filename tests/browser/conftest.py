"""A real Chromium, and a real service on a socket."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from api.app import create_app
from nas_service.settings import Settings
from nas_service.storage.session import Database
from tests.browser.watched import CHROMIUM, FLAGS, LIGHT, Look, Watch
from tests.serving import in_thread

EXPECTED_MS = 20_000  # for what is waited for; a machine that does much else is slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium; of a module, since its driver keeps an event loop that other tests cannot live with."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    expect.set_options(timeout=EXPECTED_MS)
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def application(settings: Settings) -> FastAPI:
    """Return an application whose jobs nobody carries out."""
    return create_app(settings)


@pytest.fixture
def service(application: FastAPI) -> Iterator[str]:
    """Return the address of that application, served."""
    with in_thread(application) as address:
        yield address


@pytest.fixture
def store(settings: Settings) -> Iterator[Database]:
    """Return the database that the service reads, for tests that play the driver."""
    opened = Database(settings.database)
    yield opened
    opened.close()


@pytest.fixture
def watch(service: str) -> Iterator[Watch]:
    """Watch pages of the service; console errors and requests to anybody else fail the test."""
    watching = Watch(service)
    yield watching
    assert watching.complaints() == []


OpenContext = Callable[[Look], BrowserContext]
OpenPage = Callable[..., Page]


@pytest.fixture
def open_context(browser: Browser, service: str) -> Iterator[OpenContext]:
    """Return how to begin a browser of its own, as another person would."""
    opened: list[BrowserContext] = []

    def open_it(look: Look) -> BrowserContext:
        context = browser.new_context(base_url=service, **look.context())
        context.set_default_timeout(EXPECTED_MS)
        opened.append(context)
        return context

    yield open_it
    for context in opened:
        context.close()


@pytest.fixture
def open_page(open_context: OpenContext, watch: Watch) -> OpenPage:
    """Return how to open a path in a browser of its own; the page is watched."""

    def open_it(path: str, look: Look = LIGHT) -> Page:
        page = open_context(look).new_page()
        watch.follow(page)
        page.goto(path)
        return page

    return open_it

"""A service that asks for keys, in a browser: the login, what comes after it, and what a void key does."""

import pytest
from fastapi import FastAPI
from playwright.sync_api import expect

from api.app import create_app
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.session import Database
from tests.browser.conftest import OpenContext
from tests.browser.rows import fill
from tests.browser.watched import LOOKS, Look, axe, overflow


@pytest.fixture
def application(settings: Settings) -> FastAPI:
    """Return an application that asks for keys."""
    return create_app(settings.model_copy(update={"require_keys": True}))


@pytest.fixture
def key(store: Database) -> str:
    """Make a key that may submit."""
    with store.write() as session:
        return access_keys.create_key(session, "<b>Ada</b>", Scope.SUBMIT, None)[1]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_who_has_no_key_is_asked_for_one(open_context: OpenContext, look: Look, store: Database, key: str) -> None:
    fill(store)
    page = open_context(look).new_page()
    page.goto("/?state=running")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.get_by_text("Not live")).to_have_count(0)
    assert axe(page) == []
    assert overflow(page) == []
    page.get_by_label("Key").fill("nas_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").filter(has_text="This is no key of this service")).to_be_visible()
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="at work")).to_be_visible()
    assert page.url.endswith("/?state=running")
    assert page.evaluate("document.cookie") == ""


def test_a_browser_acts_with_its_key_and_logs_out(open_context: OpenContext, store: Database, key: str) -> None:
    fill(store)
    page = open_context(LOOKS[0]).new_page()
    page.goto("/")
    page.get_by_label("Key").fill(key)
    page.get_by_label("Key").press("Enter")
    page.get_by_role("button", name="pause at work").click()
    expect(page.locator(".state-pausing, .state-paused").first).to_be_visible()
    page.get_by_role("link", name="System").click()
    access = page.get_by_role("region", name="Access")
    expect(access).to_contain_text("<b>Ada</b>, which may submit")
    assert axe(page) == []
    expect(page.get_by_role("banner").locator(".caller")).to_contain_text("<b>Ada</b>")
    page.get_by_role("banner").get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_key_that_is_revoked_shows_the_login_again(open_context: OpenContext, store: Database, key: str) -> None:
    page = open_context(LOOKS[0]).new_page()
    page.goto("/system")
    page.get_by_label("Key").fill(key)
    page.get_by_label("Key").press("Enter")
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    with store.write() as session:
        access_keys.revoke(session, key[4:16])
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()  # the page looks every five seconds


def test_a_stream_that_is_refused_for_its_key_shows_the_login(open_context: OpenContext, store: Database, key: str) -> None:
    fill(store)
    page = open_context(LOOKS[0]).new_page()
    page.route("**/v1/stream*", lambda route: route.fulfill(body=": nothing\n\n", content_type="text/event-stream"))
    page.goto("/")
    page.get_by_label("Key").fill(key)
    page.get_by_label("Key").press("Enter")
    expect(page.get_by_role("link", name="at work")).to_be_visible()
    with store.write() as session:
        access_keys.revoke(session, key[4:16])
    page.wait_for_timeout(5500)  # the service believes a key for so long
    page.unroute("**/v1/stream*")  # of all that the page asks for, the stream alone is asked for again
    expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=10_000)

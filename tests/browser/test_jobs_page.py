"""The page of jobs: what it shows, in every state and look, and what can be done on it."""

import threading

import pytest
from playwright.sync_api import Route, expect

from nas_service.lifecycle import JobState
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.browser.conftest import OpenPage
from tests.browser.rows import HOSTILE, add_search, begin_next, end, fill
from tests.browser.watched import LIGHT, LIGHT_EACH_TIME, LOOKS, PHONE, WIDTHS, Look, Watch, axe, overflow


@pytest.mark.parametrize("look", LIGHT_EACH_TIME, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(open_page: OpenPage, store: Database, look: Look) -> None:
    fill(store)
    page = open_page("/", look)
    expect(page.get_by_role("link", name="at work")).to_be_visible()
    assert axe(page) == []
    for width in WIDTHS if look is LIGHT else (look.width,):
        page.set_viewport_size({"width": width, "height": look.height})
        assert overflow(page) == []


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_an_empty_list_says_what_to_do_next(open_page: OpenPage, look: Look) -> None:
    page = open_page("/", look)
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    expect(page.locator("main .empty a", has_text="New search")).to_have_attribute("href", "/new")
    expect(page.locator("main .empty code")).to_contain_text("nas search")
    assert axe(page) == []
    assert overflow(page) == []


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_refusal_is_shown_in_the_services_words(open_page: OpenPage, watch: Watch, look: Look) -> None:
    watch.forgive("422")
    page = open_page("/?state=nonsense", look)
    box = page.get_by_role("alert")
    expect(box).to_contain_text("A field is not allowed")
    expect(box).to_contain_text("nonsense")
    expect(box.get_by_role("button", name="Retry")).to_be_visible()
    assert axe(page) == []
    assert overflow(page) == []


def test_an_address_that_is_no_page_leads_back_to_the_list(open_page: OpenPage) -> None:
    page = open_page("/")
    page.evaluate("history.pushState(null, '', '/searches/a/b'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("link", name="All jobs", exact=True).click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_focused()


def test_a_list_that_takes_long_has_a_skeleton_and_a_short_one_has_none(open_page: OpenPage, store: Database) -> None:
    fill(store)
    page = open_page("/system")
    held: list[Route] = []
    released = threading.Event()
    page.route("**/v1/jobs?*", lambda route: route.continue_() if released.is_set() else held.append(route))
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.locator(".skeleton")).to_be_visible()
    assert axe(page) == []
    released.set()
    for route in held:
        route.continue_()
    expect(page.get_by_role("link", name="at work")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)


def test_filters_are_in_the_address_and_come_back_from_it(open_page: OpenPage, store: Database) -> None:
    fill(store)
    page = open_page("/")
    page.get_by_role("button", name="queued 1").click()
    expect(page.get_by_role("link", name="next")).to_be_visible()
    expect(page.get_by_role("link", name="at work")).to_have_count(0)
    assert page.url.endswith("/?state=queued")
    page.get_by_label("Name or id").fill("nex")
    page.wait_for_url("**/?state=queued&text=nex")
    page.reload()
    expect(page.get_by_label("Name or id")).to_have_value("nex")
    expect(page.get_by_role("link", name="next")).to_be_visible()
    page.get_by_label("Name or id").fill("no such job")
    expect(page.get_by_text("No job matches")).to_be_visible()
    page.get_by_role("button", name="Show all jobs").click()
    expect(page.get_by_role("link", name="at work")).to_be_visible()
    expect(page.get_by_label("Name or id")).to_have_value("")


def test_jobs_are_paused_resumed_cloned_cancelled_and_deleted(open_page: OpenPage, store: Database) -> None:
    add_search(store, "mine")
    page = open_page("/")
    page.get_by_role("button", name="pause mine").click()
    expect(page.locator(".state-paused")).to_be_visible()
    page.get_by_role("button", name="resume mine").click()
    expect(page.locator(".state-queued")).to_be_visible()
    page.get_by_role("button", name="clone mine").click()
    expect(page.get_by_role("link", name="mine")).to_have_count(2)
    page.get_by_role("button", name="cancel mine").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".state-queued")).to_have_count(2)
    page.get_by_role("button", name="cancel mine").first.click()
    page.get_by_role("dialog").get_by_role("button", name="cancel").click()
    expect(page.locator(".state-queued")).to_have_count(1)


def test_a_finished_job_is_deleted_after_a_question(open_page: OpenPage, store: Database) -> None:
    job_id = add_search(store, "old")
    begin_next(store)
    end(store, job_id, JobState.SUCCEEDED)
    page = open_page("/")
    page.get_by_role("button", name="delete old").click()
    page.get_by_role("dialog").get_by_role("button", name="delete").click()
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    with store.read() as session:
        assert jobs.list_jobs(session, jobs.SEARCH, limit=5) == []


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_name_is_text_whatever_it_holds(open_page: OpenPage, store: Database, kind: str) -> None:
    add_search(store, HOSTILE[kind])
    for look in (LIGHT, PHONE):
        page = open_page("/", look)
        link = page.locator("main td a").first
        expect(link).to_have_text(HOSTILE[kind])
        assert page.locator("#injected, main img, main script").count() == 0
        assert overflow(page) == []
        page.get_by_role("button", name="cancel").first.click()
        expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[kind])
        assert overflow(page) == []


def test_older_jobs_are_a_page_further_and_in_the_address(open_page: OpenPage, store: Database) -> None:
    for number in range(53):
        add_search(store, f"search {number}")
    page = open_page("/")
    expect(page.locator("main tbody tr")).to_have_count(50)
    page.get_by_role("button", name="Older").click()
    expect(page.locator("main tbody tr")).to_have_count(3)
    expect(page.get_by_role("link", name="search 0", exact=True)).to_be_visible()
    page.go_back()
    expect(page.locator("main tbody tr")).to_have_count(50)


def test_the_first_tab_stop_leads_past_the_navigation(open_page: OpenPage, store: Database) -> None:
    fill(store)
    page = open_page("/")
    expect(page.get_by_role("link", name="at work")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

"""Every page in every state, in light, dark and on a phone: axe finds nothing, and nothing is wider than the screen.

`make test` looks at a page in one of the three ways, at the next in the next; `make test-all` at every page in all of them.
"""

import itertools
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from nas_service.lifecycle import JobState
from nas_service.storage.session import Database
from tests.browser.conftest import OpenPage
from tests.browser.recorded import begin
from tests.browser.rows import add_search, end, fill
from tests.browser.trainings import write_training
from tests.browser.watched import LOOKS, Look, Watch, axe, overflow

NOBODY = "01a21ad3-11a1-711c-a71e-c187a328cf02"
PROBLEM = {"type": "urn:nas:problem:internal", "title": "Something broke", "status": 500, "detail": "the disk is full " * 12}


Ways = Iterator[Sequence[Look]]


@pytest.fixture(params=["one look a page", pytest.param("all looks", marks=pytest.mark.slow)])
def ways(request: pytest.FixtureRequest) -> Ways:
    """Return for one page after the other how to look at it."""
    return itertools.repeat(LOOKS) if request.param == "all looks" else itertools.cycle((look,) for look in LOOKS)


def _sound(page: Page, what: str, looks: Sequence[Look]) -> None:
    for look in looks:
        page.emulate_media(color_scheme=look.scheme)
        page.set_viewport_size({"width": look.width, "height": look.height})
        expect(page.locator("html")).to_have_attribute("data-theme", look.scheme)
        assert axe(page) == [], (what, look.name)
        assert overflow(page) == [], (what, look.name)


def _hold(page: Page, pattern: str) -> list[Route]:
    """Keep requests from the service; return the list that they come into."""
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route))  # noqa: PLW0108 - the driver takes no built-in
    return held


def _text(page: Page, text: str) -> Locator:
    return page.locator(f'main :text("{text}"):visible').first


def _paths(store: Database) -> dict[str, str]:
    """Return the path of every page that has something to show, and a text that is there when it does."""
    written = write_training(store)
    running = begin(store).run(12)
    return {
        "/": "abandit-mini searched",
        "/new": "Space",
        "/system": "Versions",
        f"/searches/{running.job_id}": "Why: edge",
        f"/trainings/{written.training}": "Candidates",
        f"/architectures/{written.architectures[0]}": "Architecture of rank 1",
    }


def test_what_takes_long_has_a_skeleton(open_page: OpenPage, ways: Ways, store: Database) -> None:
    for path, text in _paths(store).items():
        page = open_page("/system" if path != "/system" else "/")
        held = _hold(page, "**/v1/**")
        page.goto(path)
        expect(page.locator(".skeleton").first).to_be_visible()
        _sound(page, path, next(ways))
        assert held
        page.unroute("**/v1/**")
        page.reload()
        expect(_text(page, text)).to_be_visible()
        expect(page.locator("main > .skeleton")).to_have_count(0)
        page.close()


def test_a_service_that_breaks_is_told_in_its_words(open_page: OpenPage, ways: Ways, store: Database, watch: Watch) -> None:
    watch.forgive("500")
    for path, text in _paths(store).items():
        page = open_page("/system" if path != "/system" else "/")
        page.route("**/v1/**", lambda route: route.fulfill(status=500, json=PROBLEM, content_type="application/problem+json"))
        page.goto(path)
        box = page.get_by_role("alert").first
        expect(box).to_contain_text("Something broke")
        _sound(page, path, next(ways))
        page.unroute("**/v1/**")
        box.get_by_role("button", name="Retry").click()
        expect(_text(page, text)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        page.close()


def test_what_is_gone_leads_back(open_page: OpenPage, ways: Ways, watch: Watch) -> None:
    watch.forgive("404")
    for path in (f"/searches/{NOBODY}", f"/trainings/{NOBODY}", f"/architectures/{NOBODY}"):
        page = open_page(path)
        expect(page.get_by_text("There is no such thing, or no longer.")).to_be_visible()
        _sound(page, path, next(ways))
        page.close()


def test_without_a_network_the_page_stays_and_says_how_old_it_is(
    open_page: OpenPage, ways: Ways, store: Database, watch: Watch
) -> None:
    watch.forgive("ERR_INTERNET_DISCONNECTED|ERR_FAILED")
    for path, text in _paths(store).items():
        page = open_page(path)
        expect(_text(page, text)).to_be_visible()
        page.wait_for_load_state("load")
        page.context.set_offline(True)
        expect(page.locator(".banner")).to_contain_text("The service does not answer")
        expect(_text(page, text)).to_be_visible()
        _sound(page, path, next(ways))
        page.close()


def test_what_has_nothing_yet_says_what_to_do_next(open_page: OpenPage, ways: Ways, store: Database) -> None:
    written = write_training(store, left=27)
    done = begin(store).run(6)
    untrained, *_ = done.conclude()
    begun = begin(store).run(6)
    empty = begin(store)
    queued = add_search(store, "queued")
    for path, text in {
        f"/searches/{empty.job_id}": "No sample yet",
        f"/searches/{empty.job_id}?tab=architectures": "Architectures are ranked when the search ends",
        f"/searches/{begun.job_id}?tab=architectures&at=0": "Architectures are ranked when the search ends",
        f"/searches/{queued}": "No sample yet",
        f"/trainings/{written.training}": "No candidate is finished yet",
        f"/architectures/{untrained}": "Not trained yet",
    }.items():
        page = open_page(path)
        expect(_text(page, text)).to_be_visible()
        _sound(page, path, next(ways))
        page.close()


def test_a_failure_is_told_with_its_reason(open_page: OpenPage, ways: Ways, store: Database) -> None:
    written = write_training(store, left=2)
    end(store, written.training, JobState.FAILED, "the data were not there: " + "long " * 60)
    search = begin(store).run(6)
    end(store, search.job_id, JobState.FAILED, "one word of many letters: " + "x" * 200)
    for path in (f"/searches/{search.job_id}", f"/trainings/{written.training}"):
        page = open_page(path)
        expect(page.locator("main .state-failed").first).to_be_visible()
        expect(page.get_by_text(": long long" if "trainings" in path else "xxxx").first).to_be_visible()
        _sound(page, path, next(ways))
        page.close()


def test_a_question_before_what_cannot_be_undone(open_page: OpenPage, ways: Ways, store: Database) -> None:
    written = write_training(store, left=2).training
    search = begin(store, name="s" * 100).run(6)
    fill(store)
    for path in ("/", f"/searches/{search.job_id}", f"/trainings/{written}"):
        page = open_page(path)
        page.get_by_role("button", name="cancel").first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        _sound(page, path, next(ways))
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.close()


def test_a_replay_that_waits_for_its_arms_and_says_what_is_left_out(open_page: OpenPage, ways: Ways, store: Database) -> None:
    search = begin(store, "tiny", strategy={"name": "random", "settings": {"samples": 2500}})
    search.wave = 500
    search.run()
    page = open_page(f"/searches/{search.job_id}")
    expect(page.get_by_role("note")).to_contain_text("of 2,500 points shown")
    held = _hold(page, "**/arms/table*")
    page.get_by_label("Sample that is shown").fill("7")
    page.wait_for_timeout(500)
    assert held
    _sound(page, "replay waiting", next(ways))
    for route in held:
        route.continue_()
    expect(page.get_by_role("heading", name="after 7 samples")).to_be_visible()
    _sound(page, "too much", next(ways))


def test_streams_that_are_refused_are_told(open_page: OpenPage, ways: Ways, store: Database, watch: Watch) -> None:
    watch.forgive("429")
    body = {"type": "urn:nas:problem:too-many", "title": "Too many streams", "status": 429, "detail": "200 are open"}
    training = write_training(store, left=2).training
    search = begin(store).run(6)
    for path in ("/", f"/searches/{search.job_id}", f"/trainings/{training}"):
        page = open_page("/system")
        page.route("**/stream*", lambda route: route.fulfill(status=429, json=body, content_type="application/problem+json"))
        page.goto(path)
        expect(page.locator(".banner")).to_contain_text("Too many streams")
        _sound(page, path, next(ways))
        page.close()

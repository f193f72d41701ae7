"""The page of a search: what it shows at every sample, how it follows, and what it costs."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.browser.conftest import OpenPage
from tests.browser.recorded import RecordedSearch, begin
from tests.browser.trainings import write_training
from tests.browser.watched import LIGHT, LOOKS, WIDTHS, Look, axe, is_inside, overflow, texts_of

_HEAT = """() => Object.fromEntries([...document.querySelectorAll('.heat-map tbody tr')].map((row) => [
  row.dataset.edge,
  [...row.querySelectorAll('td')].map((field) => field.className.replace('heat heat-', '') + ' ' + field.children[0].textContent),
]))"""
_LEADING_IN_HEAT = """() => Object.fromEntries([...document.querySelectorAll('.heat-map tbody tr')].map((row) => {
  const place = [...row.querySelectorAll('td')].findIndex((field) => field.className.includes('heat-leading'));
  const heads = [...document.querySelectorAll('.heat-map thead .heat-operation')];
  return [row.dataset.edge, place < 0 ? null : heads[place].textContent];
}))"""
_LEADING_IN_GRAPH = """() => Object.fromEntries([...document.querySelectorAll('.cell-graph .bundle')].map(
  (bundle) => [bundle.dataset.edge, bundle.querySelector('.arm-leading')?.dataset.operation ?? null]))"""
_LEADING_IN_WHY = "() => document.querySelector('.why .why-leading')?.dataset.operation ?? null"
_SAME_FIELDS = "() => [...document.querySelectorAll('.heat-map td')].every((field, place) => field === window.fields[place])"


def _is_data(request: Request) -> bool:
    return "/v1/" in request.url and not request.url.split("?")[0].endswith(("/stream", ".svg"))


def _open(open_page: OpenPage, search: RecordedSearch, query: str = "", look: Look = LIGHT) -> Page:
    page = open_page(f"/searches/{search.job_id}{query}", look)
    expect(page.locator(".heat-map td.heat-leading").first).to_be_visible()
    return page


def _seek(page: Page, at: int) -> None:
    page.get_by_label("Sample that is shown").fill(str(at))
    expect(page.get_by_role("heading", name=re.compile(rf"^Cell \S+ after {at} samples$"))).to_be_visible()


def _get(page: Page, path: str) -> Any:  # noqa: ANN401 - JSON
    response = page.request.get(path)
    assert response.ok, response.text()
    return response.json()


def _expected(arms: list[dict[str, Any]], unit: str) -> dict[str, list[str]]:
    """Return what the heat map has to say of these arms, by edge."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for arm in arms:
        rows.setdefault(f"{arm['cell']}:{arm['edge']}", []).append(arm)
    said = {}
    for edge, row in rows.items():
        best = max((arm["mean"] for arm in row if arm["abandoned_round"] is None and arm["mean"] is not None), default=None)
        first = (
            next((arm for arm in row if arm["abandoned_round"] is None and arm["mean"] == best), None)
            if best is not None
            else None
        )
        said[edge] = [_said(arm, unit, leads=arm is first) for arm in row]
    return said


def _said(arm: dict[str, Any], unit: str, *, leads: bool) -> str:
    if arm["abandoned_round"] is not None:
        return f"abandoned round {arm['abandoned_round']}" if arm["abandoned_round"] else "impossible never"
    state = "leading" if leads else "live"
    if arm["mean"] is None:
        return f"{state} –"  # noqa: RUF001 - what pages write where there is no figure
    text = f"{abs(arm['mean']) * 100:.1f}" if unit == "accuracy" else f"{abs(arm['mean']):.2f}"
    minus = "−" if arm["mean"] < 0 and float(text) else ""  # noqa: RUF001 - a true minus
    return f"{state} {minus}{text}"


def test_a_round_on_the_slider_shows_exactly_its_arms_and_all_pictures_agree(open_page: OpenPage, store: Database) -> None:
    search = begin(store, "tiny").run()
    search.conclude()
    page = _open(open_page, search)
    rounds = _get(page, f"/v1/searches/{search.job_id}/rounds")["rounds"]
    assert len(rounds) >= 2
    for mark in rounds:
        _seek(page, mark["samples"])
        arms = _get(page, f"/v1/searches/{search.job_id}/arms?round={mark['round']}")["items"]
        assert page.evaluate(_HEAT) == _expected(arms, "accuracy")
        heat = page.evaluate(_LEADING_IN_HEAT)
        assert {edge: heat[edge] for edge in page.evaluate(_LEADING_IN_GRAPH)} == page.evaluate(_LEADING_IN_GRAPH)
        for edge in heat:
            page.locator(f'.heat-map tr[data-edge="{edge}"] td').first.click()
            expect(page.get_by_role("heading", name=f"Why: edge {edge.replace(':', ' ')}")).to_be_visible()
            assert page.evaluate(_LEADING_IN_WHY) == heat[edge]
            assert heat[edge] in page.locator(".why-sentence").inner_text()


def test_the_page_follows_waves_within_a_second_on_the_same_elements(open_page: OpenPage, store: Database) -> None:
    search = begin(store).run(30)
    page = _open(open_page, search)
    page.evaluate("window.fields = [...document.querySelectorAll('.heat-map td')]")
    took = []
    for _ in range(20):
        assert search.step()
        committed = time.perf_counter()
        done = len(search.history)
        page.wait_for_function("(done) => document.querySelector('.facts').textContent.includes(`samples${done} of`)", arg=done)
        took.append(time.perf_counter() - committed)
    assert sorted(took)[18] <= 1, took  # p95
    assert page.evaluate(_SAME_FIELDS)
    arms = _get(page, f"/v1/searches/{search.job_id}/arms")["items"]
    page.wait_for_timeout(1000)
    pulls = [int(words.split(" pull")[0].split(" ")[-1]) for words in page.locator(".heat-map td .sr-only").all_inner_texts()]
    assert pulls == [arm["pulls"] for arm in arms]


def test_one_tab_stop_and_arrows_lead_through_the_grid_and_the_choice_stays_in_the_address(
    open_page: OpenPage, store: Database
) -> None:
    search = begin(store).run(30)
    page = _open(open_page, search)
    assert page.locator('.heat-map [tabindex="0"]').count() == 1
    page.locator('.heat-map [tabindex="0"]').focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(r"edge=a%3A0-2&operation=skip"))
    expect(page.get_by_role("heading", name="Why: edge a 0-2")).to_be_visible()
    assert page.locator('.heat-map [tabindex="0"]').count() == 1
    page.evaluate("window.fields = [...document.querySelectorAll('.heat-map td')]")
    _seek(page, 12)
    assert page.evaluate(_SAME_FIELDS)
    page.reload()
    expect(page.get_by_role("heading", name="Why: edge a 0-2")).to_be_visible()
    expect(page.get_by_role("heading", name="Cell a after 12 samples")).to_be_visible()
    expect(page.locator(".replay-words")).to_contain_text("sample 12 of 30")
    page.get_by_role("button", name="live").click()
    expect(page.get_by_role("heading", name="Cell a after 30 samples")).to_be_visible()
    assert "at=" not in page.url


def test_less_motion_replays_from_round_to_round(open_page: OpenPage, store: Database) -> None:
    search = begin(store, "tiny").run()
    page = _open(open_page, search)
    page.emulate_media(reduced_motion="reduce")
    ends = [mark["samples"] for mark in _get(page, f"/v1/searches/{search.job_id}/rounds")["rounds"]]
    page.get_by_role("button", name="Replay", exact=False).first.click()
    expect(page).to_have_url(re.compile(r"at=0\b"))
    expect(page).to_have_url(re.compile(rf"at={ends[0]}\b"))


QUERIES = (
    "",
    "?at=20&edge=a:1-2&operation=skip&tab=events",
    *(f"?tab={name}" for name in ("architectures", "logs", "workers", "spec")),
)


@pytest.mark.few(3)
@pytest.mark.diagonal
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    open_page: OpenPage, store: Database, look: Look, query: str
) -> None:
    search = begin(store).run()
    search.conclude()
    page = _open(open_page, search, query, look)
    page.locator(".why-history").scroll_into_view_if_needed()
    page.locator(".why-history svg").wait_for()
    assert axe(page) == []
    for width in WIDTHS if look is LIGHT and not query else (look.width,):
        page.set_viewport_size({"width": width, "height": look.height})
        assert overflow(page) == []


def test_a_search_without_samples_says_what_comes(open_page: OpenPage, store: Database) -> None:
    search = begin(store)
    page = open_page(f"/searches/{search.job_id}")
    expect(page.get_by_text("No sample yet").first).to_be_visible()
    assert axe(page) == []
    assert search.step()
    expect(page.locator(".heat-map td.heat-leading").first).to_be_visible()
    expect(page.get_by_role("table", name="Samples in order").locator("tbody tr").first).to_be_visible()
    expect(page.locator(".empty-title")).to_have_count(0)


def test_a_search_that_is_gone_leads_back(open_page: OpenPage, watch: Any) -> None:  # noqa: ANN401 - the fixture's own type
    watch.forgive("404")
    page = open_page("/searches/01a21ad3-11a1-711c-a71e-c187a328cf02")
    expect(page.get_by_text("There is no such thing, or no longer.")).to_be_visible()
    assert axe(page) == []


@pytest.mark.few(2)
@pytest.mark.diagonal
@pytest.mark.parametrize("space", ["abandit-mini", "tiny", "abandit", "bats"])
@pytest.mark.parametrize("width", WIDTHS)
def test_texts_in_pictures_neither_overlap_nor_leave_them(open_page: OpenPage, store: Database, space: str, width: int) -> None:
    search = begin(store, space).run(12)
    page = _open(open_page, search)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(300)
    for picture in (".cell-graph", ".why"):
        texts = texts_of(page, picture)
        assert texts
        for place, one in enumerate(texts):
            assert is_inside(one), one
            for other in texts[place + 1 :]:
                apart = (
                    one["right"] <= other["left"] + 1
                    or other["right"] <= one["left"] + 1
                    or one["bottom"] <= other["top"] + 3
                    or other["bottom"] <= one["top"] + 3
                )
                assert apart, (one, other)


def test_names_are_text_whatever_is_in_them(open_page: OpenPage, store: Database) -> None:
    name = '<b id="injected">hi</b> "q" 😀'
    search = begin(store, name=name).run(3)
    page = _open(open_page, search)
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert page.locator("#injected").count() == 0


def test_trainings_that_the_search_started_are_led_to(open_page: OpenPage, store: Database) -> None:
    search = begin(store).run(3)
    name = '<b id="injected">all methods</b>'
    with store.write() as session:
        training = jobs.create_job(session, jobs.TRAINING, name, {"name": name}, parent_id=search.job_id).id
    page = _open(open_page, search)
    link = page.get_by_role("list", name="Trainings that this search started").get_by_role("link")
    expect(link).to_have_text(f"Training {name}")
    assert link.get_attribute("href") == f"/trainings/{training}"
    assert page.locator("#injected").count() == 0
    assert axe(page) == []


def test_the_history_of_an_edge_says_that_it_comes(open_page: OpenPage, store: Database) -> None:
    search = begin(store).run(3)
    page = open_page("/system")
    waiting: list[Route] = []
    page.route("**/arms/history*", lambda route: waiting.append(route))  # noqa: PLW0108 - the driver takes no built-in
    with page.expect_request("**/arms/history*"):
        page.goto(f"/searches/{search.job_id}")
        page.locator(".why-history").scroll_into_view_if_needed()
    expect(page.get_by_text("the history of this edge is being worked out")).to_be_visible()
    waiting[0].continue_()
    expect(
        page.get_by_role("heading", name="Over samples").or_(page.get_by_text("Over samples", exact=True)).first
    ).to_be_visible()
    expect(page.get_by_text("the history of this edge is being worked out")).to_have_count(0)


def test_a_large_search_opens_in_three_requests_and_sixty_kilobytes(
    open_page: OpenPage, store: Database, record_property: Callable[[str, object], None]
) -> None:
    search = begin(store, "abandit", strategy={"name": "random", "settings": {"samples": 5000}})
    search.wave = 1000
    assert len(search.run().history) == 5000
    page = open_page("/system")
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    sizes: dict[str, int] = {}

    def note(request: Request) -> None:
        if _is_data(request):
            sizes[request.url] = request.sizes()["responseBodySize"]

    page.on("requestfinished", note)
    began = time.perf_counter()
    page.goto(f"/searches/{search.job_id}", wait_until="commit")
    expect(page.locator(".heat-map td.heat-leading").first).to_be_visible()
    expect(page.locator(".samples-chart")).to_be_visible()
    took = time.perf_counter() - began
    first = dict(sizes)
    record_property("opened_with_data_s", took)
    record_property("bytes", sum(first.values()))
    names = [url.split("?")[0].rsplit("/", 1)[-1] for url in first]
    assert len([name for name in names if name in {search.job_id, "table", "series"}]) == 3
    assert sum(size for url, size in first.items() if re.search(r"arms/table|series|/searches/[^/]+$", url)) <= 60_000


def test_layers_stand_in_words_on_the_cards_and_only_arms_that_can_be_held_are_shown(
    open_page: OpenPage, store: Database
) -> None:
    """Nine cells of one edge: as small pictures nobody could read them; six of them have no skip."""
    written = write_training(store, seeds=1, count=2, space="nas-bnn")
    page = open_page(f"/searches/{written.search}?tab=architectures")
    cards = page.locator(".found > li")
    expect(cards).to_have_count(2)
    expect(cards.first.locator(".layers > span")).to_have_count(9)
    expect(cards.first).to_contain_text(re.compile("stage-1-a (wide-)?mobile-"))
    expect(page.locator(".found img")).to_have_count(0)
    expect(page.get_by_text("75 of 75")).to_be_visible()
    expect(page.locator(".heat-map td.heat-none")).to_have_count(6)
    assert axe(page) == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": LIGHT.height})
        assert overflow(page) == []

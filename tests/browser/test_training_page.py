"""The page of a training: what the pictures show is what the API says, one choice lights up everywhere, and it moves live."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from nas_service.job_events import EpochTold
from nas_service.reports import EpochReport
from nas_service.storage import candidates, events
from nas_service.storage.session import Database
from tests.browser.conftest import OpenPage
from tests.browser.trainings import METHODS, Written, write_training
from tests.browser.watched import LIGHT, LIGHT_EACH_TIME, WIDTHS, Look, axe, is_inside, overflow, texts_of


def _percent(share: float) -> str:
    """Return a share as the page writes it."""
    return f"{share * 100:.1f} %"


def _comparison(service: str, written: Written) -> Any:  # noqa: ANN401 - JSON
    return httpx.get(f"{service}/v1/trainings/{written.training}/comparison").json()


def _open(open_page: OpenPage, written: Written, query: str = "", look: Look = LIGHT) -> Page:
    page = open_page(f"/trainings/{written.training}{query}", look)
    expect(page.get_by_role("heading", name="Candidates")).to_be_visible()
    return page


@pytest.mark.parametrize("look", LIGHT_EACH_TIME, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(open_page: OpenPage, store: Database, look: Look) -> None:
    written = write_training(store)
    page = _open(open_page, written, look=look)
    assert axe(page) == []
    for fold in page.locator("details:not(.request) > summary").all():
        fold.click()
    page.locator("button.cell").first.click()
    page.locator("table button.link").first.click()
    expect(page.get_by_role("heading", name="By class")).to_be_visible()
    page.get_by_text("test images", exact=True).first.wait_for()
    assert axe(page) == []
    for width in WIDTHS if look is LIGHT else (look.width,):
        page.set_viewport_size({"width": width, "height": look.height})
        assert overflow(page) == []


@pytest.mark.parametrize("width", [WIDTHS[0], *(pytest.param(width, marks=pytest.mark.slow) for width in WIDTHS[1:])])
def test_no_text_leaves_its_picture(open_page: OpenPage, store: Database, width: int) -> None:
    written = write_training(store)
    for cost in ("ops", "packed_bytes"):
        page = _open(open_page, written, f"?cost={cost}")
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        texts = texts_of(page, "main svg")
        assert len(texts) > 40
        assert [text for text in texts if not is_inside(text)] == []


def test_the_matrix_says_what_the_comparison_says_to_the_last_digit(open_page: OpenPage, service: str, store: Database) -> None:
    written = write_training(store)
    page = _open(open_page, written)
    pairs = _comparison(service, written)["pairs"]
    assert len(pairs) == len(METHODS) * len(written.architectures)
    for pair in pairs:
        cell = page.locator(f'[data-cell="{pair["method"]} {pair["architecture"]}"]')
        text = cell.inner_text()
        assert _percent(pair["test_mean"]) in text
        assert f"± {_percent(pair['test_spread'])}" in text
        assert f"rank {pair['rank']:g} of {len(METHODS)}, {pair['seeds']} seeds" in text
        assert cell.locator("circle").count() == pair["seeds"]


def test_one_seed_has_no_spread_and_two_architectures_no_correlation(open_page: OpenPage, store: Database) -> None:
    page = _open(open_page, write_training(store, seeds=1, count=2))
    for cell in page.locator("button.cell").all():
        assert "1 seed, no spread" in cell.inner_text()
        assert "±" not in cell.inner_text()
    expect(page.get_by_text("no \N{GREEK SMALL LETTER RHO}: n = 2, three are needed").first).to_be_visible()


@pytest.mark.parametrize("cost", ["ops", "packed_bytes"])
def test_the_front_is_the_apis(open_page: OpenPage, service: str, store: Database, cost: str) -> None:
    written = write_training(store)
    page = _open(open_page, written, f"?cost={cost}")
    for front in _comparison(service, written)["pareto"]:
        if front["cost"] != cost:
            continue
        expected = {f"{front['accuracy']} {method} {architecture}" for method, architecture in front["members"]}
        marked = page.locator(f'[data-point^="{front["accuracy"]} "]:has(text)')
        assert {mark.get_attribute("data-point") for mark in marked.all()} == expected
        assert page.locator(f'path[data-front="{front["accuracy"]}"]').count() == 1


def test_a_choice_lights_up_in_all_pictures_and_stays_in_the_address(open_page: OpenPage, store: Database) -> None:
    written = write_training(store)
    page = _open(open_page, written)
    key = f"rebnn {written.architectures[1]}"
    page.locator(f'[data-cell="{key}"]').click()

    def lit() -> None:
        expect(page.locator(f'[data-cell="{key}"]')).to_have_attribute("aria-pressed", "true")
        for name in ("cell", "point", "band"):
            marks = page.locator(f"[data-{name}][data-lit=true]").all()
            assert marks
            assert all(str(mark.get_attribute(f"data-{name}")).endswith(key) for mark in marks)
        expect(page.locator("tr.chosen")).to_have_count(3)

    lit()
    assert re.search(r"method=rebnn&architecture=", page.url)
    page.reload()
    expect(page.locator("tr.chosen")).to_have_count(3)
    lit()
    page.get_by_role("button", name="show all").click()
    expect(page.locator("tr.chosen")).to_have_count(0)
    assert "method=" not in page.url


def test_figures_do_not_hang_on_what_else_is_chosen(open_page: OpenPage, store: Database) -> None:
    page = _open(open_page, write_training(store))
    before = page.locator("table.matrix").inner_text()
    page.get_by_role("button", name="a bnn").click()
    expect(page.locator("tr.chosen")).to_have_count(9)
    assert page.locator("table.matrix").inner_text() == before


def test_three_methods_on_three_architectures_take_four_requests(open_page: OpenPage, store: Database) -> None:
    written = write_training(store)
    page = open_page("/system")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/trainings/{written.training}")
    expect(page.get_by_role("heading", name="Candidates")).to_be_visible()
    assert len([url for url in asked if "/v1/" in url and written.training in url]) == 4


def test_masked_gradients_are_told_in_words(open_page: OpenPage, store: Database) -> None:
    page = _open(open_page, write_training(store))
    expect(page.get_by_text("gradients are masked in 9 of 9: square did more damage")).to_be_visible()
    expect(page.get_by_text("no gradients are masked").first).to_be_visible()


def test_figures_can_be_taken_away(open_page: OpenPage, store: Database) -> None:
    page = _open(open_page, write_training(store))
    figure = page.get_by_role("figure", name="Pareto front")
    with page.expect_download() as csv:
        figure.get_by_role("button", name="CSV").click()
    assert csv.value.path().read_text().startswith("method,architecture,test_mean")
    with page.expect_download() as svg:
        figure.get_by_role("button", name="SVG").click()
    drawn = svg.value.path().read_text()
    assert drawn.startswith("<svg")
    assert "var(" not in drawn


def _waiting(service: str, written: Written) -> str:
    """Return a candidate that nobody took up."""
    listed = httpx.get(f"{service}/v1/candidates", params={"training": written.training, "limit": 100}).json()["items"]
    return next(str(entry["id"]) for entry in listed if entry["state"] == "waiting")


def _train_an_epoch(store: Database, written: Written, candidate: str) -> None:
    """Record what a trial's first epoch led to, as drivers do."""
    report = EpochReport(
        epoch=0,
        phase="binary",
        train_loss=1.0,
        train_accuracy=0.3,
        validation_accuracy=0.314,
        flip_ratio=0.1,
        sign_balance=0.5,
        bimodality=0.4,
        seconds=1.0,
        extra={},
    )
    with store.write() as session:
        assert candidates.add_epoch(session, candidate, report)
        told = EpochTold(candidate=candidate, epochs=6, **report.model_dump(include=set(EpochTold.model_fields)))
        events.record(session, written.training, told)


def test_a_training_that_runs_shows_what_is_there_and_what_comes(open_page: OpenPage, service: str, store: Database) -> None:
    written = write_training(store, left=2)
    page = _open(open_page, written)
    expect(page.get_by_text("2 candidates not begun")).to_be_visible()
    waiting = _waiting(service, written)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with store.write() as session:
        assert candidates.begin(session, waiting, "host:7", "cpu", 0)
    _train_an_epoch(store, written, waiting)
    row = page.locator("tr", has_text="1 of 6")
    expect(row).to_contain_text("31.4 %")
    expect(page.get_by_text("host:7").first).to_be_visible()
    assert not [url for url in asked if "/curves" in url]


def test_a_reply_that_is_late_takes_nothing_back(open_page: OpenPage, service: str, store: Database) -> None:
    written = write_training(store, left=2)
    page = _open(open_page, written)
    waiting = _waiting(service, written)
    late: list[tuple[Route, APIResponse]] = []
    page.route(f"**/v1/candidates/{waiting}", lambda route: late.append((route, route.fetch())))
    with store.write() as session:
        assert candidates.begin(session, waiting, "host:7", "cpu", 0)
    row = page.locator("tr", has_text="host:7")
    expect(row).to_contain_text("0 of 6")
    while not late:
        page.wait_for_timeout(20)
    _train_an_epoch(store, written, waiting)
    expect(row).to_contain_text("1 of 6")
    [(route, reply)] = late
    assert reply.json()["epochs_done"] == 0
    with page.expect_response(f"**/v1/candidates/{waiting}"):
        route.fulfill(response=reply)
    page.wait_for_timeout(200)
    expect(row).to_contain_text("1 of 6")
    expect(row).to_contain_text("31.4 %")


def test_what_was_found_stands_beside_networks_of_the_literature(open_page: OpenPage, service: str, store: Database) -> None:
    written = write_training(store)
    page = _open(open_page, written)
    card = page.get_by_role("region", name="Beside networks of the literature")
    expect(card).to_contain_text("None of like cost was trained alike yet")
    made = write_training(store, seeds=2, count=1, name="by hand", space="resnet-20").training
    page.reload()
    line = _comparison(service, written)["hand_made"][-1]
    assert line["training"] == made
    row = card.get_by_role("row").last
    gain = f"{line['gain'] * 100:+.1f} ± {line['gain_error'] * 100:.1f}".replace("-", "\N{MINUS SIGN}")
    assert not gain.startswith(("+0.0", "\N{MINUS SIGN}0.0"))
    expect(row).to_contain_text(gain)
    expect(row.get_by_role("link", name="resnet-20")).to_have_attribute("href", f"/trainings/{made}")
    card.get_by_role("combobox").select_option("resnet-20")
    card.get_by_role("button", name="train it alike").click()
    expect(card.get_by_role("status")).to_contain_text("queued: its page")
    queued = httpx.get(f"{service}/v1/searches").json()["items"][0]
    assert (queued["spec"]["space"]["name"], queued["spec"]["training"]["seeds"]) == ("resnet-20", [0, 1, 2])
    assert card.get_by_role("link", name="its page").get_attribute("href") == f"/searches/{queued['id']}"
    assert axe(page) == []
    page.goto(f"{service}/trainings/{made}")
    expect(page.get_by_role("heading", name="Methods by architectures")).to_be_visible()
    expect(card).to_have_count(0)


def test_what_was_found_stands_beside_random_architectures(open_page: OpenPage, service: str, store: Database) -> None:
    """Of six architectures the last four are controls: told apart in every picture, and compared in a table."""
    written = write_training(store, count=6, controls=4)
    page = _open(open_page, written)
    card = page.get_by_role("region", name="Beside random architectures")
    lines = _comparison(service, written)["controls"]
    assert [line["method"] for line in lines] == list(METHODS)
    for place, line in enumerate(lines, start=1):
        row = card.get_by_role("row").nth(place)
        expect(row).to_contain_text(line["method"])
        group = line["uniform"]
        expect(row).to_contain_text("4 drawn uniformly")
        gain = f"{group['gain'] * 100:+.1f} ± {group['gain_error'] * 100:.1f}".replace("-", "\N{MINUS SIGN}")
        expect(row).to_contain_text(gain)
        expect(row).to_contain_text(f"{group['mean'] * 100:.1f} ± {_percent(group['spread'])}")
        expect(row.get_by_role("link", name="#2", exact=True)).to_have_attribute("href", f"/architectures/{line['architecture']}")
    heads = page.locator("table.matrix thead a").all_inner_texts()
    assert heads == [f"architecture {name}" for name in ("#1", "#2", "U1", "U2", "U3", "U4")]
    assert axe(page) == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": LIGHT.height})
        assert overflow(page) == []
    page.goto(f"{service}/architectures/{written.architectures[-1]}")
    expect(page.get_by_role("heading", name="Control (uniform)")).to_be_visible()


def test_many_architectures_are_rows_so_that_none_is_cut(open_page: OpenPage, store: Database) -> None:
    written = write_training(store, seeds=2, count=8, controls=4)
    page = _open(open_page, written)
    assert page.locator("table.matrix tbody a").all_inner_texts() == [
        f"architecture {name}" for name in ("#1", "#2", "#3", "#4", "U1", "U2", "U3", "U4")
    ]
    box = page.get_by_role("region", name="Matrix of test accuracies")
    assert box.evaluate("element => element.scrollWidth <= element.clientWidth")
    assert axe(page) == []

"""The page of an architecture: what is drawn and what is listed agree with the service, alone and against another rank."""

from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from nas_service.storage.session import Database
from tests.browser.conftest import OpenPage
from tests.browser.rows import HOSTILE
from tests.browser.trainings import METHODS, Written, write_training
from tests.browser.watched import LIGHT, LIGHT_EACH_TIME, WIDTHS, Look, Watch, axe, overflow

SEEDS = 3


def _get(page: Page, path: str) -> Any:  # noqa: ANN401 - JSON
    response = page.request.get(path)
    assert response.ok, response.text()
    return response.json()


def _open(open_page: OpenPage, written: Written, query: str = "", look: Look = LIGHT) -> Page:
    page = open_page(f"/architectures/{written.architectures[0]}{query}", look)
    expect(page.get_by_role("heading", name="Architecture of rank 1")).to_be_visible()
    expect(page.get_by_role("table", name="Cost by cell")).to_be_visible()
    expect(page.get_by_role("table", name="Trained networks")).to_be_visible()
    expect(page.get_by_label("Compare with")).to_be_visible()
    return page


def _operations(page: Page, architecture: str) -> dict[str, str]:
    cells = _get(page, f"/v1/architectures/{architecture}")["genotype"]["cells"]
    return {f"{cell} {edge}": operation for cell, edges in cells.items() for edge, operation in edges.items()}


@pytest.mark.parametrize("look", LIGHT_EACH_TIME, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(open_page: OpenPage, store: Database, look: Look) -> None:
    written = write_training(store)
    page = _open(open_page, written, f"?compare={written.architectures[1]}", look)
    expect(page.get_by_role("table", name="edges differ")).to_be_visible()
    for fold in page.locator("details:not(.request) > summary").all():
        fold.click()
    assert axe(page) == []
    for width in WIDTHS if look is LIGHT else (look.width,):
        page.set_viewport_size({"width": width, "height": look.height})
        assert overflow(page) == []
    page.get_by_label("Compare with").select_option("")
    expect(page.get_by_role("table", name="edges differ")).to_have_count(0)
    assert axe(page) == []


def test_exactly_the_edges_that_differ_are_marked(open_page: OpenPage, store: Database) -> None:
    written = write_training(store)
    here, *others = written.architectures
    page = _open(open_page, written)
    for other in others:
        page.get_by_label("Compare with").select_option(other)
        expect(page).to_have_url(f"{page.url.split('?')[0]}?compare={other}")
        ours, theirs = _operations(page, here), _operations(page, other)
        different = {edge: [operation, theirs[edge]] for edge, operation in ours.items() if operation != theirs[edge]}
        expect(page.locator(".cells-picture img")).to_have_attribute(
            "src", f"/v1/architectures/{here}/diagram.svg?theme=light&compare={other}"
        )
        table = page.get_by_role("table", name=f"{len(different)} edges differ")
        expect(table).to_be_visible()
        listed = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
        assert {edge: operations for edge, *operations in listed} == different
        picture = page.request.get(str(page.locator(".cells-picture img").get_attribute("src"))).text()
        assert f"{len(different)} of {len(ours)} edges differ" in picture
        said = Counter(operation for _, operation in different.values())
        for operation in set(ours.values()) | set(theirs.values()):
            assert picture.count(f"\N{NOT EQUAL TO} {operation}<") == said[operation]


def test_a_comparison_in_the_address_is_drawn_and_one_with_nothing_known_is_none(open_page: OpenPage, store: Database) -> None:
    written = write_training(store)
    page = _open(open_page, written, f"?compare={written.architectures[1]}")
    expect(page.get_by_label("Compare with")).to_have_value(written.architectures[1])
    page = _open(open_page, written, "?compare=nothing")
    expect(page.get_by_label("Compare with")).to_have_value("")
    expect(page.get_by_role("table", name="edges differ")).to_have_count(0)


def test_figures_and_networks_are_those_of_the_service(open_page: OpenPage, store: Database) -> None:
    written = write_training(store, seeds=SEEDS)
    page = _open(open_page, written)
    one = _get(page, f"/v1/architectures/{written.architectures[0]}")
    expect(page.locator(".fact", has_text="score").locator("dd")).to_have_text(f"{one['score']:.3f}")
    expect(page.get_by_text(one["digest"], exact=True)).to_be_visible()
    assert page.get_by_role("table", name="Trained networks").locator("tbody tr").count() == len(METHODS) * SEEDS
    assert page.get_by_role("link", name="its search").get_attribute("href") == f"/searches/{written.search}"


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_of_its_search_stays_text(open_page: OpenPage, store: Database, name: str) -> None:
    written = write_training(store, seeds=1, count=2, name=name)
    page = _open(open_page, written)
    assert page.locator("#injected, main script, main img[src=x]").count() == 0
    assert overflow(page) == []
    page.get_by_role("link", name="its search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert page.locator("#injected, main script, main img[src=x]").count() == 0


def test_an_architecture_that_is_gone_leads_back(open_page: OpenPage, watch: Watch) -> None:
    watch.forgive("404")
    page = open_page("/architectures/01a21ad3-11a1-711c-a71e-c187a328cf02")
    expect(page.get_by_text("There is no such thing, or no longer.")).to_be_visible()
    assert axe(page) == []

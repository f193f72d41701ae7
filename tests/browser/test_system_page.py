"""The page of the system, and what every page has: themes, titles, the way between them."""

import pytest
from playwright.sync_api import expect

from nas_service.storage.session import Database
from tests.browser.conftest import OpenPage
from tests.browser.rows import fill
from tests.browser.watched import DARK, LIGHT, LIGHT_EACH_TIME, WIDTHS, Look, axe, overflow


@pytest.mark.parametrize("look", LIGHT_EACH_TIME, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(open_page: OpenPage, store: Database, look: Look) -> None:
    fill(store)
    page = open_page("/system", look)
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    assert axe(page) == []
    for width in WIDTHS if look is LIGHT else (look.width,):
        page.set_viewport_size({"width": width, "height": look.height})
        assert overflow(page) == []


def test_it_tells_versions_the_queue_and_where_jobs_are(open_page: OpenPage, store: Database) -> None:
    fill(store)
    page = open_page("/system")
    expect(page.locator("dt", has_text="torch")).to_be_visible()
    page.get_by_role("link", name="1 queued").click()
    page.wait_for_url("**/?state=queued")
    expect(page.get_by_role("link", name="next")).to_be_visible()


def test_a_chosen_theme_stays_and_the_system_decides_where_none_is(open_page: OpenPage) -> None:
    page = open_page("/system", DARK)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_label("Colours").select_option("light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_label("Colours").select_option("auto")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_pages_have_titles_and_reading_goes_on_at_their_heading(open_page: OpenPage) -> None:
    page = open_page("/")
    expect(page).to_have_title("Jobs · nas")
    page.get_by_role("link", name="System", exact=True).click()
    expect(page).to_have_title("System · nas")
    expect(page.get_by_role("heading", name="System", level=1)).to_be_focused()
    assert page.get_by_role("navigation", name="Pages").locator("[aria-current=page]").inner_text() == "System"
    page.go_back()
    expect(page).to_have_title("Jobs · nas")

"""The form of a new search, as tests fill it in."""

import json
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.watched import LIGHT, Look

REFUSED = "status of 422"  # what a browser writes into its console of a refusal that was meant


def open_form(open_page: OpenPage, query: str = "", look: Look = LIGHT) -> Page:
    """Open the form, and wait until it has its fields and the first estimate."""
    page = open_page(f"/new{query}", look)
    # The first request for the catalogue imports every method.
    expect(page.get_by_role("heading", name="6 Robustness")).to_be_visible(timeout=30_000)
    expect(page.locator("[data-what=samples]")).to_be_visible(timeout=30_000)
    return page


def field_at(page: Page, path: str) -> Locator:
    """Return the input of a field of the spec."""
    return page.locator(f'[id="f-{path}"]')


def json_of(page: Page) -> Any:  # noqa: ANN401 - JSON
    """Return the spec as the form writes it."""
    return json.loads(page.get_by_label("JSON").input_value())


def submitted(page: Page) -> dict[str, Any]:
    """Press Search, and return the job that came of it."""
    with page.expect_response(lambda reply: reply.url.endswith("/v1/searches") and reply.request.method == "POST") as sent:
        page.get_by_role("button", name="Search", exact=True).click()
    assert sent.value.status == 202, sent.value.text()
    job: dict[str, Any] = sent.value.json()
    page.wait_for_url(f"**/searches/{job['id']}")
    return job

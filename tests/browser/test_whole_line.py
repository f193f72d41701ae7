"""The whole line in a browser: a search from the form to its end, with a rest, and a network that is evaluated elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.conftest import run_json
from tests.browser.watched import LIGHT, Watch, axe
from tests.serving import nas_serve
from tests.waiting import wait_until

pytestmark = pytest.mark.ray

SPEC = """{"name": "from the form <b>&</b> \\u05d7", "space": "tiny",
 "strategy": {"name": "abandit", "settings": {"samples_per_arm": 2}},
 "evaluation": {"max_steps": 4, "validation_images": 60},
 "training": {"methods": ["bnn"], "recipe": {"epochs": 2, "max_steps_per_epoch": 10}}}"""
LONG_MS = 240_000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a home with a controller, whose jobs are carried out."""
    with nas_serve(tmp_path_factory.mktemp("whole") / "home", NAS_POLL_S="0.1") as served:
        yield served.url


def _state(page: Page, word: str, timeout: float = LONG_MS) -> None:
    expect(page.locator(f"main .state-{word}").first).to_be_visible(timeout=timeout)


def test_a_search_from_the_form_to_a_network_that_is_evaluated(browser: Browser, address: str, tmp_path: Path) -> None:
    watch = Watch(address)
    context = browser.new_context(base_url=address, accept_downloads=True, **LIGHT.context())
    context.set_default_timeout(60_000)
    page = context.new_page()
    watch.follow(page)
    page.goto("/new")
    page.get_by_label("JSON").fill(SPEC)
    page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_url(re.compile(r"/searches/[0-9a-f-]{36}"))
    search_id = page.url.rpartition("/")[2]
    _state(page, "running")
    expect(page.locator(".heat-map td.heat-leading").first).to_be_visible(timeout=LONG_MS)
    assert axe(page) == []

    page.get_by_role("button", name="Pause", exact=True).click()
    _state(page, "paused")
    page.get_by_role("button", name="Resume", exact=True).click()
    _state(page, "succeeded")

    page.get_by_label("Sample that is shown").fill("5")
    expect(page.get_by_role("heading", name=re.compile(r"^Cell \S+ after 5 samples$"))).to_be_visible()
    assert "at=5" in page.url

    page.get_by_role("tab", name="Architectures").click()
    page.locator("main a[href^='/architectures/']").first.click()
    page.wait_for_url(re.compile(r"/architectures/"))
    trainings = f"{address}/v1/trainings?parent={search_id}"
    wait_until(lambda: httpx.get(trainings).json()["items"], lambda found: found[0]["state"] == "succeeded")
    page.reload()
    bundle = page.locator("main a[href^='/v1/candidates/'][href*=download]").first
    expect(bundle).to_be_visible(timeout=LONG_MS)
    with page.expect_download() as download:
        bundle.click()
    network = tmp_path / "network.zip"
    download.value.save_as(network)
    evaluated = run_json("evaluate", str(network), cwd=tmp_path)
    assert isinstance(evaluated, dict)
    assert evaluated["model_py"] == "as written"
    assert watch.complaints() == []
    context.close()

"""What the form of a new search begins with, and the costs that are ticked in it."""

import json

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.form import REFUSED, field_at, json_of, open_form, submitted
from tests.browser.watched import Watch, axe


def test_the_form_begins_with_what_wins_and_the_published_algorithm_is_one_choice_away(open_page: OpenPage) -> None:
    page = open_form(open_page)
    strategy = field_at(page, "strategy.name")
    expect(strategy).to_have_value("screen-and-train")
    expect(strategy.locator("option:checked")).to_contain_text("ours")
    expect(page.locator('[id="h-strategy.name"]')).to_contain_text("benchmarks/results/equal_compute.md")
    field_at(page, "space.name").select_option("tiny")
    expect(page.locator("[data-what=samples]")).to_contain_text("52", timeout=5000)
    expect(page.locator(".own-hint")).to_be_visible()
    strategy.select_option("abandit")
    expect(page.locator(".own-hint")).to_have_count(0)
    expect(strategy.locator("option:checked")).to_contain_text("as published (Chen et al., ECCV 2020)")
    assert json_of(page) == {"space": "tiny"}, "the service's own default: nothing else has to change with it"
    assert submitted(page)["spec"]["strategy"] == {"name": "abandit", "settings": {}}


def test_what_was_written_can_be_thrown_away(open_page: OpenPage) -> None:
    page = open_form(open_page)
    again = page.get_by_role("button", name="Begin again")
    expect(again).to_have_count(0)
    field_at(page, "space.name").select_option("tiny")
    page.reload()
    expect(field_at(page, "space.name")).to_have_value("tiny", timeout=30_000)
    again.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Keep").click()
    expect(field_at(page, "space.name")).to_have_value("tiny")
    again.click()
    dialog.get_by_role("button", name="Begin again").click()
    expect(again).to_have_count(0)
    assert json_of(page) == {"strategy": "screen-and-train"}
    page.reload()
    expect(field_at(page, "space.name")).not_to_have_value("tiny", timeout=30_000)


def test_a_method_that_nobody_chose_is_left_to_the_service(open_page: OpenPage) -> None:
    page = open_form(open_page)
    given = {"space": "tiny", "strategy": "screen-and-train", "training": {"methods": ["bnn"]}}
    page.get_by_label("JSON").fill(json.dumps(given))
    expect(page.locator("[data-what=method]")).to_contain_text("bnn", timeout=5000)
    assert json_of(page) == given
    assert "--method" not in page.get_by_label("Command").input_value()
    method = field_at(page, "method.name")
    expect(method).to_have_value("")
    method.select_option("xnor-net")
    expect(page.locator("[data-what=method]")).to_contain_text("xnor-net", timeout=5000)
    assert json_of(page) == given | {"method": "xnor-net"}
    assert axe(page) == []
    method.select_option("")
    assert json_of(page) == given


def test_costs_to_trade_are_ticked_two_at_most(open_page: OpenPage) -> None:
    page = open_form(open_page)
    group = page.get_by_role("group", name="Objectives")
    boxes = group.get_by_role("checkbox")
    expect(boxes).to_have_count(6)
    group.get_by_label("OPs").check()
    group.get_by_label("Packed bytes").check()
    assert json_of(page)["objectives"] == ["ops", "packed_bytes"]
    expect(group.get_by_label("1-bit parameters")).to_be_disabled()
    group.get_by_label("OPs").uncheck()
    expect(group.get_by_label("1-bit parameters")).to_be_enabled()
    assert json_of(page)["objectives"] == ["packed_bytes"]
    assert submitted(page)["spec"]["objectives"] == ["packed_bytes"]


def test_what_cannot_trade_costs_says_so_at_the_boxes(open_page: OpenPage, watch: Watch) -> None:
    watch.forgive(REFUSED)
    page = open_form(open_page)
    page.get_by_role("group", name="Objectives").get_by_label("OPs").check()
    field_at(page, "strategy.name").select_option("abandit")
    expect(page.locator('[id="e-objectives"]')).to_contain_text("these trade: ")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(field_at(page, "objectives")).to_be_focused()

"""The form of a new search: everything of the catalogue submits, every bound is told at its field, three texts say one spec."""

import itertools
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from pydantic import BaseModel
from typer.testing import CliRunner

from api.cli import app as nas
from nas_service.binarization.method import METHODS
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import SearchSpec
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.browser.conftest import OpenPage
from tests.browser.form import REFUSED, field_at, json_of, open_form, submitted
from tests.browser.rows import add_search
from tests.browser.watched import LIGHT, LIGHT_EACH_TIME, WIDTHS, Look, Watch, axe, overflow
from tests.share import on_diagonal

EACH = pytest.mark.parametrize("how_many", ["some", pytest.param("all", marks=pytest.mark.slow)])

SPEC: dict[str, Any] = {
    "name": 'it\'s "quoted" 😀 $HOME',
    "space": {"name": "tiny", "settings": {"channels": 8}},
    "strategy": {"name": "random", "settings": {"samples": 3}},
    "seed": 7,
    "wave": 2,
    "evaluation": {"learning_rate": 5e-7, "adversarial": {"eps": 0.1}},
    "training": {
        "methods": ["bnn", {"name": "pcnn", "settings": {"projections": 2}, "recipe": {"preset": "paper", "epochs": 4}}],
        "seeds": [0, 1],
        "recipe": {"epochs": 3, "milestones": [0.25, 0.5]},
        "early_stopping": {"grace_epochs": 2},
        "robustness": {"images": None},
    },
}


def _all_parts(page: Page) -> None:
    """Switch everything on that may be left out, and unfold all."""
    page.get_by_label("Train the best architectures").check()
    for title in ("Early stopping", "Search robust networks", "Train candidates on attacked images", "Attack what was trained"):
        page.get_by_label(title, exact=True).check()
    unfold = "() => { for (const fold of document.querySelectorAll('form details')) fold.open = true; }"
    page.evaluate(unfold)
    own = [f"evaluation.own{part}" for part in ("", ".recipe", ".recipe.adversarial", ".recipe.cp_loss")]
    for field in ("constraints", "training.recipe.cp_loss", *own):
        page.locator(f'[id="f-{field}"]').check()
        page.evaluate(unfold)


@pytest.mark.parametrize("look", LIGHT_EACH_TIME, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(open_page: OpenPage, watch: Watch, look: Look) -> None:
    watch.forgive(REFUSED)  # everything at once is not allowed, and an estimate may be asked for on the way there
    page = open_form(open_page, look=look)
    assert axe(page) == []
    _all_parts(page)
    field_at(page, "wave").fill("0")
    expect(page.get_by_text("no estimate")).to_be_visible()
    assert axe(page) == []
    for width in WIDTHS if look is LIGHT else (look.width,):
        page.set_viewport_size({"width": width, "height": look.height})
        assert overflow(page) == []


def _pairs(*, whole: bool) -> Iterator[tuple[str, str]]:
    """Yield every space with every strategy, or each at least once; one of one architecture with what takes one sample."""
    axes = [SPACES.names(), STRATEGIES.names()]
    for places in itertools.product(*(range(len(axis)) for axis in axes)):
        space, strategy = (axis[place] for axis, place in zip(axes, places, strict=True))
        given = SPACES.get(space)
        if given.size() == 1:
            if STRATEGIES.get(strategy).from_settings(given, {}, 0).total == 1:
                yield space, strategy
        elif whole or on_diagonal(places, [len(axis) for axis in axes]):
            yield space, strategy


def _defaults(*, whole: bool) -> list[tuple[str, str, str]]:
    """Return these pairs, each with another of the methods that need no teacher, until all had their turn."""
    methods = [name for name in METHODS.names() if not METHODS.get(name).from_settings({}).facts.needs_teacher]
    pairs = list(_pairs(whole=whole))
    turns = zip(itertools.cycle(pairs), itertools.cycle(methods), range(max(len(pairs), len(methods))), strict=False)
    return [(space, strategy, method) for (space, strategy), method, _ in turns]


@EACH
def test_every_default_of_space_strategy_and_method_submits(
    open_page: OpenPage, watch: Watch, service: str, how_many: str
) -> None:
    watch.forgive(REFUSED)  # an estimate may be asked for between two choices, which are not allowed together yet
    page = open_form(open_page)
    defaults = _defaults(whole=how_many == "all")
    for space, strategy, method in defaults:
        page.get_by_role("link", name="New search").click()
        field_at(page, "space.name").select_option(space)
        field_at(page, "strategy.name").select_option(strategy)
        field_at(page, "method.name").select_option(method)
        spec = submitted(page)["spec"]
        assert [spec[name]["name"] for name in ("space", "strategy", "method")] == [space, strategy, method]
    assert len(httpx.get(f"{service}/v1/searches", params={"limit": 200}).json()["items"]) == len(defaults)


@EACH
def test_every_method_trains_with_its_defaults(open_page: OpenPage, watch: Watch, how_many: str) -> None:
    """All in one search, or each in one of its own."""
    watch.forgive(REFUSED)  # as above
    page, methods = open_form(open_page), METHODS.names()
    for trained in [methods] if how_many == "some" else [(method,) for method in methods]:
        page.get_by_role("link", name="New search").click()
        field_at(page, "space.name").select_option("tiny")
        page.get_by_label("Train the best architectures").check()
        for name in ("bnn", "xnor-net"):
            page.locator(f'input[name=methods][value="{name}"]').uncheck()
        for method in trained:
            page.locator(f'input[name=methods][value="{method}"]').check()
        spec = submitted(page)["spec"]
        assert sorted(entry["name"] for entry in spec["training"]["methods"]) == sorted(trained)


def test_the_presets_of_a_method_are_those_that_its_authors_published(open_page: OpenPage, watch: Watch) -> None:
    watch.forgive(REFUSED)  # an estimate may be asked for while no method is ticked, or one is not yet whole
    page = open_form(open_page)
    page.get_by_role("link", name="New search").click()
    _all_parts(page)
    for name in ("bnn", "xnor-net"):
        page.locator(f'input[name=methods][value="{name}"]').uncheck()
    page.locator('input[name=methods][value="react-net"]').check()
    _all_parts(page)
    preset = field_at(page, "training.methods.0.recipe.preset")
    assert preset.locator("option").all_inner_texts()[1:] == ["paper", "adambnn"]
    preset.select_option("adambnn")
    recipe = json_of(page)["training"]["methods"][0]["recipe"]
    assert recipe == {"preset": "adambnn"}


def test_what_hardly_acts_by_default_is_told_where_a_method_is_chosen(open_page: OpenPage, watch: Watch) -> None:
    watch.forgive(REFUSED)  # everything at once is not allowed, and an estimate may be asked for
    page = open_form(open_page)
    _all_parts(page)
    page.locator('input[name=methods][value="recu"]').check()
    _all_parts(page)
    expect(page.get_by_text("Hardly acts by default:")).to_be_visible()
    expect(page.locator("li", has_text="alpha")).to_contain_text("batch norm")


def _plain(bound: float) -> str:
    """Return a bound as the service writes it: a whole one without a point."""
    return str(int(bound)) if float(bound).is_integer() else str(bound)


def _bounds(schema: dict[str, Any], definitions: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, a value beyond a bound, and the service's words for every bound of a schema."""
    for name, given in schema.get("properties", {}).items():
        place = f"{path}.{name}".lstrip(".")
        parts = [part for part in given.get("anyOf", [given]) if part.get("type") != "null"]
        for part in parts:
            real = definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
            if "properties" in real and name not in {"space", "dataset", "method", "strategy"}:
                yield from _bounds(real, definitions, place)
            step = 1 if real.get("type") == "integer" else 0.5
            if real.get("type") in {"integer", "number"}:
                yield place, "word", "a whole number" if step == 1 else "a number"
            if "minimum" in real:
                yield place, str(real["minimum"] - step), f"greater than or equal to {_plain(real['minimum'])}"
            if "exclusiveMinimum" in real:
                yield place, str(real["exclusiveMinimum"]), f"greater than {_plain(real['exclusiveMinimum'])}"
            if "maximum" in real and real["maximum"] < 2**53 - 1:
                yield place, str(real["maximum"] + step), f"less than or equal to {_plain(real['maximum'])}"
            if "exclusiveMaximum" in real:
                yield place, str(real["exclusiveMaximum"]), f"less than {_plain(real['exclusiveMaximum'])}"
            if "maxLength" in real:
                yield place, "x" * (real["maxLength"] + 1), f"at most {real['maxLength']} characters"


def _one_each(bounds: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return one bound of every field, of the next kind from field to field."""
    fields = [list(found) for _, found in itertools.groupby(bounds, lambda bound: bound[0])]
    return [found[place % len(found)] for place, found in enumerate(fields)]


def _told(page: Page, path: str, given: str, words: str) -> None:
    """Give a value to a field, and find the words at it, tied to it for those who do not see them."""
    field = field_at(page, path)
    field.fill(given)
    fault = page.locator(f'[id="e-{path}"]')
    expect(fault).to_contain_text(words)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert f"e-{path}" in (field.get_attribute("aria-describedby") or "")
    field.fill("")
    expect(fault.filter(has_text=words)).to_have_count(0)  # one that has to be given is complained about otherwise


@EACH
def test_every_bound_of_the_spec_is_told_at_its_field(open_page: OpenPage, watch: Watch, how_many: str) -> None:
    watch.forgive(REFUSED)  # an estimate may be asked for before the page has told the fault itself
    page = open_form(open_page)
    _all_parts(page)
    page.locator('[id="f-from_search"]').check()
    schema = SearchSpec.model_json_schema()
    bounds = list(_bounds(schema, schema["$defs"], ""))
    assert len(bounds) > 100
    for path, given, words in bounds if how_many == "all" else _one_each(bounds):
        if not path.startswith("constraints.image."):  # which the service fills in, and the form does not show
            _told(page, path, given, words)


@EACH
@pytest.mark.parametrize(
    ("field", "models"),
    [
        ("strategy", {name: STRATEGIES.get(name).settings_model for name in STRATEGIES.names()}),
        ("method", {name: METHODS.get(name).settings_model for name in METHODS.names()}),
    ],
    ids=["strategies", "methods"],
)
def test_every_bound_of_a_setting_is_told_at_its_field(
    open_page: OpenPage,
    watch: Watch,
    how_many: str,
    field: str,
    models: dict[str, type[BaseModel]],
) -> None:
    watch.forgive(REFUSED)  # as above
    page = open_form(open_page)
    for name, model in models.items():
        field_at(page, f"{field}.name").select_option(name)
        schema = model.model_json_schema()
        if not schema.get("properties"):
            continue
        page.locator("summary", has_text=re.compile(rf"^Settings of {name} \(")).evaluate(
            "element => { element.parentElement.open = true; }"
        )
        bounds = list(_bounds(schema, schema.get("$defs", {}), f"{field}.settings"))
        for path, given, words in bounds if how_many == "all" else _one_each(bounds):
            _told(page, path, given, words)


def test_the_service_says_the_same_of_every_bound(service: str) -> None:
    schema = SearchSpec.model_json_schema()
    for path, given, words in _bounds(schema, schema["$defs"], ""):
        value: Any = given if given.startswith(("x", "word")) else json.loads(given)
        spec: Any = {"training": {"methods": ["bnn"]}} if path.startswith("training.") else {}
        *above, leaf = path.split(".")
        place = spec
        for part in above:
            place = place.setdefault(part, {})
        place[leaf] = value
        reply = httpx.post(f"{service}/v1/searches/estimate", json=spec)
        assert words in {entry["field"]: entry["allowed"] for entry in reply.json()["errors"]}[path]


def test_json_command_and_python_submit_the_same_spec(open_page: OpenPage, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_form(open_page)
    page.get_by_label("JSON").fill(json.dumps(SPEC))
    expect(field_at(page, "seed")).to_have_value("7")
    assert json_of(page) == SPEC
    line = page.get_by_label("Command").input_value()
    python = page.get_by_label("Python").input_value()
    by_page = submitted(page)["spec"]
    monkeypatch.setenv("NAS_URL", service)
    ran = CliRunner().invoke(nas, [*shlex.split(line)[1:], "--json"])
    assert ran.exit_code == 0, ran.output
    space: dict[str, Any] = {}
    exec(python, space)  # noqa: S102 - the line that people take away
    assert json.loads(ran.stdout)["spec"] == by_page
    assert space["search"].spec == by_page
    resolved = {name: by_page[name] for name in ("dataset", "space")}
    assert resolved["space"]["settings"] == {"channels": 8, "template": "double-norm"}  # the default, written out
    assert by_page == SearchSpec.model_validate(SPEC).model_dump(mode="json") | resolved


def test_each_text_is_read_back_into_the_form(open_page: OpenPage) -> None:
    page = open_form(open_page)
    page.get_by_label("Command").fill("nas search submit --space tiny --train bnn --train recu --set training.seeds='[1, 2]'")
    expect(field_at(page, "training.seeds")).to_have_value("1, 2")
    assert json_of(page) == {"space": "tiny", "training": {"methods": ["bnn", "recu"], "seeds": [1, 2]}}
    page.get_by_label("Python").fill("client.submit_search({'space': 'bats', 'evaluation': {'adversarial': None, 'epochs': 2}})")
    expect(field_at(page, "evaluation.epochs")).to_have_value("2")
    assert json_of(page) == {"space": "bats", "evaluation": {"epochs": 2}}
    page.get_by_label("Command").fill("nas search submit --spaec tiny")
    expect(page.get_by_text("Not understood, the form is as before: no --spaec")).to_be_visible()
    assert json_of(page) == {"space": "bats", "evaluation": {"epochs": 2}}


def test_a_double_click_makes_one_job(open_page: OpenPage, service: str) -> None:
    page = open_form(open_page)
    field_at(page, "space.name").select_option("tiny")
    page.get_by_role("button", name="Search", exact=True).dblclick()
    page.wait_for_url("**/searches/*")
    assert len(httpx.get(f"{service}/v1/searches").json()["items"]) == 1


def test_one_form_that_is_sent_twice_makes_one_job(open_page: OpenPage, service: str) -> None:
    page = open_form(open_page)
    page.evaluate("() => { for (const _ of [1, 2]) document.querySelector('form').requestSubmit(); }")
    page.wait_for_url("**/searches/*")
    assert len(httpx.get(f"{service}/v1/searches").json()["items"]) == 1


def test_enter_submits(open_page: OpenPage) -> None:
    page = open_form(open_page)
    field_at(page, "name").fill("by Enter")
    field_at(page, "name").press("Enter")
    page.wait_for_url("**/searches/*")


def test_the_estimate_follows_and_counts_trainings_and_attacks(open_page: OpenPage) -> None:
    page = open_form(open_page)
    field_at(page, "space.name").select_option("tiny")
    field_at(page, "strategy.name").select_option("abandit")
    expect(page.locator("[data-what=samples]")).to_contain_text("18", timeout=2000)
    expect(page.locator("[data-what=time]")).to_contain_text("no like search yet")
    page.get_by_label("Train the best architectures").check()
    field_at(page, "training.seeds").fill("0, 1, 2")
    expect(page.locator("[data-what=trainings]")).to_contain_text("6", timeout=2000)
    expect(page.locator("[data-what=attacks]").last).to_contain_text("none")
    page.get_by_label("Attack what was trained").check()
    expect(page.locator("[data-what=attacks]").last).not_to_contain_text("none", timeout=2000)


def test_a_refusal_goes_to_its_field_and_takes_the_reader_there(open_page: OpenPage, watch: Watch) -> None:
    watch.forgive(REFUSED)
    page = open_form(open_page)
    page.get_by_label("JSON").fill('{"strategy": {"name": "abandit", "settings": {"momentum": 2}}, "seed": -1}')
    page.get_by_role("button", name="Search", exact=True).click()
    expect(field_at(page, "strategy.settings.momentum")).to_be_focused()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("strategy.settings.momentum: less than or equal to 1")
    summary.get_by_role("button", name="seed").click()
    expect(field_at(page, "seed")).to_be_focused()


def test_what_only_the_service_knows_is_told_at_the_field_too(open_page: OpenPage, watch: Watch) -> None:
    watch.forgive(REFUSED)
    page = open_form(open_page)
    field_at(page, "strategy.name").select_option("abandit")
    field_at(page, "wave").fill("1024")
    expect(page.locator('[id="e-wave"]')).to_contain_text("no more than")


def test_what_was_written_survives_a_reload(open_page: OpenPage) -> None:
    page = open_form(open_page)
    field_at(page, "keep").fill("3")
    page.reload()
    expect(field_at(page, "keep")).to_have_value("3")
    assert json_of(page) == {"strategy": "screen-and-train", "keep": 3}


def test_a_search_is_done_again_from_its_spec(open_page: OpenPage, store: Database) -> None:
    job = add_search(store, "again", seed=5, evaluation={"epochs": 2})
    page = open_form(open_page, f"?from={job}")
    assert json_of(page) == {"name": "again", "space": "tiny", "seed": 5, "evaluation": {"epochs": 2}}
    expect(page.get_by_role("button", name="changed: reset Seed")).to_be_visible()
    page.get_by_role("button", name="changed: reset Seed").click()
    assert json_of(page) == {"name": "again", "space": "tiny", "evaluation": {"epochs": 2}}


def test_controls_are_asked_for_where_something_is_trained(open_page: OpenPage) -> None:
    page = open_form(open_page)
    expect(field_at(page, "training.controls")).to_have_count(0)
    page.get_by_label("Train the best architectures").check()
    field_at(page, "training.controls").fill("4")
    assert json_of(page)["training"]["controls"] == 4

"""Lists that are read as they are looked at, drawn by notebooks and given to pandas."""

import asyncio
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from api.client import Drawing, NasClient, NotReadyError, Rows
from api.job_views import JobRow
from api.progress import Cards
from api.rows import AsyncRows
from api.views import ArmView, JobView, Page, SampleView
from nas_service.lifecycle import JobState
from nas_service.reports import EpochReport
from tests.api.whole_training import Written

NASTY = "<script>alert(1)</script>\x1b[31m\n\u202e\"'&"


class _Pages:
    """Pages of so many arms each, which count how often they are asked for; the first ones may fail."""

    def __init__(self, pages: int, each: int, failures: int = 0) -> None:
        self.asked: list[str | None] = []
        self._pages, self._each, self._failures = pages, each, failures

    def __call__(self, cursor: str | None) -> Page[ArmView]:
        self.asked.append(cursor)
        if self._failures and len(self.asked) > 1:
            self._failures -= 1
            raise ConnectionError("away")
        number = int(cursor or 0)
        items = [_arm(f"{number}-{place}") for place in range(self._each)]
        return Page(items=items, next=None if number + 1 == self._pages else str(number + 1))


def _arm(operation: str, **fields: object) -> ArmView:
    bare = dict.fromkeys(("mean", "lower", "upper", "abandoned_round", "best_probability"))
    return ArmView.model_validate({"cell": "normal", "edge": "0-1", "operation": operation, "pulls": 1, **bare, **fields})


class _Elements(HTMLParser):
    """Collects what a browser would make of HTML: elements, their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def _safe(html: str) -> _Elements:
    """Return what is drawn, which is neither a script nor anything that people wrote."""
    found = _Elements(html)
    drawn = {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "svg", "rect", "circle", "s", "b", "code", "img"}
    assert found.elements <= drawn
    assert not [name for name in found.attributes if name.startswith("on")]
    assert "\x1b" not in html
    assert "\u202e" not in html
    return found


def test_pages_are_asked_for_when_they_are_looked_at_and_kept() -> None:
    pages = _Pages(3, 2)
    rows = Rows(pages, ArmView)
    assert pages.asked == []
    assert bool(rows)
    assert rows[1].operation == "0-1"
    assert pages.asked == [None]
    assert [row.operation for row in rows[:3]] == ["0-0", "0-1", "1-0"]
    assert pages.asked == [None, "1"]
    assert [row.operation for row in rows] == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    assert (len(rows), rows[-1].operation, pages.asked) == (6, "2-1", [None, "1", "2"])
    assert rows == list(rows)
    with pytest.raises(IndexError):
        rows[6]


def test_two_who_go_through_rows_at_once_see_each_of_them() -> None:
    rows = Rows(_Pages(3, 2), ArmView)
    assert [(one.operation, other.operation) for one, other in zip(rows, rows, strict=True)] == [
        (row.operation, row.operation) for row in rows
    ]


def test_a_page_that_failed_is_asked_for_again_and_nothing_is_lost() -> None:
    rows = Rows(_Pages(3, 2, failures=2), ArmView)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            list(rows)
    assert len(rows) == 6


def test_asynchronous_rows_are_gone_through_or_awaited() -> None:
    pages = _Pages(3, 2)

    async def more(cursor: str | None) -> Page[ArmView]:
        return pages(cursor)

    async def read() -> tuple[list[str], Rows[ArmView]]:
        first = [row.operation async for row in AsyncRows(more, ArmView)]
        return first, await AsyncRows(more, ArmView)

    names, rows = asyncio.run(read())
    assert names == [row.operation for row in rows] == [row.operation for row in Rows(pages)]


def test_arms_become_a_frame_with_names_and_types(nas: NasClient, finished_search: str) -> None:
    frame = nas.arms(finished_search).to_pandas()
    assert list(frame.columns) == list(ArmView.model_fields)
    assert (len(frame), frame["pulls"].sum()) == (18, 3 * frame.groupby(["cell", "edge"]).ngroups)
    types = frame.dtypes
    assert [str(types[name]) for name in ("cell", "pulls", "mean", "abandoned_round")] == ["str", "int64", "float64", "Int64"]
    with pytest.raises(TypeError, match=r"rows.to_pandas\(\) is their frame"):
        pd.DataFrame(nas.arms(finished_search))


def test_every_list_has_a_frame(nas: NasClient, whole: Written, finished_search: str) -> None:
    samples = nas.samples(finished_search).to_pandas()
    assert list(samples["cost.ops"]) == [1.5, 1.5, 1.5]
    assert str(samples["created_at"].dtype) == "datetime64[us, UTC]"
    assert {"genotype.cells", "reward", "digest"} <= set(samples.columns)
    architectures = nas.architectures(search=whole.search).to_pandas()
    assert list(architectures["rank"]) == [1, 2, 3, 4, 5]
    candidates = nas.candidates(training=whole.training).to_pandas()
    assert set(candidates["method_label"]) == {"bnn", "xnor-net", "rebnn"}
    assert candidates["state"].unique().tolist() == ["succeeded"]
    assert {"metrics.epochs", "cost.packed_bytes"} & set(candidates.columns)
    curves = nas.curves(nas.candidates(training=whole.training)[0].id).to_pandas()
    assert list(curves["epoch"]) == list(range(12))
    assert {"search", "training"} == set(nas.jobs().to_pandas()["kind"])
    assert len(nas.events(finished_search).to_pandas()) == len(nas.events(finished_search))
    together = nas.training_curves(whole.training).to_pandas()
    assert list(together.columns) == ["candidate", "architecture", "method", "seed", "epoch", "validation_accuracy", "train_loss"]
    assert len(together) == 45 * 12
    assert list(nas.series(finished_search, fields="index,reward").to_pandas()["index"]) == [0, 1, 2]
    pairs = nas.comparison(whole.training).to_pandas()
    assert len(pairs) == 15
    assert pairs["test_mean"].dtype == np.float64
    assert list(nas.rounds(finished_search).to_pandas().columns)[:5] == ["round", "samples", "cell", "edge", "operation"]


@pytest.mark.parametrize("view", [ArmView, SampleView, JobRow, EpochReport])
def test_a_frame_without_rows_has_its_columns(view: type[ArmView]) -> None:
    frame = Rows.of([], view).to_pandas()
    assert (len(frame), list(frame.columns)) == (0, [*view.model_fields, *view.model_computed_fields])


def test_whoever_has_no_pandas_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(NotReadyError, match=r"^frames need pandas, which is not installed: pip install pandas$"):
        Rows.of([_arm("a")]).to_pandas()


def test_names_that_hold_markup_and_control_characters_are_drawn_as_text(nas: NasClient) -> None:
    search = nas.search(space="tiny", name=NASTY)
    shown = _safe(search._repr_html_()).text
    assert "<script>alert(1)</script>\\x1b[31m\\n\\u202e\"'&" in shown
    for drawn in (nas.searches(), nas.jobs(), search.events()):
        assert "queued" in _safe(drawn._repr_html_()).text
    assert "<script>" in _safe(nas.jobs()._repr_html_()).text
    arms = Rows.of([_arm(NASTY, mean=0.5, lower=0.4, upper=0.6), _arm("gone", mean=0.1, abandoned_round=2)], ArmView)
    found = _safe(arms._repr_html_())
    assert {"svg", "rect", "s"} <= found.elements
    assert "round 2" in found.text


def test_what_a_notebook_shows_is_drawn(nas: NasClient, whole: Written, finished_search: str) -> None:
    architecture = nas.search(whole.search).architectures()[0]
    assert "img" in _safe(architecture._repr_html_()).elements
    assert re.search(r'src="data:image/svg\+xml;base64,[\w+/=]+"', architecture._repr_html_())
    for drawn in (
        *(nas.arms(finished_search), nas.samples(finished_search), nas.architectures(), nas.candidates(), nas.searches()),
        *(nas.curves(nas.candidates()[0].id), nas.candidates()[0], nas.training_curves(whole.training), nas.catalogue("methods")),
        *(nas.comparison(whole.training), nas.rounds(finished_search), nas.series(finished_search), nas.search(finished_search)),
    ):
        _safe(drawn._repr_html_())
    assert "90.00 %" not in _safe(nas.samples(finished_search)._repr_html_()).text
    assert "50.00 %" in _safe(nas.samples(finished_search)._repr_html_()).text
    assert Rows.of([])._repr_html_() == "<div>nothing</div>"


def test_a_long_list_is_drawn_in_part_and_says_so() -> None:
    pages = _Pages(5, 50)
    assert "the first 100; to_pandas() has all" in _safe(Rows(pages, ArmView)._repr_html_()).text
    assert len(pages.asked) == 3


def test_a_picture_is_shown_as_one_in_which_nothing_runs() -> None:
    assert _safe(Drawing(f"<svg>{NASTY}</svg>")._repr_html_()).elements == {"img"}


class _Display:
    """Shows things as IPython's `display` does in a notebook."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def __call__(self, shown: JobView, *, display_id: bool) -> "_Display":
        assert display_id
        self.update(shown)
        return self

    def update(self, shown: JobView) -> None:
        self.drawn.append(str(shown.state))


def test_a_notebook_draws_a_card_anew_when_it_changed(nas: NasClient) -> None:
    display = _Display()
    cards, job = Cards(display), nas.search(space="tiny")
    for state in (JobState.QUEUED, JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED):
        cards.show(job.model_copy(update={"state": state, "waiting_for": None}))
    assert display.drawn == ["queued", "running", "succeeded"]

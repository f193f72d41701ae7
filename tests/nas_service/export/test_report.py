"""A search on one page."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from nas_service.export.report import ReportedArchitecture, SearchRecord, write_report
from nas_service.search.arm_facts import MEAN_REWARDS
from nas_service.search.bandit import Arm
from nas_service.specs import SearchSpec
from nas_service.trained import FoundArchitecture, TrainedCandidate
from search_spaces.genotype import Choice
from search_spaces.space import SPACES
from tests.nas_service.export.test_diagram import HOSTILE
from tests.reports import metrics
from tests.samples import random_genotype

COST = {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0}


class _Reader(HTMLParser):
    """Collects tags and text; complains about tags that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def _record(name: str = "first", space: str = "tiny", samples: int = 30) -> SearchRecord:
    searched = SPACES.get(space)
    keys = [Choice(cell.name, edge.name, op) for cell in searched.cell_types for edge in searched.edges for op in edge.operations]
    arms = [Arm(key, 3, 0.5 + place % 7 / 50, 0.4, 0.7, 2 if place % 3 == 1 else None) for place, key in enumerate(keys)]
    arms[0] = replace(arms[0], pulls=0, mean=None, lower=None, upper=None)
    found = [ReportedArchitecture(f"id-{rank}", rank, 0.5, random_genotype(searched, rank), COST) for rank in (1, 2)]
    method = {"name": "bnn", "settings": {}}
    scores = metrics(validation=0.9, test=0.8)
    origin = FoundArchitecture("id-1", "search-1", 1, 0.5)
    trained = [TrainedCandidate("c", "training-1", origin, method, "bnn", 0, scores, COST, 3.0)]
    spec = SearchSpec.model_validate({"space": space, "name": name}).model_dump(mode="json")
    standings = [(1.0, 0.5 + (index * 7919 % 100) / 1000) for index in range(samples)]
    told = {"submitted": "today"}
    return SearchRecord("search-1", name, "succeeded", None, told, spec, searched, MEAN_REWARDS, standings, arms, found, trained)


@pytest.mark.parametrize("space", SPACES.names())
def test_the_page_is_whole_without_script_or_network(space: str) -> None:
    page = write_report(_record(space=space))
    reader = _read(page)
    assert not reader.tags & {"script", "img", "link", "iframe", "object", "form"}
    assert not [name for name in reader.attributes if name.startswith("on") or name in {"href", "src", "style"}]
    assert set(re.findall(r"https?://[^\"' <]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in page
    assert write_report(_record(space=space)) == page


def test_the_page_tells_what_was_found_how_and_why() -> None:
    said = _read(write_report(_record())).texts
    assert {"first", "succeeded", "30", "Why", "id-1", "80.00 %", "nas search submit --spec spec.json"} <= set(said)
    assert "30 of 30" not in said
    assert said.count("round 2") == 6
    assert "12 of 18" in said
    assert any(text.startswith(MEAN_REWARDS.meaning) for text in said)


def test_a_search_that_was_renamed_has_its_new_name() -> None:
    said = _read(write_report(replace(_record(), name="second"))).texts
    assert said.count("second") == 3  # title, heading, summary
    assert "first" not in said


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_somebody_chose_is_text(hostile: str) -> None:
    plain = _read(write_report(_record()))
    record = replace(_record(), name=hostile, error=hostile)
    page = write_report(
        replace(record, spec={**record.spec, "name": hostile, "dataset": {"name": hostile, "settings": {hostile: 1}}})
    )
    reader = _read(page)
    assert (reader.tags, reader.attributes) == (plain.tags, plain.attributes)
    assert all(line.isprintable() for line in page.split("\n"))


def test_a_search_that_has_nothing_yet_has_a_page() -> None:
    record = replace(_record(), standings=(), arms=(), found=(), trained=())
    said = _read(write_report(record)).texts
    assert {"No sample was committed yet.", "None was found yet.", "Nothing was trained of what was found."} <= set(said)


def test_the_best_is_the_best_of_the_longest_trainings() -> None:
    page = write_report(replace(_record(), standings=[(0.1, 0.9), (0.1, 0.8), (1.0, 0.6), (1.0, 0.7)]))
    said = _read(page).texts
    assert "70.00 %, sample 3" in said
    assert said[said.index("of them short trainings, with scores of their own") + 1] == "2"


def test_a_long_search_is_thinned_to_its_extremes_and_says_so() -> None:
    record = _record(samples=20_000)
    standings = [*record.standings]
    standings[12_345] = (1.0, 0.99)
    page = write_report(replace(record, standings=standings))
    drawn = re.findall(r"M([\d.]+) ([\d.]+)h0", page)
    assert f"{len(drawn)} of 20000 samples drawn" in page
    assert 600 < len(drawn) <= 1200
    across = [float(x) for x, _ in drawn]
    assert across == sorted(across)
    highest = min(drawn, key=lambda point: float(point[1]))
    assert float(highest[0]) == pytest.approx(64 + 820 * 12_345 / 19_999, abs=0.1)
    assert (across[0], across[-1]) == (64, 884)
    assert len(page) < 300_000


def test_text_on_shades_is_legible() -> None:
    """WCAG: 4.5:1; black or white always reaches it where the better one is taken."""
    shades = re.findall(r"\.heat\d\{background:(#\w{6});color:(#\w{6})\}", write_report(_record()))
    assert len(shades) == 9
    for ground, colour in shades:
        parts = [int(ground[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert ((light + 0.05) / 0.05 if colour == "#000000" else 1.05 / (light + 0.05)) >= 4.5

"""Pictures of genotypes: what they tell, and that nothing in them overlaps."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import ImageFont

from nas_service.export.diagram import draw
from nas_service.export.palette import look_of
from nas_service.export.svg_paint import Theme
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES, CellType, Role, SearchSpace, connect_all
from tests.samples import random_genotype

SVG = "{http://www.w3.org/2000/svg}"
FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf")
HOSTILE = (
    '<script>alert("x")</script>',
    "a & b 'c' \"d\"",
    "\N{GRINNING FACE}" * 9,
    "\u05e9\u05dc\u05d5\u05dd \u202eabc",
    "x" * 200,
    "\x00\x1b\n",
)


class Box(NamedTuple):
    """The sides of a text, in pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float
    text: str

    def meets(self, other: "Box") -> bool:
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the widest of the usual fonts; Pillow's own, which is narrower, where this machine does not have it."""
    return ImageFont.truetype(FONT, size) if FONT.exists() else ImageFont.load_default(size)


def _texts(element: ET.Element, x: float = 0.0, y: float = 0.0) -> list[Box]:
    moved = re.fullmatch(r"translate\(([\d.]+) ([\d.]+)\)", element.get("transform", ""))
    if moved:
        x, y = x + float(moved[1]), y + float(moved[2])
    if element.tag == f"{SVG}text":
        size, shown = int(element.get("font-size", "")), element.text or ""
        wide = _font(size * 10).getlength(shown) / 10
        left = x + float(element.get("x", "")) - (wide / 2 if element.get("text-anchor") == "middle" else 0)
        base = y + float(element.get("y", ""))
        return [Box(left, base - size, left + wide, base + 0.25 * size, shown)]
    return [box for child in element for box in _texts(child, x, y)]


def _parse(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own text


def _assert_legible(picture: str) -> None:
    root = _parse(picture)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    boxes = _texts(root)
    for box in boxes:
        assert box.left >= 0
        assert box.top >= 0
        assert box.right <= width, box
        assert box.bottom <= height, box
    for first, second in combinations(boxes, 2):
        assert not first.meets(second), (first, second)


def _everywhere(space: SearchSpace, operation: str) -> Genotype:
    """Return a genotype, perhaps a dead one, that has one operation on every edge."""
    return Genotype(
        space.name, tuple(Choice(cell.name, edge.name, operation) for cell in space.cell_types for edge in space.edges)
    )


LONGEST = max(OPERATIONS.names(), key=len)


@pytest.mark.parametrize("name", SPACES.names())
def test_the_picture_is_svg_with_every_edge_labelled_and_nothing_from_outside(name: str) -> None:
    space = SPACES.get(name)
    genotype = random_genotype(space)
    picture = draw(space, genotype)
    root = _parse(picture)
    labels = sorted(text.text or "" for text in root.iter(f"{SVG}text") if text.get("class") == "label")
    assert labels == sorted(choice.operation for choice in genotype.choices)
    assert len(list(root.iter(f"{SVG}circle"))) == len(space.cell_types) * (space.nodes + space.inputs)
    assert picture.count("http") == 1  # the name space of SVG, which nobody fetches
    assert "<script" not in picture
    assert draw(space, genotype) == picture


@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("seed", range(3))
def test_no_text_meets_another_or_leaves_the_picture_in_any_space(name: str, seed: int) -> None:
    space = SPACES.get(name)
    genotype, other = random_genotype(space, seed), random_genotype(space, seed + 100)
    _assert_legible(draw(space, genotype))
    _assert_legible(draw(space, genotype, compare=other))
    _assert_legible(draw(space, _everywhere(space, space.edges[0].operations[0])))


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("cells", [1, 2, 9])
def test_no_text_meets_another_with_the_longest_names_on_every_edge(nodes: int, inputs: int, cells: int) -> None:
    edges = connect_all(nodes, (LONGEST, "zeroise"), inputs)
    types = tuple(CellType(f"type-{index}", Role.REDUCTION if index % 2 else Role.NORMAL) for index in range(cells))
    space = SearchSpace("large", "", types, edges, cells=cells, inputs=inputs, inter_cell_skips=cells > 1)
    longest, cut = _everywhere(space, LONGEST), _everywhere(space, "zeroise")
    _assert_legible(draw(space, longest))
    _assert_legible(draw(space, longest, compare=cut))
    _assert_legible(draw(space, longest, compare=longest))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_others_chose_is_text_and_stays_in_its_place(hostile: str) -> None:
    space = replace(SPACES.get("tiny"), name=hostile, cell_types=(CellType(hostile), CellType("b", Role.REDUCTION)))
    space = replace(space, edges=connect_all(2, (hostile, "skip")))
    genotype = _everywhere(space, hostile)
    other = Genotype(space.name, tuple(choice._replace(operation="skip") for choice in genotype.choices))
    picture = draw(space, genotype, compare=other, title=hostile, description=hostile)
    _assert_legible(picture)
    tags = {element.tag.removeprefix(SVG) for element in _parse(picture).iter()}
    assert tags == {"svg", "title", "desc", "rect", "g", "text", "path", "circle"}
    assert picture.isprintable()


def test_a_reader_who_sees_nothing_is_told_every_edge() -> None:
    space = SPACES.get("bats")
    genotype = random_genotype(space)
    root = _parse(draw(space, genotype, title="The best", description="Rank 1."))
    title, told = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert told is not None
    assert (root.get("role"), title.text) == ("img", "The best")
    said = told.text or ""
    assert said.startswith("Rank 1. Cell normal: from the cell before the previous one to node 2: ")
    assert said.count(": ") == len(genotype.choices) + len(space.cell_types)
    assert re.findall(r": ([a-z0-9-]+)[;.]", said) == [choice.operation for choice in genotype.choices]


def test_edges_that_differ_are_bold_and_name_both_operations() -> None:
    space = SPACES.get("tiny")
    genotype = _everywhere(space, "skip")
    other = space.genotype({(c, e): "max-pool-3x3" if (c, e) == ("b", "0-2") else o for c, e, o in genotype.choices})
    picture = draw(space, genotype, compare=other)
    root = _parse(picture)
    bold = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "label" and text.get("font-weight") == "bold"]
    assert bold == ["skip"]
    assert [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "other"] == ["\N{NOT EQUAL TO} max-pool-3x3"]
    widths = [path.get("stroke-width", "") for path in root.iter(f"{SVG}path")]
    assert sorted(widths[:6]) == ["1.5"] * 5 + ["4"]
    assert "1 of 6 edges differ" in picture
    assert "skip instead of max-pool-3x3" in picture
    assert "all 6 edges are equal" in draw(space, genotype, compare=genotype)


def test_only_what_has_the_same_cells_and_edges_is_compared() -> None:
    space = SPACES.get("tiny")
    with pytest.raises(
        InvalidFieldError, match="compare: 'bats' is not allowed; allowed: an architecture with the cells and edges"
    ):
        draw(space, random_genotype(space), compare=random_genotype(SPACES.get("bats")))


def test_an_operation_looks_the_same_in_every_picture() -> None:
    look = look_of("max-pool-3x3")
    for name in ("tiny", "bats", "abandit"):
        space = SPACES.get(name)
        for theme, colour in ((Theme.LIGHT, look.colour.light), (Theme.DARK, look.colour.dark)):
            picture = draw(space, _everywhere(space, "max-pool-3x3"), theme=theme)
            strokes = {path.get("stroke") for path in _parse(picture).iter(f"{SVG}path")}
            dashes = {path.get("stroke-dasharray") for path in _parse(picture).iter(f"{SVG}path")}
            assert (strokes, dashes) == ({colour}, {look.dash})
            assert "<style" not in picture


def test_the_reader_s_own_theme_is_light_with_rules_for_dark() -> None:
    space = SPACES.get("tiny")
    genotype = _everywhere(space, "skip")
    auto = draw(space, genotype, theme="auto")
    without = re.sub(r"<style>.*</style>", "", auto)
    assert re.sub(
        r' class="(label )?nas-[^"]*"', lambda found: f' class="{found[1].strip()}"' if found[1] else "", without
    ) == draw(space, genotype, theme="light")
    pair = look_of("skip").colour
    assert f".nas-stroke-{pair.light[1:]}-{pair.dark[1:]}{{stroke:{pair.dark}}}" in auto
    with pytest.raises(ValueError, match="sepia"):
        draw(space, genotype, theme="sepia")

"""Pictures of genotypes."""

import xml.etree.ElementTree as ET

import pytest

from nas_service.export.diagram import draw
from search_spaces.space import SPACES
from tests.samples import random_genotype


@pytest.mark.parametrize("name", SPACES.names())
def test_the_picture_is_svg_with_every_edge_labelled_and_nothing_from_outside(name: str) -> None:
    space = SPACES.get(name)
    genotype = random_genotype(space)
    picture = draw(space, genotype)
    root = ET.fromstring(picture)  # noqa: S314 - our own text
    svg = "{http://www.w3.org/2000/svg}"
    labels = sorted(text.text or "" for text in root.iter(f"{svg}text") if text.get("class") == "label")
    assert labels == sorted(choice.operation for choice in genotype.choices)
    assert len(list(root.iter(f"{svg}circle"))) == len(space.cell_types) * (space.nodes + space.inputs)
    assert picture.count("http") == 1  # the name space of SVG, which nobody fetches
    assert "<script" not in picture

"""Facts of datasets: counted without decoding a single image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_service.data.dataset import DATASETS
from nas_service.data.facts import DatasetFacts
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import pictures, png, write_folder

HEADER_BYTES = 60  # of a PNG: its size is told, its pixels are cut off
CLASSES = ("cat", "dog", "eel")


def _facts(name: str, root: Path, **settings: object) -> DatasetFacts:
    return DATASETS.get(name).from_settings(settings).facts(root)


def _broken_folder(root: Path) -> None:
    """Leave of the first image its header, and of all others nothing that could be read."""
    write_folder(root)
    for file in (root / "pictures").rglob("*.png"):
        file.write_bytes(b"no picture")
    (root / "pictures" / "cat" / "0.png").write_bytes(png(pictures(1)[0])[:HEADER_BYTES])


@pytest.mark.parametrize(
    ("name", "write", "settings"),
    [
        ("image-folder", _broken_folder, {"path": "pictures"}),
    ],
)
def test_no_image_is_decoded(name: str, write: Callable[[Path], None], settings: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path)
    facts = _facts(name, tmp_path, **settings)
    assert (facts.channels, facts.height, facts.width) == (3, 12, 12)
    assert facts.train > 0
    with pytest.raises(InvalidFieldError, match=r"pictures that can be read, unlike"):
        DATASETS.get(name).from_settings(settings).load(tmp_path)


def test_facts_of_an_earlier_version_are_no_facts() -> None:
    """They lacked the counts by class."""
    facts = _facts("digits", Path())
    earlier = {key: value for key, value in facts.to_dict().items() if key != "by_class"}
    assert DatasetFacts.from_dict(earlier) is None
    assert DatasetFacts.from_dict({}) is None


def test_an_image_format_for_costs_has_the_size_and_no_statistics() -> None:
    image = _facts("digits", Path()).image_format
    assert (image.channels, image.size, image.classes) == (1, (8, 8), 10)
    assert np.array_equal((image.mean, image.std), ((0.0,), (1.0,)))

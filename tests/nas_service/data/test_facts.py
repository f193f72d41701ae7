"""Facts of datasets: counted without decoding a single image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_service.data.dataset import DATASETS
from nas_service.data.facts import DatasetFacts
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import pictures, png, write_folder, write_parquet

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


def _broken_parquet(root: Path, name: str = "pictures.parquet", classes: int = 3) -> None:
    images = [png(pictures(1)[0])[:HEADER_BYTES]] + [b"no picture"] * 29
    table = pa.table({"image": images, "label": [row % classes for row in range(30)]})
    pq.write_table(table.replace_schema_metadata({"classes": "cat,dog,eel"}), root / name)


def _broken_cifar(root: Path) -> None:
    for part in ("train", "test"):
        _broken_parquet(root, f"cifar10-{part}.parquet", classes=10)


@pytest.mark.parametrize(
    ("name", "write", "settings"),
    [
        ("image-folder", _broken_folder, {"path": "pictures"}),
        ("parquet", _broken_parquet, {"path": "pictures.parquet"}),
        ("cifar10", _broken_cifar, {}),
    ],
)
def test_no_image_is_decoded(name: str, write: Callable[[Path], None], settings: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path)
    facts = _facts(name, tmp_path, **settings)
    assert (facts.channels, facts.height, facts.width) == (3, 12, 12)
    assert facts.train > 0
    with pytest.raises(InvalidFieldError, match=r"images that can be read to their end|a format that Pillow knows"):
        DATASETS.get(name).from_settings(settings).load(tmp_path)


def test_classes_without_training_images_are_told(tmp_path: Path) -> None:
    write_folder(tmp_path, each=1)
    facts = _facts("image-folder", tmp_path, path="pictures")
    assert (facts.train, facts.validation, facts.test) == (1, 1, 1)
    assert len(facts.untrained) == 2
    assert set(facts.untrained) < set(facts.class_names) == set(CLASSES)


def test_labels_that_are_no_class_indices_are_refused_without_naming_as_many_classes(tmp_path: Path) -> None:
    """A column of ids would give a class to every number up to the largest."""
    write_parquet(tmp_path, [0, 1, 2, 1])
    plain = pq.read_table(tmp_path / "pictures.parquet").replace_schema_metadata({})
    pq.write_table(plain.set_column(1, "label", pa.array([0, 1, 10**12, 1])), tmp_path / "pictures.parquet")
    for read in (_facts, lambda name, root, **given: DATASETS.get(name).from_settings(given).load(root)):
        with pytest.raises(InvalidFieldError, match=r"row 2: label 1000000000000' .* class indices from 0 to 3"):
            read("parquet", tmp_path, path="pictures.parquet")


def test_facts_of_an_earlier_version_are_no_facts() -> None:
    """They lacked the classes without training images."""
    facts = _facts("digits", Path())
    earlier = {key: value for key, value in facts.to_dict().items() if key != "untrained"}
    assert DatasetFacts.from_dict(earlier) is None
    assert DatasetFacts.from_dict({}) is None


def test_an_image_format_for_costs_has_the_size_and_no_statistics() -> None:
    image = _facts("digits", Path()).image_format
    assert (image.channels, image.size, image.classes) == (1, (8, 8), 10)
    assert np.array_equal((image.mean, image.std), ((0.0,), (1.0,)))

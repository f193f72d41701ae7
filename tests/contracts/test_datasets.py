"""Every dataset by discovery, on real files of its own format: shapes, ranges, disjoint and fixed splits, facts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_service.data.dataset import DATASETS, ImageDataset
from nas_service.data.facts import DatasetFacts
from nas_service.data.part import Part
from tests.nas_service.data.files import (
    write_cifar_binary,
    write_cifar_parquet,
    write_cifar_python,
    write_folder,
    write_parquet,
)

Source = tuple[Callable[[Path], None], dict[str, Any]]


def _write_two_parquets(root: Path) -> None:
    write_parquet(root)
    write_parquet(root, [0, 1, 2, 2], "held.parquet")


SOURCES: dict[str, Source] = {
    "digits": (lambda _: None, {}),
    "cifar10": (write_cifar_binary, {}),
    "image-folder": (write_folder, {"path": "pictures"}),
    "parquet": (write_parquet, {"path": "pictures.parquet"}),
}
LAYOUTS: dict[str, tuple[str, Source]] = {name: (name, source) for name, source in SOURCES.items()} | {
    "cifar10-python": ("cifar10", (write_cifar_python, {})),
    "cifar10-parquet": ("cifar10", (write_cifar_parquet, {})),
    "image-folder-resized": ("image-folder", (write_folder, {"path": "pictures", "image_size": 7, "channels": 1})),
    "parquet-with-test": ("parquet", (_write_two_parquets, {"path": "pictures.parquet", "test_path": "held.parquet"})),
}
EVERY_DATASET = pytest.mark.parametrize("name", DATASETS.names())


def _load(name: str, root: Path, **more: object) -> ImageDataset:
    write, settings = SOURCES[name]
    write(root)
    return DATASETS.get(name).from_settings({**settings, **more}).load(root)


def _rows(part: Part) -> set[bytes]:
    return {image.tobytes() + bytes([label]) for image, label in zip(part.images, part.labels, strict=True)}


@EVERY_DATASET
def test_there_is_a_source_for_the_test(name: str) -> None:
    assert name in SOURCES, "add a way to write a few files of the new dataset to SOURCES"


@EVERY_DATASET
def test_images_are_uint8_nchw_and_labels_are_class_indices(name: str, tmp_path: Path) -> None:
    dataset = _load(name, tmp_path)
    assert dataset.test is not None
    for part in (dataset.train, dataset.validation, dataset.test):
        assert part.images.dtype == np.uint8
        assert part.images.shape == (len(part), *dataset.train.images.shape[1:])
        assert part.labels.dtype == np.int64
        assert set(part.labels.tolist()) <= set(range(len(dataset.class_names)))
    assert dataset.image_format.channels in {1, 3}


@EVERY_DATASET
def test_the_parts_of_a_split_share_no_image(name: str, tmp_path: Path) -> None:
    dataset = _load(name, tmp_path)
    assert dataset.test is not None
    train, validation, test = _rows(dataset.train), _rows(dataset.validation), _rows(dataset.test)
    assert train.isdisjoint(validation)
    assert train.isdisjoint(test)
    assert validation.isdisjoint(test)


@EVERY_DATASET
def test_the_same_split_seed_gives_the_same_split_and_another_one_another(name: str, tmp_path: Path) -> None:
    first, second, other = (_load(name, tmp_path, split_seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first.train.images, second.train.images)
    assert np.array_equal(first.validation.labels, second.validation.labels)
    assert _rows(first.validation) != _rows(other.validation)


@EVERY_DATASET
def test_mean_and_std_are_those_of_the_training_images(name: str, tmp_path: Path) -> None:
    dataset = _load(name, tmp_path)
    pixels = dataset.train.images.astype(np.float64) / 255
    assert np.allclose(dataset.mean, pixels.mean((0, 2, 3)))
    assert np.allclose(dataset.std, pixels.std((0, 2, 3)))


@EVERY_DATASET
def test_a_search_gets_no_test_images(name: str, tmp_path: Path) -> None:
    assert _load(name, tmp_path).without_test().test is None


@EVERY_DATASET
def test_check_accepts_what_load_reads(name: str, tmp_path: Path) -> None:
    write, settings = SOURCES[name]
    write(tmp_path)
    DATASETS.get(name).from_settings(settings).check(tmp_path)


EVERY_LAYOUT = pytest.mark.parametrize(("name", "source"), LAYOUTS.values(), ids=LAYOUTS)


@EVERY_LAYOUT
@pytest.mark.parametrize("split", [{}, {"split_seed": 3, "validation_fraction": 0.4}], ids=["default", "other"])
def test_facts_are_those_of_what_load_gives(name: str, source: Source, split: dict[str, Any], tmp_path: Path) -> None:
    write, settings = source
    write(tmp_path)
    dataset = DATASETS.get(name).from_settings({**settings, **split})
    facts = dataset.facts(tmp_path)
    loaded = dataset.load(tmp_path)
    assert facts == replace(loaded.facts, warnings=facts.warnings)
    assert set(facts.warnings) <= set(loaded.facts.warnings)  # only decoding tells some
    assert loaded.test is not None
    assert (facts.train, facts.validation, facts.test) == (len(loaded.train), len(loaded.validation), len(loaded.test))
    assert (facts.channels, facts.height, facts.width) == loaded.train.images.shape[1:]
    assert set(facts.class_names) - set(facts.untrained) == {loaded.class_names[label] for label in loaded.train.labels}
    assert DatasetFacts.from_dict({**facts.to_dict(), "kind": name}) == facts

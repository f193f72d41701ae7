"""Batches cut from device-resident data."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_service.data.dataset import Augmentation
from nas_service.data.loader import ResidentPart, epoch_batches
from nas_service.data.part import Part
from tests.samples import digits

CPU = torch.device("cpu")


def _labels(part: ResidentPart, batch_size: int, seed: int = 0, subset: torch.Tensor | None = None) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [labels.tolist() for _, labels in epoch_batches(part, batch_size, Augmentation(), generator, subset)]


def _numbered(count: int) -> ResidentPart:
    images = torch.zeros(count, 1, 2, 2, dtype=torch.uint8)
    return ResidentPart(images, torch.arange(count))


def test_an_epoch_shows_every_image_once_and_drops_the_smaller_last_batch() -> None:
    batches = _labels(_numbered(10), 3)
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert len({label for batch in batches for label in batch}) == 9


def test_fewer_images_than_a_batch_make_one_batch() -> None:
    assert sorted(_labels(_numbered(4), 8)[0]) == [0, 1, 2, 3]


def test_the_order_depends_on_the_generator() -> None:
    part = _numbered(20)
    assert _labels(part, 5, 1) == _labels(part, 5, 1) != _labels(part, 5, 2)


def test_a_subset_is_all_that_is_shown() -> None:
    seen = _labels(_numbered(20), 2, subset=torch.tensor([3, 5, 7, 9]))
    assert sorted(label for batch in seen for label in batch) == [3, 5, 7, 9]


def test_pixels_are_in_zero_to_one() -> None:
    part = ResidentPart.of(digits().train, CPU)
    images, _ = next(epoch_batches(part, 64, Augmentation(1), torch.Generator().manual_seed(0)))
    assert images.dtype == torch.float32
    assert (float(images.min()), float(images.max())) == (0, 1)


def test_a_limit_takes_the_same_random_images_in_their_order() -> None:
    labels = np.arange(500)
    part = Part(np.zeros((500, 1, 2, 2), np.uint8), labels)
    first, again = (ResidentPart.of(part, CPU, limit=50).labels.tolist() for _ in range(2))
    assert first == again == sorted(set(first))
    assert len(first) == 50
    assert max(first) > 400  # from all over the part: a file may be sorted by class


@pytest.mark.parametrize("limit", [20, 21, None])
def test_a_limit_that_is_not_one_takes_all_images(limit: int | None) -> None:
    part = Part(np.zeros((20, 1, 2, 2), np.uint8), np.arange(20))
    assert ResidentPart.of(part, CPU, limit=limit).labels.tolist() == list(range(20))


def _mapped(folder: Path, count: int = 40) -> np.memmap:
    images = np.random.RandomState(0).randint(0, 256, (count, 3, 4, 5)).astype(np.uint8)
    np.save(folder / "images.npy", images)
    mapped: np.memmap = np.load(folder / "images.npy", mmap_mode="r")
    return mapped


def test_images_that_lie_in_a_file_give_the_batches_of_those_in_memory(tmp_path: Path) -> None:
    store, rows = _mapped(tmp_path), np.array([1, 3, 4, 8, 30, 39])
    there = Part(store, np.arange(6), rows)
    here = Part(np.array(store[rows]), np.arange(6))
    assert np.array_equal(there.images, here.images)
    assert np.array_equal(there.at(slice(1, 3)), here.images[1:3])
    assert np.array_equal(there.only(np.array([0, 5])).images, here.images[[0, 5]])
    assert there.nbytes == here.nbytes == 6 * 60
    for size in (2, 4, 6):
        pairs = zip(ResidentPart.of(there, CPU).batches(size), ResidentPart.of(here, CPU).batches(size), strict=True)
        for (pixels, labels), (expected, same) in pairs:
            assert torch.equal(pixels, expected)
            assert torch.equal(labels, same)
    seeds = (torch.Generator().manual_seed(3) for _ in range(2))
    epochs = [epoch_batches(ResidentPart.of(part, CPU), 2, Augmentation(1, flip=True), next(seeds)) for part in (there, here)]
    for (pixels, labels), (expected, same) in zip(*epochs, strict=True):
        assert torch.equal(pixels, expected)
        assert torch.equal(labels, same)


def test_bringing_a_part_to_the_processor_copies_no_image_and_warns_of_nothing(tmp_path: Path) -> None:
    store = _mapped(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resident = ResidentPart.of(Part(store, np.arange(40)), CPU)
    assert resident.store.data_ptr() == store.ctypes.data


def test_a_part_crosses_processes_with_its_own_images_alone(tmp_path: Path) -> None:
    part = Part(_mapped(tmp_path), np.arange(2), np.array([7, 9]))
    content = pickle.dumps(part, protocol=5)
    again = pickle.loads(content)  # noqa: S301 - our own
    assert len(content) < 1000
    assert np.array_equal(again.images, part.images)
    assert again.rows is None


def test_a_part_without_its_images_crosses_processes_and_gets_them_again(tmp_path: Path) -> None:
    store = _mapped(tmp_path)
    for part in (Part(store, np.arange(2), np.array([7, 9])), Part(store, np.arange(40))):
        content = pickle.dumps(part.bare(), protocol=5)
        again = pickle.loads(content)  # noqa: S301 - our own
        assert len(content) < 1500
        assert (len(again), again.nbytes) == (len(part), part.nbytes)
        assert np.array_equal(again.on(store).images, part.images)

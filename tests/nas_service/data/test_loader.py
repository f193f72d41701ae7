"""Batches cut from device-resident data."""

import numpy as np
import pytest
import torch

from nas_service.data.dataset import Augmentation, Part
from nas_service.data.loader import ResidentPart, epoch_batches
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

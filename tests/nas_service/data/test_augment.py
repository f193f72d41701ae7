"""Augmentation in one gather."""

import torch

from nas_service.data.augment import augment
from nas_service.data.dataset import Augmentation


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_image_is_a_window_of_its_padded_self() -> None:
    images = torch.randint(0, 256, (40, 3, 6, 5), dtype=torch.uint8)
    cropped = augment(images, Augmentation(crop_padding=2), _generator())
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    offsets = set()
    for index in range(40):
        found = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(padded[index, :, y : y + 6, x : x + 5], cropped[index])
        ]
        assert found
        offsets.add(found[0])
    assert len(offsets) > 10


def test_about_half_of_the_images_are_flipped() -> None:
    """64 coins: between 12 and 52 heads but for 1 in a million."""
    images = torch.arange(64 * 4, dtype=torch.uint8).view(64, 1, 1, 4)
    flipped = augment(images, Augmentation(flip=True), _generator())
    same = [bool(torch.equal(a, b)) for a, b in zip(images, flipped, strict=True)]
    turned = [bool(torch.equal(a.flip(2), b)) for a, b in zip(images, flipped, strict=True)]
    assert all(s != t for s, t in zip(same, turned, strict=True))
    assert 12 <= sum(turned) <= 52


def test_no_augmentation_gives_the_images_themselves() -> None:
    images = torch.zeros(2, 1, 3, 3, dtype=torch.uint8)
    assert augment(images, Augmentation(), _generator()) is images


def test_draws_come_from_the_generator_alone() -> None:
    images = torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8)
    first = augment(images, Augmentation(1, flip=True), _generator(5))
    torch.manual_seed(99)
    assert torch.equal(first, augment(images, Augmentation(1, flip=True), _generator(5)))

"""Device-resident data: the whole set as uint8 on the device, batches cut from it without the host."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas_service.data.augment import augment
from nas_service.data.dataset import Augmentation, Part


@dataclass(frozen=True)
class ResidentPart:
    """Images (N, C, H, W) uint8 and labels (N,) int64 on a device."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, part: Part, device: torch.device, limit: int | None = None) -> "ResidentPart":
        """Copy a part to a device, or `limit` of its images: always the same ones, drawn at random, since files may be sorted."""
        if limit is not None and limit < len(part):
            chosen = np.sort(np.random.RandomState(0).permutation(len(part))[:limit])
            part = Part(part.images[chosen], part.labels[chosen])
        return cls(
            torch.tensor(part.images).to(device),
            torch.tensor(part.labels).to(device),
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


def to_pixels(images: Tensor) -> Tensor:
    """Return uint8 images as float32 pixels in [0, 1]."""
    return images.to(torch.float32).div_(255)


def epoch_batches(
    part: ResidentPart,
    batch_size: int,
    augmentation: Augmentation,
    generator: torch.Generator,
    subset: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled, augmented batches of pixels (B, C, H, W) in [0, 1] and labels (B,).

    The last, smaller batch is left out unless it is the only one: batch norm wants enough images.

    Args:
        part: Where the images come from.
        batch_size: Images in a batch.
        augmentation: What each batch goes through.
        generator: Source of order and augmentation, on the part's device.
        subset: Indices to draw from; None for all.
    """
    indices = torch.arange(len(part), device=part.labels.device) if subset is None else subset
    order = indices[torch.randperm(len(indices), generator=generator, device=indices.device)]
    for start in range(0, max(1, len(order) - batch_size + 1), batch_size):
        batch = order[start : start + batch_size]
        yield to_pixels(augment(part.images[batch], augmentation, generator)), part.labels[batch]

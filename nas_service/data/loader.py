"""Images at hand: batches cut from uint8 images on the device, or from those that lie in a file."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas_service.data.augment import augment
from nas_service.data.dataset import Augmentation
from nas_service.data.part import Part

_DEVICE_SHARE = 0.5  # of a GPU's free memory that images may take; what is larger stays with the host


@dataclass(frozen=True)
class ResidentPart:
    """Images of a part, and labels on the device that they are for.

    Attributes:
        store: Images (M, C, H, W) uint8, on the device, or with the host where they are too large for it.
        labels: Of the part's images (N,) int64.
        rows: Where they are in `store`, (N,), on its device; None: they are all of it.
    """

    store: Tensor
    labels: Tensor
    rows: Tensor | None = None

    @classmethod
    def of(cls, part: Part, device: torch.device, limit: int | None = None) -> "ResidentPart":
        """Bring a part to a device, or `limit` of its images: always the same, drawn at random, since files may be sorted."""
        if limit is not None and limit < len(part):
            part = part.only(np.sort(np.random.RandomState(0).permutation(len(part))[:limit]))
        labels = torch.tensor(part.labels).to(device)
        if device.type == "cpu" or not _fits(part, device):
            rows = None if part.rows is None else torch.tensor(part.rows)
            return cls(_shared(part), labels, rows)
        return cls(torch.tensor(part.images).to(device), labels)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def images(self, chosen: Tensor) -> Tensor:
        """Return images (B, C, H, W) uint8 on the labels' device, by their places in the part, (B,)."""
        places = chosen.to(self.store.device)
        return self.store[places if self.rows is None else self.rows[places]].to(self.labels.device)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images in order, as pixels (B, C, H, W) in [0, 1], with their labels (B,)."""
        for start in range(0, len(self), size):
            labels = self.labels[start : start + size]
            yield to_pixels(self.images(torch.arange(start, start + len(labels), device=labels.device))), labels


def _fits(part: Part, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return part.nbytes <= _DEVICE_SHARE * free


def _shared(part: Part) -> Tensor:
    """Return the store as a tensor without a copy; nobody writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(part.store)


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
        yield to_pixels(augment(part.images(batch), augmentation, generator)), part.labels[batch]

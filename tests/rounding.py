"""How far a frozen network, whose arithmetic is its own, may be from the trained one: many tests ask."""

import torch
from torch import Tensor

from nas_service.export.bundle import LOGIT_TOLERANCE
from search_spaces.network import ImageFormat


def pixels(image: ImageFormat, count: int, seed: int = 0) -> Tensor:
    """Return random images as networks get them, k / 255 in float32, (count, C, H, W)."""
    size = (count, image.channels, *image.size)
    return torch.randint(0, 256, size, generator=torch.Generator().manual_seed(seed)).to(torch.float32) / 255


def differing(actual: Tensor, expected: Tensor) -> int:
    """Return of how many images the logits, (N, classes), differ by more than an export calls rounding.

    A sign whose input lies within a rounding of 0 may flip; then logits move by far more than the tolerance.
    """
    assert bool(expected.isfinite().all())
    near = (actual - expected).abs().amax(1) <= LOGIT_TOLERANCE * expected.abs().amax(1).clamp_min(1)
    return int((~near).sum())

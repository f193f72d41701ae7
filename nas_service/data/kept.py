"""Kept images: what one machine's cache has, as another machine may ask for it: by a digest, never by a path."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from nas_service.data.part import Images


@dataclass(frozen=True)
class KeptImages:
    """An entry of a cache of decoded images.

    Attributes:
        key: Of the entry: a digest of what decides the pixels.
        shape: (N, C, H, W).
        pixels: Digest of the pixels themselves.
        warnings: What people should know of them.
    """

    key: str
    shape: tuple[int, ...]
    pixels: str
    warnings: tuple[str, ...]

    @classmethod
    def behind(cls, images: Images) -> Self | None:
        """Return the entry that images are mapped from; None of images in memory."""
        if not isinstance(images, np.memmap):
            return None
        entry = Path(str(images.filename)).parent
        with np.load(entry / "counts.npz") as counts:
            digest = digest_of_pixels(counts["digests"])
        warnings = tuple(json.loads((entry / "notes.json").read_text()))
        return cls(entry.name, images.shape, digest, warnings)


def digest_of_pixels(digests: npt.NDArray[np.uint64]) -> str:
    """Return one digest of the digests (N,) of images in their order."""
    return hashlib.sha256(np.ascontiguousarray(digests, "<u8").tobytes()).hexdigest()

"""Decoded images: all pixels of a dataset in one array, with what was counted of each image."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_service.data.part import Images, Indices

_CHUNK_BYTES = 2**23  # of pixels counted at a time
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DecodedImages:
    """All images of a source.

    Attributes:
        pixels: (N, C, H, W) uint8; mapped from a file if they come from the cache.
        sums: Of the pixels of each image and channel (N, C).
        squares: Of the squared pixels, likewise.
        constant: Whether all pixels of an image are alike, channel by channel (N,).
        digests: Of each image (N,): equal where all pixels are.
        content: Digest of what decides the pixels.
        warnings: What people should know of them.
    """

    pixels: Images
    sums: Counts
    squares: Counts
    constant: npt.NDArray[np.bool_]
    digests: npt.NDArray[np.uint64]
    content: str
    warnings: tuple[str, ...] = ()

    @classmethod
    def counted(cls, pixels: Images, content: str, warnings: tuple[str, ...]) -> "DecodedImages":
        """Count what is kept of every image, some megabytes at a time."""
        sums, squares, constant, digests = [], [], [], []
        step = max(1, _CHUNK_BYTES // int(np.prod(pixels.shape[1:])))
        for start in range(0, len(pixels), step):
            images = pixels[start : start + step]
            chunk = images.reshape(*images.shape[:2], -1)
            sums.append(chunk.sum(2, dtype=np.int64))
            squares.append(_squares(chunk))
            constant.append((chunk == chunk[:, :, :1]).all((1, 2)))
            digests.append(np.array([_digest(image) for image in chunk], np.uint64))
        return cls(
            pixels,
            np.concatenate(sums),
            np.concatenate(squares),
            np.concatenate(constant),
            np.concatenate(digests),
            content,
            warnings,
        )

    def statistics(self, rows: Indices) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of every channel of some images, pixels being in [0, 1]."""
        count = len(rows) * int(np.prod(self.pixels.shape[2:]))
        sums, squares = self.sums[rows].sum(0), self.squares[rows].sum(0)
        # Whole numbers to the end: no difference of two large rounded ones.
        spreads = [count * int(square) - int(total) ** 2 for total, square in zip(sums, squares, strict=True)]
        means = tuple(int(total) / (255 * count) for total in sums)
        stds = tuple((spread / (255 * count) ** 2) ** 0.5 for spread in spreads)
        return means, tuple(max(std, 1 / 255) for std in stds)  # a constant channel: no division by 0


def _digest(image: Images) -> int:
    return int.from_bytes(hashlib.blake2b(image.tobytes(), digest_size=8).digest())


def _squares(chunk: Images) -> Counts:
    """Return the sums of squares (n, C) of pixels (n, C, H * W)."""
    wide = chunk.astype(np.uint16)  # 255 squared still fits
    wide *= wide
    sums: Counts = wide.sum(2, dtype=np.int64)
    return sums

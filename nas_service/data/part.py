"""Parts of a split: which of a dataset's images belong together, without a copy of them."""

import fcntl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
ImageShape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a split.

    Attributes:
        store: Images (M, C, H, W) uint8 of this part and maybe of others; mapped from a file where there are many.
        labels: Of the part's images (N,).
        rows: Where they are in `store`, (N,) ascending; None: they are all of it.
    """

    store: Images
    labels: Labels
    rows: Indices | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def images(self) -> Images:
        """The part's images (N, C, H, W) uint8; a copy, unless they are all of the store."""
        return self.store if self.rows is None else self.store[self.rows]

    @property
    def nbytes(self) -> int:
        """Of the part's images."""
        return len(self) * int(np.prod(self.store.shape[1:]))

    def at(self, chosen: Indices | slice) -> Images:
        """Return a copy of some images, by their place in the part."""
        return np.array(self.store[chosen] if self.rows is None else self.store[self.rows[chosen]])

    def only(self, chosen: Indices) -> "Part":
        """Return the part of these places."""
        return Part(self.store, self.labels[chosen], chosen if self.rows is None else self.rows[chosen])

    def bare(self) -> "Part":
        """Return the part without its images, which `on` gives it again: what crosses processes where images are many."""
        rows = np.arange(len(self.store)) if self.rows is None else self.rows
        return Part(np.empty((0, *self.store.shape[1:]), np.uint8), self.labels, rows)

    def on(self, store: Images) -> "Part":
        """Return the part with its images in a store like the one that it was made of."""
        return replace(self, store=store)

    def __reduce__(self) -> tuple[Callable[..., "Part"], tuple[Any, ...]]:
        """Cross processes with no more images than the part's own."""
        if not len(self.store):
            return Part, (self.store, self.labels, self.rows)
        return Part, (np.ascontiguousarray(self.images), self.labels)


def map_images(file: Path) -> Images:
    """Return the images (M, C, H, W) of a `.npy` file without reading them.

    The file is locked, shared, for as long as it is mapped: the mapping holds a copy of the descriptor that has the lock.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is something else.
    """
    with file.open("rb") as opened:
        fcntl.flock(opened, fcntl.LOCK_SH)
        np.lib.format.read_magic(opened)
        shape, _, dtype = np.lib.format.read_array_header_1_0(opened)
        return np.memmap(opened, dtype=dtype, mode="r", shape=shape, offset=opened.tell())

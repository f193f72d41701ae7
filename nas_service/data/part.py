"""Parts of a split: which of a dataset's images belong together, without a copy of them."""

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import NotReadyError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
ImageShape = tuple[int, int, int]  # channels, height, width

BY_VALUE_BYTES = 2**29  # larger images cross processes as the place of the file that they are mapped from


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

    def __reduce__(self) -> tuple[Callable[..., "Part"], tuple[Any, ...]]:
        """Cross processes with no more images than the part's own, or with none where they are many and lie in a file."""
        if isinstance(self.store, np.memmap) and self.nbytes > BY_VALUE_BYTES:
            return _mapped, (str(self.store.filename), self.labels, self.rows)
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


def _mapped(file: str, labels: Labels, rows: Indices | None) -> Part:
    try:
        return Part(map_images(Path(file)), labels, rows)
    except FileNotFoundError:
        message = "the decoded images are not on this node: data sets of more than 512 MiB want a NAS_HOME that all nodes share"
        raise NotReadyError(message) from None

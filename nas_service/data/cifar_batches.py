"""The batches that CIFAR-10 is published in: flat binary records, or pickled dictionaries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.data.part import Images, ImageShape, Indices, Labels
from nas_service.data.paths import resolve_path, without_paths
from nas_service.data.pickled_arrays import read_pickle
from nas_service.data.source import ImageSource, PartName, Tell
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

SHAPE = (3, 32, 32)
_CLASSES = 10
_PIXELS = 3 * 32 * 32
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_MOST_BYTES = 64 * 2**20  # of a file of pickled images; a published one has 31 MB

Rows = tuple[Images, npt.NDArray[Any]]  # flat images (N, 3072), labels (N,)


@dataclass(frozen=True)
class Layout:
    """One of the two forms.

    Attributes:
        folder: That the batches are published in.
        suffix: Of their names.
        read: Reads one: the file, and what to call it.
    """

    folder: str
    suffix: str
    read: Callable[[Path, str], Rows]

    @property
    def first(self) -> str:
        """Name of the first batch."""
        return _TRAIN[0] + self.suffix


@dataclass(frozen=True)
class Batches:
    """Where the batches are.

    Attributes:
        data_root: That `folder` is under.
        folder: Of the files.
        layout: Of the files.
    """

    data_root: Path
    folder: PurePosixPath
    layout: Layout

    def __post_init__(self) -> None:
        """Look for all of them.

        Raises:
            InvalidFieldError: Naming one that is missing.
        """
        self.files()

    def files(self) -> dict[str, Path]:
        """Return the files by what to call them, those of the training images first."""
        names = [str(self.folder / f"{batch}{self.layout.suffix}") for batch in (*_TRAIN, _TEST)]
        return {name: resolve_path(self.data_root, name, "path") for name in names}


class _BatchImages(ImageSource):
    """The images of all batches."""

    def __init__(self, batches: Batches, count: int) -> None:
        """Keep where `count` images are."""
        self._batches = batches
        self._count = count
        self.files = tuple(batches.files().values())
        self.reading = {"layout": batches.layout.folder}

    def __len__(self) -> int:
        """Return the number of images."""
        return self._count

    def shape(self) -> ImageShape:
        """Return the one shape there is."""
        return SHAPE

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        """Read one file after the other."""
        start = 0
        for name, file in self._batches.files().items():
            flat, _ = self._batches.layout.read(file, name)
            images[start : start + len(flat)] = flat.reshape(-1, *SHAPE)
            start += len(flat)
            tell(start, len(images))
        return ()


def read_batches(batches: Batches) -> tuple[Labels, ImageSource, Mapping[PartName, Indices]]:
    """Return the labels of all images, the images, and which are for the test.

    Raises:
        InvalidFieldError: Naming the file, and the row, that is no batch of CIFAR-10.
    """
    labels = [_labels(batches.layout.read(file, name)[1], name) for name, file in batches.files().items()]
    joined = np.concatenate(labels)
    test = np.arange(len(joined) - len(labels[-1]), len(joined))
    return joined, _BatchImages(batches, len(joined)), {PartName.TEST: test}


def _labels(read: npt.NDArray[Any], name: str) -> Labels:
    wrong = np.flatnonzero((read < 0) | (read >= _CLASSES))
    if len(wrong):
        given = f"{printable(name)} row {wrong[0]}: label {read[wrong[0]]}"
        raise InvalidFieldError("path", given, f"class indices from 0 to {_CLASSES - 1}")
    return read.astype(np.int64)


def _binary_rows(file: Path, name: str) -> Rows:
    """Return rows that lie in the file: what is not touched is not read."""
    size = file.stat().st_size
    if size == 0 or size % (_PIXELS + 1):
        raise InvalidFieldError("path", printable(name), f"records of {_PIXELS + 1} bytes; this file has {size} bytes")
    rows = np.memmap(file, dtype=np.uint8, mode="r").reshape(-1, _PIXELS + 1)
    return rows[:, 1:], rows[:, 0]


def _pickled_rows(file: Path, name: str) -> Rows:
    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise InvalidFieldError("path", printable(name), f"a published CIFAR-10 batch, of 31 MB; this file has {size} bytes")
    try:
        batch = read_pickle(file.read_bytes())
        images, labels = batch[b"data"], batch[b"labels"]
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            raise ValueError("data that are no array of bytes")  # noqa: TRY301 - of a file, told with all that may be wrong
        if not isinstance(labels, np.ndarray | list) or not all(isinstance(label, int | np.integer) for label in labels):
            raise ValueError("labels that are no whole numbers")  # noqa: TRY301 - as above
        images = images.reshape(-1, _PIXELS)
        return images, np.asarray(labels, np.int64).reshape(len(images))
    except (LookupError, ValueError, OverflowError) as error:
        raise InvalidFieldError("path", printable(name), f"a published CIFAR-10 batch ({without_paths(str(error))})") from error


LAYOUTS = (Layout("cifar-10-batches-bin", ".bin", _binary_rows), Layout("cifar-10-batches-py", "", _pickled_rows))

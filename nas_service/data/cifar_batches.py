"""The batches that CIFAR-10 is published in: flat binary records, or pickled dictionaries."""

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.data.part import Images, ImageShape, Indices, Labels
from nas_service.data.paths import resolve_path, without_paths
from nas_service.data.source import ImageSource, PartName, Tell
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

SHAPE = (3, 32, 32)
_CLASSES = 10
_PIXELS = 3 * 32 * 32
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_NUMPY_GLOBALS = {"_reconstruct", "ndarray", "dtype", "scalar", "encode", "_frombuffer"}
# What unpickling of a file that is no pickle, or asking it for arrays, was seen to raise.
_NO_BATCH = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    OverflowError,
    MemoryError,
)

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
    try:
        batch = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="bytes").load()
        images = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, _PIXELS)
        labels = np.asarray(batch[b"labels"], dtype=np.int64).reshape(len(images))
    except _NO_BATCH as error:
        raise InvalidFieldError("path", printable(name), f"a published CIFAR-10 batch ({without_paths(str(error))})") from error
    return images, labels


class _ArrayUnpickler(pickle.Unpickler):
    """Reads what the published Python batches hold, arrays in dictionaries, and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's protocol
        if module.split(".", maxsplit=1)[0] in {"numpy", "_codecs"} and name in _NUMPY_GLOBALS:
            return super().find_class(module, name)
        message = f"{module}.{name} has no place in a CIFAR-10 batch"
        raise pickle.UnpicklingError(message)


LAYOUTS = (Layout("cifar-10-batches-bin", ".bin", _binary_rows), Layout("cifar-10-batches-py", "", _pickled_rows))

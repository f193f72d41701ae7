"""CIFAR-10 from files under the data root: the published binary or Python batches, or parquet."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from nas_service.data.dataset import (
    DATASETS,
    Augmentation,
    Dataset,
    DatasetSettings,
    ImageDataset,
    Images,
    Labels,
    Part,
    assemble,
    count_facts,
)
from nas_service.data.datasets.parquet import ParquetImages, ParquetSettings, check_labels
from nas_service.data.facts import DatasetFacts
from nas_service.data.paths import DATA_ROOT, path_inside
from search_spaces.errors import InvalidFieldError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_PARTS = ("train", "test")
_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_FOLDERS = {"binary": ("cifar-10-batches-bin", ".bin"), "python": ("cifar-10-batches-py", "")}
_LAYOUTS = {
    "cifar10-train.parquet": "parquet",
    "cifar-10-batches-bin/data_batch_1.bin": "binary",
    "cifar-10-batches-py/data_batch_1": "python",
}
_NUMPY_GLOBALS = {"_reconstruct", "ndarray", "dtype", "scalar", "encode", "_frombuffer"}


class Cifar10Settings(DatasetSettings):
    """Settings of CIFAR-10."""

    path: str = Field(".", description="Folder under the data root that holds the files.")
    validation_fraction: float = Field(0.1, gt=0, lt=1, description="Share of the 50,000 training images for validation.")


class _ArrayUnpickler(pickle.Unpickler):
    """Reads what the published Python batches hold, arrays in dictionaries, and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's protocol
        if module.split(".", maxsplit=1)[0] in {"numpy", "_codecs"} and name in _NUMPY_GLOBALS:
            return super().find_class(module, name)
        message = f"{module}.{name} has no place in a CIFAR-10 batch"
        raise pickle.UnpicklingError(message)


def _binary_rows(file: Path) -> tuple[Images, npt.NDArray[Any]]:
    """Return flat images (N, 3072) and labels (N,) that lie in the file: what is not touched is not read."""
    size = file.stat().st_size
    if size == 0 or size % (_PIXELS + 1):
        raise InvalidFieldError("path", file.name, f"records of {_PIXELS + 1} bytes; this file has {size} bytes")
    rows = np.memmap(file, dtype=np.uint8, mode="r").reshape(-1, _PIXELS + 1)
    return rows[:, 1:], rows[:, 0]


def _python_batch(file: Path) -> tuple[Images, npt.NDArray[Any]]:
    """Return flat images (N, 3072) and labels (N,)."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="bytes").load()
        images = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, _PIXELS)
        labels = np.asarray(batch[b"labels"], dtype=np.int64)
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidFieldError("path", file.name, f"a published CIFAR-10 batch ({error})") from error
    return images, labels


@DATASETS.register("cifar10")
class Cifar10(Dataset):
    """60,000 32x32 RGB images of ten classes; the published 10,000 test images are the test part.

    References:
        Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """

    summary = "CIFAR-10 from your files: binary or Python batches as published, or cifar10-{train,test}.parquet"
    settings_model = Cifar10Settings
    settings: Cifar10Settings

    def check(self, data_root: Path) -> None:
        """Look for one of the three layouts."""
        self._layout(data_root)

    def facts(self, data_root: Path) -> DatasetFacts:
        """Read the labels, and of parquet the header of the first image."""
        folder, layout = self._layout(data_root)
        if layout == "parquet":
            files = [self._parquet(folder, part) for part in _PARTS]
            labels, shape = [file.labels() for file in files], files[0].image_shape()
        else:
            labels, shape = [self._batch_labels(folder, layout, part) for part in _PARTS], _SHAPE
        self._check_labels(labels)
        return count_facts(CLASSES, labels[0], len(labels[1]), self.settings, shape)

    def load(self, data_root: Path) -> ImageDataset:
        """Read whichever layout is there."""
        folder, layout = self._layout(data_root)
        if layout == "parquet":
            files = [self._parquet(folder, part) for part in _PARTS]
            train, test = (Part(file.images(), file.labels()) for file in files)
        else:
            train, test = (self._batches(folder, layout, part) for part in _PARTS)
        self._check_labels([train.labels, test.labels])
        return assemble("cifar10", CLASSES, train, test, self.settings, Augmentation(crop_padding=4, flip=True))

    def _layout(self, data_root: Path) -> tuple[Path, str]:
        folder = path_inside(data_root, self.settings.path, "path")
        for candidate in (folder, folder / "cifar10"):
            for file, layout in _LAYOUTS.items():
                if path_inside(data_root, str(candidate / file), "path").exists():
                    return candidate, layout
        looked = f"a folder under {DATA_ROOT} that holds one of: {', '.join(_LAYOUTS)}"
        raise InvalidFieldError("path", self.settings.path, looked)

    def _parquet(self, folder: Path, part: str) -> ParquetImages:
        file = folder / f"cifar10-{part}.parquet"
        if not file.exists():
            raise InvalidFieldError("path", file.name, "a file beside the other part's")
        return ParquetImages(file, file.name, ParquetSettings(path=file.name))

    def _check_labels(self, labels: list[Labels]) -> None:
        for part, found in zip(_PARTS, labels, strict=True):
            check_labels(found, len(CLASSES), f"cifar10 {part}")

    def _batch_files(self, folder: Path, layout: str, part: str) -> list[Path]:
        """Return the files of a part in one of the two published layouts, having seen that they are there."""
        below, suffix = _FOLDERS[layout]
        files = [folder / below / f"{batch}{suffix}" for batch in _BATCHES[part]]
        for file in files:
            if not file.exists():
                raise InvalidFieldError("path", f"{below}/{file.name}", f"a file in {below}")
        return files

    def _batch_labels(self, folder: Path, layout: str, part: str) -> Labels:
        read = _binary_rows if layout == "binary" else _python_batch
        # One file after the other, so that no more than one is in memory.
        return np.concatenate([read(file)[1].astype(np.int64) for file in self._batch_files(folder, layout, part)])

    def _batches(self, folder: Path, layout: str, part: str) -> Part:
        read = _binary_rows if layout == "binary" else _python_batch
        images, labels = zip(*(read(file) for file in self._batch_files(folder, layout, part)), strict=True)
        return Part(np.concatenate(images).reshape(-1, *_SHAPE), np.concatenate(labels).astype(np.int64))

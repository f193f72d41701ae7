"""CIFAR-10 from files under the data root: the published binary or Python batches, or parquet."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
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
    path_inside,
)
from nas_service.data.datasets.parquet import ParquetSettings, check_labels, read_images
from search_spaces.errors import InvalidFieldError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PIXELS = 3 * 32 * 32
_TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
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


def _read_binary(file: Path) -> tuple[Images, Labels]:
    rows = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    if len(rows) == 0 or len(rows) % (_PIXELS + 1):
        raise InvalidFieldError("path", file.name, f"records of {_PIXELS + 1} bytes; this file has {len(rows)} bytes")
    rows = rows.reshape(-1, _PIXELS + 1)
    return rows[:, 1:].reshape(-1, 3, 32, 32).copy(), rows[:, 0].astype(np.int64)


def _read_python(file: Path) -> tuple[Images, Labels]:
    try:
        batch = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="bytes").load()
        images = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
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

    def load(self, data_root: Path) -> ImageDataset:
        """Read whichever layout is there."""
        folder, layout = self._layout(data_root)
        if layout == "parquet":
            train, test = (self._read_parquet(folder / f"cifar10-{part}.parquet") for part in ("train", "test"))
        elif layout == "binary":
            train, test = self._read_batches(folder / "cifar-10-batches-bin", ".bin")
        else:
            train, test = self._read_batches(folder / "cifar-10-batches-py", "")
        for name, part in (("train", train), ("test", test)):
            check_labels(part.labels, len(CLASSES), f"cifar10 {name}")
        return assemble("cifar10", CLASSES, train, test, self.settings, Augmentation(crop_padding=4, flip=True))

    def _layout(self, data_root: Path) -> tuple[Path, str]:
        folder = path_inside(data_root, self.settings.path, "path")
        for candidate in (folder, folder / "cifar10"):
            for file, layout in _LAYOUTS.items():
                if path_inside(data_root, str(candidate / file), "path").exists():
                    return candidate, layout
        looked = f"a folder under {data_root.resolve()} that holds one of: {', '.join(_LAYOUTS)}"
        raise InvalidFieldError("path", self.settings.path, looked)

    def _read_parquet(self, file: Path) -> Part:
        if not file.exists():
            raise InvalidFieldError("path", file.name, f"a file in {file.parent}")
        images, labels, _ = read_images(file, file.name, ParquetSettings(path=file.name))
        return Part(images, labels)

    def _read_batches(self, folder: Path, suffix: str) -> tuple[Part, Part]:
        read = _read_binary if suffix else _read_python
        parts = []
        for batches in (_TRAIN_BATCHES, ("test_batch",)):
            files = [folder / f"{batch}{suffix}" for batch in batches]
            for file in files:
                if not file.exists():
                    raise InvalidFieldError("path", f"{folder.name}/{file.name}", f"a file in {folder}")
            images, labels = zip(*(read(file) for file in files), strict=True)
            parts.append(Part(np.concatenate(images), np.concatenate(labels)))
        return parts[0], parts[1]

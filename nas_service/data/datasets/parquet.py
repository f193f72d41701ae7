"""Any parquet file with image bytes and labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from nas_service.data.dataset import (
    DATASETS,
    Augmentation,
    Dataset,
    DatasetSettings,
    ImageDataset,
    Images,
    ImageShape,
    Labels,
    Part,
    assemble,
    count_facts,
)
from nas_service.data.facts import DatasetFacts
from nas_service.data.paths import reason_of, resolve_path
from nas_service.data.pictures import decode, read_shape, stack
from nas_service.data.split import Indices, split_by_seed
from search_spaces.errors import InvalidFieldError

_BUFFER_BYTES = 65_536


class ParquetSettings(DatasetSettings):
    """Settings of a parquet file."""

    path: str = Field(min_length=1, description="Parquet file under the data root.")
    test_path: str | None = Field(None, description="Parquet file with the test images; None: split them off `path`.")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share kept for the test where there is no `test_path`.")
    image_column: str = Field("image", description="Column of image bytes (PNG, JPEG ...), or of structs with `bytes`.")
    label_column: str = Field("label", description="Column of class indices from 0.")
    classes: list[str] | None = Field(
        None,
        min_length=2,
        description="Class names; None: the schema's metadata `classes` (JSON or with commas), else the indices.",
    )
    channels: int = Field(3, description="1 for grey, 3 for RGB.", json_schema_extra={"enum": [1, 3]})
    image_size: int | None = Field(None, ge=4, le=512, description="Resize to this height and width; None: as they are.")
    crop_padding: int = Field(4, ge=0, le=64, description="Border of the random crop in training, in pixels.")
    flip: bool = Field(True, description="Whether left and right may be swapped in training.")  # noqa: FBT003 - pydantic's default


class ParquetImages:
    """A parquet file of images and labels, open: labels and metadata are read without the images."""

    def __init__(self, file: Path, name: str, settings: ParquetSettings, field: str = "path") -> None:
        """Open a file and look for its columns.

        Args:
            file: Where it is.
            name: What to call it in a message.
            settings: Of the dataset.
            field: The setting that led to the file.

        Raises:
            InvalidFieldError: If the file is no parquet or lacks a column.
        """
        self.name = name
        self._settings = settings
        self._field = field
        try:
            # With a buffer of its own size, a first row is read without the rest of its row group.
            self._file = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise InvalidFieldError(field, name, f"a parquet file that can be read ({reason_of(error, file)})") from error
        columns = self._file.schema_arrow.names
        for setting in ("image_column", "label_column"):
            if getattr(settings, setting) not in columns:
                raise InvalidFieldError(setting, getattr(settings, setting), "one of: " + ", ".join(columns))

    @property
    def class_metadata(self) -> bytes | None:
        """What the schema's metadata says of the classes, if anything."""
        metadata: bytes | None = (self._file.schema_arrow.metadata or {}).get(b"classes")
        return metadata

    def labels(self) -> Labels:
        """Return the labels (N,).

        Raises:
            InvalidFieldError: If there is none, or one that is no integer.
        """
        labels = self._read(self._settings.label_column)
        if not pa.types.is_integer(labels.type) or labels.null_count or len(labels) == 0:
            allowed = "one integer class index in every row, and at least one row"
            raise InvalidFieldError("label_column", f"{self.name}: {labels.type}", allowed)
        return np.asarray(labels.to_numpy().astype(np.int64))

    def images(self) -> Images:
        """Return the images (N, C, H, W).

        Raises:
            InvalidFieldError: Naming the row that holds none, or one of another size.
        """
        cells = self._read(self._settings.image_column)
        pictures, names = [], []
        for row, cell in enumerate(cells.to_pylist()):
            content, where = self._content(cell, row)
            pictures.append(decode(content, where, self._settings.channels, self._settings.image_size, self._field))
            names.append(where)
        return stack(pictures, names, self._field)

    def image_shape(self) -> ImageShape:
        """Return the shape of one of the images, from the header of the first.

        Raises:
            InvalidFieldError: If it is none.
        """
        try:
            first = next(self._file.iter_batches(batch_size=1, columns=[self._settings.image_column]))
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error
        content, where = self._content(first.column(0)[0].as_py(), 0)
        return read_shape(content, where, self._settings.channels, self._settings.image_size, self._field)

    def _read(self, column: str) -> Any:  # noqa: ANN401 - pyarrow has no types
        try:
            return self._file.read(columns=[column]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> InvalidFieldError:
        return InvalidFieldError(self._field, self.name, f"a parquet file that can be read ({reason_of(error)})")

    def _content(self, cell: object, row: int) -> tuple[bytes, str]:
        """Return the bytes of a picture, and what to call it."""
        where = f"{self.name} row {row}"
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            kind = self._file.schema_arrow.field(self._settings.image_column).type
            raise InvalidFieldError("image_column", f"{where}: {kind}", "image bytes, or structs with `bytes`, in every row")
        return content, where


def _class_names(metadata: bytes | None) -> tuple[str, ...] | None:
    """Read a JSON list of names, or names with commas between them.

    Raises:
        InvalidFieldError: If it is other JSON.
    """
    if not metadata:
        return None
    text = metadata.decode(errors="replace")
    try:
        listed = json.loads(text)
    except json.JSONDecodeError:
        return tuple(name.strip() for name in text.split(","))
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        allowed = "a JSON list of names, or names with commas, as the schema's metadata; or names in this setting"
        raise InvalidFieldError("classes", text, allowed)
    return tuple(listed)


def check_labels(labels: Labels, classes: int, name: str, field: str = "path") -> None:
    """Refuse labels outside 0..classes-1; `field` is the setting that led to them.

    Raises:
        InvalidFieldError: Naming the first row that is out of range.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        row = int(wrong[0])
        raise InvalidFieldError(field, f"{name} row {row}: label {labels[row]}", f"class indices from 0 to {classes - 1}")


@DATASETS.register("parquet")
class Parquet(Dataset):
    """Rows of image bytes and class indices, as Hugging Face and others store them."""

    summary = "your own images: a parquet file under the data root with image bytes and labels"
    settings_model = ParquetSettings
    settings: ParquetSettings

    def check(self, data_root: Path) -> None:
        """Look whether the files are there."""
        if self.settings.channels not in (1, 3):
            raise InvalidFieldError("channels", self.settings.channels, "1 (grey) or 3 (RGB)")
        resolve_path(data_root, self.settings.path, "path")
        if self.settings.test_path is not None:
            resolve_path(data_root, self.settings.test_path, "test_path")

    def facts(self, data_root: Path) -> DatasetFacts:
        """Read labels, metadata and the header of the first image."""
        training, held = self._open(data_root)
        settings, labels, shape = self.settings, training.labels(), training.image_shape()
        names = self._names(training, labels)
        if held is None:
            rest, test = self._split(len(labels))
            return count_facts(names, labels[rest], len(test), settings, shape)
        test_labels = self._test_labels(held, names)
        _check_shape(held, held.image_shape(), shape, training)
        return count_facts(names, labels, len(test_labels), settings, shape)

    def load(self, data_root: Path) -> ImageDataset:
        """Decode every row; without a test file split the test off by seed."""
        training, held = self._open(data_root)
        settings, labels = self.settings, training.labels()
        names, images = self._names(training, labels), training.images()
        if held is None:
            rest, taken = self._split(len(labels))
            train, test = Part(images[rest], labels[rest]), Part(images[taken], labels[taken])
        else:
            train, test = Part(images, labels), Part(held.images(), self._test_labels(held, names))
            _check_shape(held, test.images.shape[1:], images.shape[1:], training)
        return assemble(settings.path, names, train, test, settings, Augmentation(settings.crop_padding, settings.flip))

    def _open(self, data_root: Path) -> tuple[ParquetImages, ParquetImages | None]:
        self.check(data_root)
        settings = self.settings
        training = ParquetImages(resolve_path(data_root, settings.path, "path"), settings.path, settings)
        if settings.test_path is None:
            return training, None
        held = resolve_path(data_root, settings.test_path, "test_path")
        return training, ParquetImages(held, settings.test_path, settings, "test_path")

    def _names(self, training: ParquetImages, labels: Labels) -> tuple[str, ...]:
        """Return the class names, having seen that all labels have one."""
        given = self.settings.classes
        names = tuple(given) if given else _class_names(training.class_metadata)
        # Without names there is no class without an image, so fewer classes than rows: a row's id is no label.
        check_labels(labels, len(labels) if names is None else len(names), training.name)
        return tuple(str(index) for index in range(int(labels.max()) + 1)) if names is None else names

    def _test_labels(self, held: ParquetImages, names: tuple[str, ...]) -> Labels:
        labels = held.labels()
        check_labels(labels, len(names), held.name, "test_path")
        return labels

    def _split(self, count: int) -> tuple[Indices, Indices]:
        return split_by_seed(count, self.settings.test_fraction, self.settings.split_seed, "test_fraction", least=2)


def _check_shape(held: ParquetImages, given: tuple[int, ...], wanted: tuple[int, ...], training: ParquetImages) -> None:
    if given != wanted:
        raise InvalidFieldError("test_path", f"{held.name}: {given}", f"images of {wanted}, as in {training.name}")

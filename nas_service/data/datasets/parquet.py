"""Any parquet file with image bytes and labels."""

import json
from pathlib import Path

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
    Labels,
    Part,
    assemble,
    resolve_path,
    split_by_seed,
)
from nas_service.data.pictures import decode, stack
from search_spaces.errors import InvalidFieldError


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


def read_images(file: Path, name: str, settings: ParquetSettings, field: str = "path") -> tuple[Images, Labels, bytes | None]:
    """Return images (N, C, H, W), labels (N,) and what the schema's metadata says of the classes, if anything.

    Raises:
        InvalidFieldError: If the file is no parquet, lacks a column, or holds a broken image or a label that is no
            integer.
    """
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise InvalidFieldError(field, name, f"a parquet file that can be read ({error})") from error
    for column in (settings.image_column, settings.label_column):
        if column not in table.column_names:
            raise InvalidFieldError(
                "image_column" if column == settings.image_column else "label_column",
                column,
                "one of: " + ", ".join(table.column_names),
            )
    labels = table[settings.label_column]
    if not pa.types.is_integer(labels.type) or labels.null_count or table.num_rows == 0:
        raise InvalidFieldError(
            "label_column", f"{name}: {labels.type}", "one integer class index in every row, and at least one row"
        )
    images = table[settings.image_column]
    names = [f"{name} row {row}" for row in range(table.num_rows)]
    pictures = []
    for cell, where in zip(images.to_pylist(), names, strict=True):
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise InvalidFieldError(
                "image_column", f"{where}: {images.type}", "image bytes, or structs with `bytes`, in every row"
            )
        pictures.append(decode(content, where, settings.channels, settings.image_size, field))
    return stack(pictures, names, field), labels.to_numpy().astype(np.int64), (table.schema.metadata or {}).get(b"classes")


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

    def load(self, data_root: Path) -> ImageDataset:
        """Decode every row; without a test file split the test off by seed."""
        self.check(data_root)
        settings = self.settings
        images, labels, metadata = read_images(resolve_path(data_root, settings.path, "path"), settings.path, settings)
        names = tuple(settings.classes) if settings.classes else _class_names(metadata)
        if names is None:
            names = tuple(str(index) for index in range(int(labels.max()) + 1))
        check_labels(labels, len(names), settings.path)
        if settings.test_path is None:
            rest, held = split_by_seed(len(labels), settings.test_fraction, settings.split_seed, "test_fraction", least=2)
            train, test = Part(images[rest], labels[rest]), Part(images[held], labels[held])
        else:
            test_file = resolve_path(data_root, settings.test_path, "test_path")
            test_images, test_labels, _ = read_images(test_file, settings.test_path, settings, "test_path")
            check_labels(test_labels, len(names), settings.test_path, "test_path")
            if test_images.shape[1:] != images.shape[1:]:
                raise InvalidFieldError(
                    "test_path", test_images.shape[1:], f"images of {images.shape[1:]}, as in {settings.path}"
                )
            train, test = Part(images, labels), Part(test_images, test_labels)
        return assemble(settings.path, names, train, test, settings, Augmentation(settings.crop_padding, settings.flip))

"""CIFAR-10 from files under the data root: the published binary or Python batches, or parquet."""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from pydantic import Field

from nas_service.data.cifar_batches import LAYOUTS, SHAPE, Batches, read_batches
from nas_service.data.dataset import DATASETS, Augmentation, Dataset, DatasetSettings
from nas_service.data.part import ImageShape
from nas_service.data.paths import DATA_ROOT, path_inside
from nas_service.data.picture_files import opened
from nas_service.data.picture_source import Content
from nas_service.data.pictures import Picture, PictureSettings, UnreadableError, read_size
from nas_service.data.source import PartName, Source
from nas_service.data.tables.columns import find_columns
from nas_service.data.tables.features import class_names
from nas_service.data.tables.images import TablePictures
from nas_service.data.tables.labels import read_labels
from nas_service.data.tables.shards import Shards, find_file, find_shards
from nas_service.data.tables.table import Table, given_rows, open_tables
from nas_service.wording import named, printable
from search_spaces.errors import InvalidFieldError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FOLDERS = ("", "cifar10")  # below `path`
_TABLES = {part: f"cifar10-{part}.parquet" for part in (PartName.TRAIN, PartName.TEST)}
_PUBLISHED = ("plain_text", "data", "")  # folders of shards, as Hugging Face has or had them
_SHARDS = ("train-*.parquet", "train.parquet", "train/*.parquet")


class Cifar10Settings(DatasetSettings):
    """Settings of CIFAR-10."""

    path: str = Field(".", description="Folder under the data root that holds the files.")
    validation_fraction: float = Field(0.1, gt=0, lt=1, description="Share of the 50,000 training images for validation.")


class _Cifar10Pictures(TablePictures):
    """Cells that must hold pictures of 32x32 pixels in colour."""

    def __init__(self, tables: Sequence[Table], column: str) -> None:
        """Keep where they are; what is read of the same cells for another dataset may be other pictures."""
        super().__init__(tables, column, PictureSettings(channels=3))
        self.reading = {**self.reading, "only": SHAPE}

    def shape(self) -> ImageShape:
        """Return the one shape there is, if the first picture has it."""
        name, content = next(self.contents())
        try:
            if isinstance(content, UnreadableError):
                raise content
            size = read_size(content)
            if size != SHAPE[1:]:
                raise _other_size(*size)
        except UnreadableError as error:
            raise InvalidFieldError(self.field, printable(name), f"the pictures of CIFAR-10 ({error})") from error
        return SHAPE

    def _read(self, content: Content) -> Picture | UnreadableError:
        if isinstance(content, UnreadableError):
            return content
        try:
            with opened(content) as file:
                mode, bands = file.picture.mode, file.picture.getbands()
        except UnreadableError as error:
            return error
        if len(bands) < SHAPE[0] and mode != "P":
            return UnreadableError(f"grey (mode {mode}): CIFAR-10 is in colour")
        picture = super()._read(content)
        if isinstance(picture, Picture) and picture.pixels.shape != SHAPE:
            return _other_size(*picture.pixels.shape[1:])
        if isinstance(picture, Picture) and picture.deep_peak is not None:
            return UnreadableError("more than 8 bits a channel: CIFAR-10 has 8")
        return picture


def _other_size(height: int, width: int) -> UnreadableError:
    return UnreadableError(f"{height}x{width} pixels: CIFAR-10 has {SHAPE[1]}x{SHAPE[2]}")


@DATASETS.register("cifar10")
class Cifar10(Dataset):
    """60,000 32x32 RGB images of ten classes; the published 10,000 test images are the test part.

    References:
        Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """

    summary = (
        "CIFAR-10 from your files: binary or Python batches as published, cifar10-{train,test}.parquet, or as on Hugging Face"
    )
    settings_model = Cifar10Settings
    split_by_class = False
    settings: Cifar10Settings

    @property
    def preparation(self) -> str:
        """As they are published."""
        return (
            "colour photographs of one object each, made as small as 32x32 pixels by whoever published them, otherwise unchanged"
        )

    def check(self, data_root: Path) -> None:
        """Look for one of the layouts."""
        self._find(data_root)

    def source(self, data_root: Path) -> Source:
        """Read the labels."""
        found = self._find(data_root)
        if isinstance(found, Batches):
            return Source("cifar10", CLASSES, *read_batches(found))
        with _said_of_path():
            return _table_source(found)

    @property
    def augmentation(self) -> Augmentation:
        """Random crops and mirror images, as the literature has it."""
        return Augmentation(crop_padding=4, flip=True)

    def _find(self, data_root: Path) -> Batches | Shards:
        """Return the files of the first layout that is there."""
        path = PurePosixPath(self.settings.path)
        for below in (path / folder for folder in _FOLDERS):
            folder = path_inside(data_root, str(below), "path")
            if (folder / _TABLES[PartName.TRAIN]).exists():
                files = [find_file(data_root, str(below / name), "path", part) for part, name in _TABLES.items()]
                return Shards(tuple(chain.from_iterable(file.shards for file in files)))
            for layout in LAYOUTS:
                if (folder / layout.folder / layout.first).exists():
                    return Batches(data_root, below / layout.folder, layout)
            for name in _PUBLISHED:
                if any(next((folder / name).glob(pattern), None) for pattern in _SHARDS):
                    return self._published(data_root, str(below / name))
        listed = (
            _TABLES[PartName.TRAIN],
            *(f"{layout.folder}/{layout.first}" for layout in LAYOUTS),
            "plain_text/train-*.parquet",
        )
        raise InvalidFieldError("path", self.settings.path, f"a folder under {DATA_ROOT} that holds one of: {', '.join(listed)}")

    def _published(self, data_root: Path, folder: str) -> Shards:
        found = find_shards(data_root, folder)
        if not found.has(PartName.TEST):
            raise InvalidFieldError("path", printable(folder), "a folder with the test files beside those to train with")
        return found


def _table_source(found: Shards) -> Source:
    tables = open_tables(found.shards)
    columns = find_columns(tables)
    names = class_names(tables, columns.label, None)
    if names is not None and names != CLASSES:
        allowed = f"the ten classes in the order {', '.join(CLASSES)}; the metadata say {named(names)}"
        raise InvalidFieldError("path", tables[0].name, allowed)
    classes, labels = read_labels(tables, columns.label, CLASSES)
    images = _Cifar10Pictures(tables, columns.image)
    return Source("cifar10", classes, labels, images, given_rows(tables), found.skipped, found.warnings)


@contextlib.contextmanager
def _said_of_path() -> Iterator[None]:
    """Say of `path` what is said of settings of other kinds of tables inside the block."""
    try:
        yield
    except InvalidFieldError as error:
        raise InvalidFieldError("path", error.given, error.allowed) from error

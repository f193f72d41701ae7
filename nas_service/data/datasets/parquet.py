"""Any parquet files with image bytes and labels."""

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from nas_service.data.dataset import DATASETS, Augmentation, Dataset
from nas_service.data.pictures import PictureSettings
from nas_service.data.source import PartName, Source
from nas_service.data.tables.columns import find_columns
from nas_service.data.tables.features import class_names
from nas_service.data.tables.images import TablePictures
from nas_service.data.tables.labels import read_labels
from nas_service.data.tables.shards import Shards, find_file, find_shards
from nas_service.data.tables.table import given_rows, open_tables
from search_spaces.errors import InvalidFieldError


class ParquetSettings(PictureSettings):
    """Settings of parquet files."""

    path: str = Field(
        min_length=1, description="Parquet file under the data root, or folder of them as published on Hugging Face."
    )
    test_path: str | None = Field(
        None, description="Parquet file with the test images; None: those of the folder `path`, or else a share of the images."
    )
    image_column: str | None = Field(
        None, description="Column of image bytes (PNG, JPEG ...), or of structs with `bytes`; None: it is found."
    )
    label_column: str | None = Field(
        None, description="Column of class indices, other whole numbers, text or categories; None: it is found."
    )
    classes: list[str] | None = Field(
        None,
        min_length=2,
        description="Class names in the order of their indices; None: those of the metadata, else the labels themselves.",
    )


@DATASETS.register("parquet")
class Parquet(Dataset):
    """Rows of image bytes and labels, as Hugging Face and others store them.

    A folder may keep validation and test apart (`validation-00000-of-00001.parquet`, `test/0000.parquet`): they stay apart.
    """

    summary = "your own images: parquet files under the data root with image bytes and labels"
    settings_model = ParquetSettings
    settings: ParquetSettings

    @property
    def preparation(self) -> str:
        """As all pictures are read."""
        return self.settings.preparation

    def check(self, data_root: Path) -> None:
        """Look whether the files are there."""
        self._shards(data_root)

    def source(self, data_root: Path) -> Source:
        """Read labels and metadata."""
        settings, found = self.settings, self._shards(data_root)
        tables = open_tables(found.shards)
        columns = find_columns(tables, settings.image_column, settings.label_column)
        names, labels = read_labels(tables, columns.label, class_names(tables, columns.label, settings.classes))
        images = TablePictures(tables, columns.image, settings)
        return Source(settings.path, names, labels, images, given_rows(tables), found.skipped, found.warnings)

    @property
    def augmentation(self) -> Augmentation:
        """As the settings have it."""
        return Augmentation(self.settings.crop_padding, self.settings.flip)

    def _shards(self, data_root: Path) -> Shards:
        settings = self.settings
        found = find_shards(data_root, settings.path)
        if settings.test_path is None:
            return found
        held = find_file(data_root, settings.test_path, "test_path", PartName.TEST)
        if found.has(PartName.TEST):
            raise InvalidFieldError("test_path", settings.test_path, "not set, since the folder `path` has test files of its own")
        if {shard.file for shard in found.shards} & {shard.file for shard in held.shards}:
            raise InvalidFieldError("test_path", settings.test_path, "another file than those that are trained with")
        return replace(found, shards=(*found.shards, *held.shards), warnings=(*found.warnings, *held.warnings))

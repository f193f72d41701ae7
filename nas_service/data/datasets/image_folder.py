"""Any folder of images with one sub-folder a class."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from nas_service.data.dataset import (
    DATASETS,
    Augmentation,
    Dataset,
    DatasetSettings,
    ImageDataset,
    Labels,
    Part,
    assemble,
    count_facts,
)
from nas_service.data.facts import DatasetFacts
from nas_service.data.paths import path_inside, reason_of, resolve_path
from nas_service.data.pictures import decode, read_shape, stack
from nas_service.data.split import Indices, split_by_seed
from search_spaces.errors import InvalidFieldError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")


class ImageFolderSettings(DatasetSettings):
    """Settings of an image folder."""

    path: str = Field(min_length=1, description="Folder under the data root: <path>/<class>/<image>.")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share of all images kept for the test.")
    channels: int = Field(3, description="1 for grey, 3 for RGB.", json_schema_extra={"enum": [1, 3]})
    image_size: int | None = Field(None, ge=4, le=512, description="Resize to this height and width; None: as they are.")
    crop_padding: int = Field(4, ge=0, le=64, description="Border of the random crop in training, in pixels.")
    flip: bool = Field(True, description="Whether left and right may be swapped in training.")  # noqa: FBT003 - pydantic's default


@dataclass(frozen=True)
class _Files:
    """Names of the images, by class.

    Attributes:
        folder: That holds the classes' folders.
        given: The same as the settings say it.
    """

    folder: Path
    given: str
    by_class: dict[str, list[str]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.by_class)

    @property
    def labels(self) -> Labels:
        """Of the images, in order, (N,)."""
        return np.repeat(np.arange(len(self.by_class)), [len(names) for names in self.by_class.values()])

    def located(self) -> Iterator[tuple[Path, str]]:
        """Yield every image, and what to call it."""
        for label, names in self.by_class.items():
            for name in names:
                yield self.folder / label / name, f"{self.given}/{label}/{name}"


def _entries(folder: Path | os.DirEntry[str], given: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder, by name: one look at the disk tells folders and links from files."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InvalidFieldError("path", given, f"folders that can be read ({reason_of(error)})") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _is_picture(name: str) -> bool:
    stem, _, suffix = name.lower().rpartition(".")
    return bool(stem) and f".{suffix}" in SUFFIXES


@DATASETS.register("image-folder")
class ImageFolder(Dataset):
    """Classes are the sub-folders in alphabetical order; every file in them with an image suffix is an image."""

    summary = "your own images: a folder under the data root with one sub-folder a class"
    settings_model = ImageFolderSettings
    settings: ImageFolderSettings

    def check(self, data_root: Path) -> None:
        """Look at the folders and count files, reading none."""
        self._files(data_root)

    def facts(self, data_root: Path) -> DatasetFacts:
        """Count files; the first one's header tells the size."""
        files = self._files(data_root)
        labels, (first, name) = files.labels, next(files.located())
        rest, test = self._split(len(labels))
        shape = read_shape(first, name, self.settings.channels, self.settings.image_size)
        return count_facts(files.classes, labels[rest], len(test), self.settings, shape)

    def load(self, data_root: Path) -> ImageDataset:
        """Decode every image and split them by seed."""
        files, settings = self._files(data_root), self.settings
        located = list(files.located())
        pictures = [decode(file, name, settings.channels, settings.image_size) for file, name in located]
        images, labels = stack(pictures, [name for _, name in located]), files.labels
        rest, test = self._split(len(labels))
        return assemble(
            settings.path,
            files.classes,
            Part(images[rest], labels[rest]),
            Part(images[test], labels[test]),
            settings,
            Augmentation(settings.crop_padding, settings.flip),
        )

    def _split(self, count: int) -> tuple[Indices, Indices]:
        return split_by_seed(count, self.settings.test_fraction, self.settings.split_seed, "test_fraction", least=2)

    def _files(self, data_root: Path) -> _Files:
        """List the folder; entries that are links must stay inside the data root."""
        path = self.settings.path
        if self.settings.channels not in (1, 3):
            raise InvalidFieldError("channels", self.settings.channels, "1 (grey) or 3 (RGB)")
        folder = resolve_path(data_root, path, "path")
        if not folder.is_dir():
            raise InvalidFieldError("path", path, "a folder with one sub-folder a class")
        by_class: dict[str, list[str]] = {}
        for class_folder in (entry for entry in _entries(folder, path) if _is_folder(entry)):
            files = [entry for entry in _entries(class_folder, f"{path}/{class_folder.name}") if _is_picture(entry.name)]
            for link in (entry for entry in (class_folder, *files) if entry.is_symlink()):
                path_inside(data_root, f"{path}/{Path(link.path).relative_to(folder)}", "path")
            if not files:
                allowed = f"class folders with at least one image ({', '.join(SUFFIXES)}); this one is empty"
                raise InvalidFieldError("path", f"{path}/{class_folder.name}", allowed)
            by_class[class_folder.name] = [file.name for file in files]
        if len(by_class) < 2:  # noqa: PLR2004 - two classes are the least to tell apart
            raise InvalidFieldError("path", path, "a folder with at least two class folders")
        return _Files(folder, path, by_class)

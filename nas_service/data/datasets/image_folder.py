"""Any folder of images with one sub-folder a class."""

from pathlib import Path

import numpy as np
from pydantic import Field

from nas_service.data.dataset import (
    DATASETS,
    Augmentation,
    Dataset,
    DatasetSettings,
    ImageDataset,
    Part,
    assemble,
    path_inside,
    resolve_path,
    split_by_seed,
)
from nas_service.data.pictures import decode, stack
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


@DATASETS.register("image-folder")
class ImageFolder(Dataset):
    """Classes are the sub-folders in alphabetical order; every file in them with an image suffix is an image."""

    summary = "your own images: a folder under the data root with one sub-folder a class"
    settings_model = ImageFolderSettings
    settings: ImageFolderSettings

    def check(self, data_root: Path) -> None:
        """Look at the folders and count files, reading none."""
        self._files(data_root)

    def load(self, data_root: Path) -> ImageDataset:
        """Decode every image and split them by seed."""
        by_class = self._files(data_root)
        names = [f"{self.settings.path}/{label}/{file.name}" for label, files in by_class.items() for file in files]
        files = [file for files in by_class.values() for file in files]
        pictures = [
            decode(file, name, self.settings.channels, self.settings.image_size) for file, name in zip(files, names, strict=True)
        ]
        images = stack(pictures, names)
        labels = np.repeat(np.arange(len(by_class)), [len(files) for files in by_class.values()])
        share, seed = self.settings.test_fraction, self.settings.split_seed
        rest, test = split_by_seed(len(labels), share, seed, "test_fraction", least=2)
        return assemble(
            self.settings.path,
            tuple(by_class),
            Part(images[rest], labels[rest]),
            Part(images[test], labels[test]),
            self.settings,
            Augmentation(self.settings.crop_padding, self.settings.flip),
        )

    def _files(self, data_root: Path) -> dict[str, list[Path]]:
        if self.settings.channels not in (1, 3):
            raise InvalidFieldError("channels", self.settings.channels, "1 (grey) or 3 (RGB)")
        folder = resolve_path(data_root, self.settings.path, "path")
        if not folder.is_dir():
            raise InvalidFieldError("path", self.settings.path, "a folder with one sub-folder a class")
        by_class: dict[str, list[Path]] = {}
        for class_folder in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
            files = sorted(file for file in class_folder.iterdir() if file.suffix.lower() in SUFFIXES)
            for link in (entry for entry in (class_folder, *files) if entry.is_symlink()):
                path_inside(data_root, f"{self.settings.path}/{link.relative_to(folder)}", "path")
            if not files:
                given = f"{self.settings.path}/{class_folder.name}"
                raise InvalidFieldError(
                    "path", given, f"class folders with at least one image ({', '.join(SUFFIXES)}); this one is empty"
                )
            by_class[class_folder.name] = files
        if len(by_class) < 2:  # noqa: PLR2004 - two classes are the least to tell apart
            raise InvalidFieldError("path", self.settings.path, "a folder with at least two class folders")
        return by_class

"""Any folder of pictures with one folder a class, maybe in folders for training, validation and test."""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from nas_service.data.classes import check_class_names
from nas_service.data.dataset import DATASETS, Augmentation, Dataset
from nas_service.data.folders import Listing, Nested, PictureFolder
from nas_service.data.paths import resolve_path
from nas_service.data.picture_source import Content, PictureSource
from nas_service.data.pictures import PictureSettings
from nas_service.data.source import PART_NAMES, PartName, Source
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError


class ImageFolderSettings(PictureSettings):
    """Settings of an image folder."""

    path: str = Field(min_length=1, description="Folder under the data root: <path>/<class>/<picture>, or as `layout` says.")
    layout: Literal["auto", "classes", "parts"] = Field(
        "auto",
        description="parts: <path>/train|validation|test/<class>/<picture>, and each part is used for nothing else; "
        "classes: <path>/<class>/<picture>; auto: parts if all folders are named so and hold folders.",
    )
    nested: Nested | None = Field(
        None,
        description="What folders in a class's folder are: first: more pictures of the class; full: classes of their own, named "
        "by all folders on the way; null: refused.",
    )


class _FolderPictures(PictureSource):
    """Pictures in files of their own."""

    def __init__(self, folder: PictureFolder, places: Sequence[Path], how: PictureSettings) -> None:
        """Keep where they are; no file is opened."""
        super().__init__(how)
        self._folder = folder
        self._places = places
        self.files = [folder.folder / place for place in places]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._places)

    def contents(self) -> Iterator[tuple[str, Content]]:
        """Yield every file, and what to call it."""
        for file, place in zip(self.files, self._places, strict=True):
            yield f"{self._folder.path}/{place}", file


@DATASETS.register("image-folder")
class ImageFolder(Dataset):
    """Classes are folders, in alphabetical order; what systems and tools leave behind is neither class nor picture."""

    summary = "your own images: a folder under the data root with one folder a class"
    settings_model = ImageFolderSettings
    settings: ImageFolderSettings

    @property
    def preparation(self) -> str:
        """As all pictures are read."""
        return self.settings.preparation

    def check(self, data_root: Path) -> None:
        """Look at the folders and count files, reading none."""
        self.source(data_root)

    @property
    def augmentation(self) -> Augmentation:
        """What the settings say."""
        return Augmentation(self.settings.crop_padding, self.settings.flip)

    def source(self, data_root: Path) -> Source:
        """List the folder; links must stay inside the data root."""
        path, listing = self.settings.path, Listing()
        root = resolve_path(data_root, path, "path")
        if not root.is_dir():
            raise InvalidFieldError("path", path, "a folder with one folder a class")
        folder = PictureFolder(data_root, path, root)
        found = {part: self._listed(folder, below, listing) for part, below in self._parts(folder, listing).items()}
        names = self._class_names(found)
        places: list[Path] = []
        labels: list[int] = []
        given: dict[PartName, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        for part, by_class in found.items():
            first = len(places)
            for label, name in enumerate(sorted(found[PartName.TRAIN])):
                places += by_class.get(name, [])
                labels += [label] * len(by_class.get(name, []))
            if part is not PartName.TRAIN:
                given[part] = np.arange(first, len(places))
        pictures = _FolderPictures(folder, places, self.settings)
        return Source(path, names, np.array(labels), pictures, given, listing.skipped, tuple(listing.warnings()))

    def _parts(self, folder: PictureFolder, listing: Listing) -> dict[PartName, Path]:
        """Return the folders of the parts, training first; of training alone where the classes are not in parts.

        Raises:
            InvalidFieldError: If that is not to be told, or there is no folder to train with.
        """
        layout, seen = self.settings.layout, Listing()
        folders, pictures = folder.entries(Path(), seen)
        folders = [place for place in folders if place.name.lower() not in PART_NAMES or _holds_anything(folder, place)]
        known = [(place, PART_NAMES[place.name.lower()]) for place in folders if place.name.lower() in PART_NAMES]
        if layout == "auto":
            layout = self._guess(folder, folders, known)
        if layout == "classes":
            self._check_classes(folder, folders, pictures)
            return {PartName.TRAIN: Path()}
        for _ in (*pictures, *(place for place in folders if place.name.lower() not in PART_NAMES)):
            listing.skip("beside the folders of the parts")
        listing.skipped.update(seen.skipped)
        parts: dict[PartName, Path] = {}
        for place, part in sorted(known, key=lambda entry: list(PartName).index(entry[1])):
            if part in parts:
                given = f"{printable(parts[part].name)} and {printable(place.name)}"
                raise InvalidFieldError("path", given, f"one folder for the {part} part")
            parts[part] = place
        if PartName.TRAIN not in parts:
            allowed = "a folder `train` with one folder a class; or layout=classes, where these are the classes"
            raise InvalidFieldError("layout", f"parts without one to train with in {folder.named(Path())}", allowed)
        return parts

    def _guess(
        self, folder: PictureFolder, folders: list[Path], known: list[tuple[Path, PartName]]
    ) -> Literal["classes", "parts"]:
        """Tell parts from classes by their names and by what they hold."""
        holding = [place for place, _ in known if _holds_folders(folder, place)]
        if not any(part is PartName.TRAIN and place in holding for place, part in known) or len(known) < 2:  # noqa: PLR2004 - a part alone is none
            return "classes"
        (train,) = [place for place in holding if PART_NAMES[place.name.lower()] is PartName.TRAIN][:1]
        for place, part in known:
            if place not in holding:
                allowed = f"folders of classes in it; path={folder.named(train)} reads the images that have classes"
                raise InvalidFieldError("path", f"pictures without classes in {folder.named(place)}, the {part} part", allowed)
        others = [printable(place.name) for place in folders if place not in holding]
        if others:
            allowed = "parts (folders of other names are left out), or classes (train and test are classes as the others)"
            raise InvalidFieldError("layout", f"auto, and beside train there is {', '.join(others[:5])}", allowed)
        return "parts"

    def _check_classes(self, folder: PictureFolder, folders: list[Path], pictures: list[Path]) -> None:
        """Explain what is not as it should be: pictures without classes, or classes one folder deeper."""
        allowed = "a folder with at least two folders of classes"
        if len(folders) == 1 and _holds_folders(folder, folders[0]):
            allowed += f"; is path={folder.named(folders[0])} meant?"
        elif not folders and pictures:
            allowed += f": the {len(pictures)} pictures that lie in it have no class"
        if len(folders) < 2 and not (len(folders) == 1 and self.settings.nested == "full"):  # noqa: PLR2004 - two classes are the least to tell apart
            raise InvalidFieldError("path", self.settings.path, allowed)

    def _listed(self, folder: PictureFolder, below: Path, listing: Listing) -> dict[str, list[Path]]:
        part = Listing(skipped=listing.skipped)
        folder.list_classes(below, self.settings.nested, part)
        listing.by_class |= part.by_class
        composed = {unicodedata.normalize("NFC", name): files for name, files in part.by_class.items()}
        return composed if len(composed) == len(part.by_class) else part.by_class  # else `check_class_names` says which

    def _class_names(self, found: dict[PartName, dict[str, list[Path]]]) -> tuple[str, ...]:
        """Return the classes of the training part, having seen that the others have no more."""
        trained = found[PartName.TRAIN]
        for part, by_class in found.items():
            unknown = sorted(by_class.keys() - trained.keys())
            if unknown:
                given = f"{part} images of {', '.join(map(printable, unknown[:5]))}"
                raise InvalidFieldError("path", given, "classes that have training images")
        return check_class_names(sorted(trained), "path")


def _holds_anything(folder: PictureFolder, place: Path) -> bool:
    return any(folder.entries(place, Listing()))


def _holds_folders(folder: PictureFolder, place: Path) -> bool:
    """Whether there are folders in a folder, and no pictures directly."""
    folders, pictures = folder.entries(place, Listing())
    return bool(folders) and not pictures

"""Folders of pictures: which files are pictures of which class, and what is left out, by reason."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nas_service.data.paths import path_inside, reason_of
from nas_service.data.pictures import SUFFIXES
from nas_service.wording import named, printable
from search_spaces.errors import InvalidFieldError

Nested = Literal["first", "full"]

# What systems and tools leave behind, in lower case; names that begin with a dot are left out as well.
_LEFT_BEHIND = {
    "__macosx", "@eadir", "@__thumb", "#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information",
    "lost+found", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "__pycache__", "picasa.ini",
    "zbthumbnail.info", "fotostation", "albumart.pamp", "$av_asw", "found.000", "node_modules",
}  # fmt: skip
_LEFT = "left by systems and tools"
_OTHER_PICTURES = {
    ".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".svg", ".psd", ".jxl", ".eps", ".exr",
    ".npy", ".mat", ".dcm", ".nii", ".hdr", ".xcf", ".ai", ".mp4", ".mov", ".avi", ".webm", ".zip", ".tar", ".gz",
}  # fmt: skip  # that may hold what their owner means to learn from
_DEEPEST = 12  # folders in one another
_REASONS = 20  # that are told apart


@dataclass
class Listing:
    """What was found so far.

    Attributes:
        by_class: Pictures of each class, below the folder that was listed.
        skipped: Files that were left out, by reason.
    """

    by_class: dict[str, list[Path]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)

    def skip(self, reason: str) -> None:
        """Count a file that is left out."""
        self.skipped[reason if reason in self.skipped or len(self.skipped) < _REASONS else "other files"] += 1

    def warnings(self) -> Iterator[str]:
        """Say what people may miss."""
        for reason, count in sorted(self.skipped.items()):
            suffix = reason.rpartition(" ")[2]
            if suffix in _OTHER_PICTURES:
                yield f"{count} {suffix} files are left out: export them in a format that is read, as PNG or JPEG"
        names: dict[str, str] = {}
        for name in self.by_class:
            if names.setdefault(name.casefold(), name) != name:
                yield f"classes {names[name.casefold()]!r} and {name!r} differ in nothing but capitals"


@dataclass(frozen=True)
class PictureFolder:
    """A folder under the data root.

    Attributes:
        data_root: That links must not lead out of.
        path: Of the folder, as the settings say it.
        folder: The same, resolved.
    """

    data_root: Path
    path: str
    folder: Path

    def entries(self, below: Path, listing: Listing) -> tuple[list[Path], list[Path]]:
        """Return the folders and the pictures that lie directly in a folder below this one, by name.

        Raises:
            InvalidFieldError: If it cannot be read, or a link leads out of the data root.
        """
        folders: list[Path] = []
        pictures: list[Path] = []
        try:
            with os.scandir(self.folder / below) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise InvalidFieldError("path", self.named(below), f"folders that can be read ({reason_of(error)})") from error
        for entry in entries:
            place = below / entry.name
            if entry.name.startswith(".") or entry.name.lower() in _LEFT_BEHIND or entry.name.endswith("~"):
                listing.skip(_LEFT)
            elif not _is(entry.is_dir) and Path(entry.name).suffix.lower() not in SUFFIXES:
                listing.skip(f"no picture that is read: {printable(Path(entry.name).suffix.lower())[:12] or 'no suffix'}")
            elif not _is(entry.is_dir) and not _is(entry.is_file) and os.path.exists(entry.path):  # noqa: PTH110 - not a Path
                listing.skip("no regular file")
            else:
                if entry.is_symlink():
                    path_inside(self.data_root, f"{self.path}/{place}", "path")
                (folders if _is(entry.is_dir) else pictures).append(place)
        return folders, pictures

    def named(self, below: Path) -> str:
        """Return what to call a place in a message."""
        return printable(f"{self.path}/{below}" if below.parts else self.path)

    def list_classes(self, below: Path, nested: Nested | None, listing: Listing) -> None:
        """List one folder a class below `below`.

        Args:
            below: Folder that holds the folders of the classes.
            nested: What folders in a class's folder are: more of the class ("first" names it), or classes of their own, named
                by all folders on the way ("full"); None: refused where pictures lie in them.
            listing: What is found is added to it.

        Raises:
            InvalidFieldError: Naming all folders without pictures, or a folder in a class's folder.
        """
        folders, beside = self.entries(below, listing)
        for _ in beside:
            listing.skip("pictures beside the folders of the classes")
        empty = [folder for folder in folders if not self._list_class(folder, below, nested, listing)]
        if empty:
            seen = "; ".join(f"{count} {reason}" for reason, count in listing.skipped.items())
            allowed = f"folders of classes with at least one picture ({', '.join(sorted(SUFFIXES))})" + (
                f"; left out: {seen}" if seen else ""
            )
            raise InvalidFieldError("path", named([self.named(folder) for folder in empty]), allowed)

    def _list_class(self, folder: Path, below: Path, nested: Nested | None, listing: Listing) -> bool:
        """List one class's folder; return whether there is a picture in it."""
        places = list(self._walk(folder, listing))
        deeper = [place for place, pictures in places if pictures and place != folder]
        if deeper and nested is None:
            first, inner = (printable(str(place.relative_to(below))) for place in (folder, deeper[0]))
            allowed = (
                f"pictures directly in {first}; or nested=first (all of them are one class, {first}), "
                f"or nested=full (each folder is a class of its own, as {inner})"
            )
            raise InvalidFieldError("nested", f"not set, and pictures lie in {self.named(deeper[0])}", allowed)
        for place, pictures in places:
            if pictures:
                name = place if nested == "full" else folder
                listing.by_class.setdefault(str(name.relative_to(below)), []).extend(pictures)
        return any(pictures for _, pictures in places)

    def _walk(self, folder: Path, listing: Listing) -> Iterator[tuple[Path, list[Path]]]:
        """Yield a folder and all folders in it, with the pictures that lie directly in each."""
        if len(folder.parts) > _DEEPEST:
            raise InvalidFieldError("path", self.named(folder), f"at most {_DEEPEST} folders in one another (a circle of links?)")
        folders, pictures = self.entries(folder, listing)
        yield folder, pictures
        for inner in folders:
            yield from self._walk(inner, listing)


def _is(look: object) -> bool:
    """Ask a directory entry; a circle of links is neither folder nor file."""
    try:
        return bool(look())  # type: ignore[operator]
    except OSError:
        return False

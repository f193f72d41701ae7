"""Names of published table files: which split a file belongs to, and which shard of it it is.

train-00000-of-00002.parquet        as Hugging Face and TensorFlow name shards, also with a digest behind
default/train/0000.parquet          as Hugging Face converts other formats
cifar10-train.parquet, test.parquet as people do
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from nas_service.data.source import PART_NAMES, PartName
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

SUFFIX = ".parquet"

_UNLABELLED = {"extra", "unsupervised", "unlabeled", "unlabelled"}  # splits that are nobody's training images
_SHARD = re.compile(r"(?P<split>.*?)[-_.]?(?P<number>\d+)-of-(?P<count>\d+)(?:-[0-9a-f]+)?", re.IGNORECASE)
_PARTIAL = "partial-"  # of a split of which Hugging Face converted the beginning


@dataclass(frozen=True)
class FileName:
    """What the name of a file says of it.

    Attributes:
        path: The name, under the folder that was asked for.
        part: The part that its name or a folder's names, if any.
        split: Another split that it belongs to, if any.
        number: Of the shard, as written.
        count: Of the shards that there are of the split; None where the name does not say it.
        config: Folders that neither name a part nor are a place to keep data in: one for each of several data sets.
        home: The folder of that data set.
        partial: Whether it is the beginning of a split only.
    """

    path: PurePosixPath
    part: PartName | None
    split: str | None
    number: int | None
    count: int | None
    config: tuple[str, ...]
    home: PurePosixPath
    partial: bool = False

    @property
    def order(self) -> tuple[str | int, ...]:
        """What sorts the shards of a split: numbers by their value."""
        pieces = re.split(r"(\d+)", str(self.path))
        return tuple(int(piece) if place % 2 else piece.casefold() for place, piece in enumerate(pieces))


def read_names(paths: list[PurePosixPath], field: str) -> list[FileName]:
    """Read the names of all files of a folder, in order.

    Args:
        paths: The files, under the folder.
        field: The setting that led to it.

    Raises:
        InvalidFieldError: If a file and its folder name different parts.
    """
    # default/extra/0000.parquet is of another split if default/train/0000.parquet is of a part.
    beside = {path.parent.parent for path in paths if path.parent.name and _part_of_folder(path.parent.name)}
    return sorted((_read(path, beside, field) for path in paths), key=lambda name: name.order)


def shard_of(name: str) -> tuple[int | None, int | None]:
    """Return the number of a shard and how many there are, as far as its name says it."""
    found = _SHARD.fullmatch(_stem(name))
    return (int(found["number"]), int(found["count"])) if found else (None, None)


def _read(path: PurePosixPath, beside: set[PurePosixPath], field: str) -> FileName:
    shard = _SHARD.fullmatch(_stem(path.name))
    words = shard["split"] if shard else _stem(path.name)
    part = _part_of_file(words)
    folders = [folder for folder in path.parent.parts if folder.casefold() != "data"]
    inner = next((folder for folder in reversed(folders) if _part_of_folder(folder)), None)
    config = tuple(folder for folder in folders if not _part_of_folder(folder))
    split = None
    if inner is not None:
        said = _part_of_folder(inner)
        if part not in (None, said):
            raise InvalidFieldError(field, printable(str(path)), f"a file of one part: its folder says {said}, its name {part}")
        part = said
    elif part is None and path.parent.name and path.parent.parent in beside:
        split, config = path.parent.name, config[:-1]
    elif part is None and (_first_word(words) in _UNLABELLED or (shard and words)):
        split = words
    number, count = shard_of(path.name)
    home = path.parent.parent if path.parent.name in (inner, split) else path.parent
    return FileName(path, part, split, number, count, config, home, (inner or "").casefold().startswith(_PARTIAL))


def is_unlabelled(split: str) -> bool:
    """Whether a split is known not to be meant for training with labels."""
    return _first_word(split) in _UNLABELLED


def _stem(name: str) -> str:
    return name[: -len(SUFFIX)] if name.casefold().endswith(SUFFIX) else name


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


def _first_word(text: str) -> str | None:
    return next(iter(_words(text)), None)


def _part_of_file(text: str) -> PartName | None:
    """Return the part that a name begins with, else the one that it holds as a word."""
    parts = [PART_NAMES[word] for word in _words(text) if word in PART_NAMES]
    begins = _first_word(text) in PART_NAMES
    return parts[0] if begins or len(set(parts)) == 1 else None


def _part_of_folder(name: str) -> PartName | None:
    return PART_NAMES.get(_stem(name).casefold().removeprefix(_PARTIAL))

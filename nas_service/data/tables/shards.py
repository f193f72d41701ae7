"""Shards: the files of a table, by the part that their owner gives them to."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from nas_service.data.paths import path_inside, resolve_path
from nas_service.data.source import PartName
from nas_service.data.tables.filenames import SUFFIX, FileName, is_unlabelled, read_names, shard_of
from nas_service.wording import named, printable
from search_spaces.errors import InvalidFieldError

_DEPTH = 4  # folders below the one that was asked for; links may run in circles
_UNSEEN = (".", "_")  # names that begin so are notes of programs, not data
_FOLDER = "a parquet file, or a folder with the shards of one data set (train-00000-of-00002.parquet ...)"


@dataclass(frozen=True)
class Shard:
    """One file.

    Attributes:
        file: Where it is.
        name: What to call it: its path under the data root.
        setting: That led to it.
        part: That its rows belong to; training rows may be divided further.
    """

    file: Path
    name: str
    setting: str
    part: PartName = PartName.TRAIN


@dataclass(frozen=True)
class Shards:
    """All files of a table: those of the training rows, then validation and test, each in the order of their numbers.

    Attributes:
        shards: The files.
        skipped: How many files were left out, by reason.
        warnings: What people should know of what was found.
    """

    shards: tuple[Shard, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def has(self, part: PartName) -> bool:
        """Whether there are files of a part."""
        return any(shard.part is part for shard in self.shards)


def find_shards(data_root: Path, path: str, setting: str = "path") -> Shards:
    """Return the one file that a path leads to, or the files below a folder; none is opened.

    Raises:
        InvalidFieldError: If nothing is there, or what is there is not one whole data set.
    """
    target = resolve_path(data_root, path, setting)
    if not target.is_dir():
        return find_file(data_root, path, setting, PartName.TRAIN)
    below = list(_below(data_root, PurePosixPath(path), PurePosixPath(), setting))
    if not below:
        raise InvalidFieldError(setting, path, f"{_FOLDER}: no file below this one ends with {SUFFIX}")
    names = read_names(below, setting)
    _check_one_data_set(names, path, setting)
    chosen, others = _by_part(names, path, setting)
    shards: list[Shard] = []
    for part in PartName:
        of_part = [name for name in names if chosen.get(name) is part]
        _check_whole(of_part, part, setting)
        for name in of_part:
            called = str(PurePosixPath(path) / name.path)
            shards.append(Shard(_regular(data_root, called, setting), called, setting, part))
    skipped = {f"split {printable(split)}": count for split, count in sorted(others.items())}
    return Shards(tuple(shards), skipped, tuple(_warnings(names, others)))


def find_file(data_root: Path, path: str, setting: str, part: PartName) -> Shards:
    """Return one file whose rows are all of one part, whatever its name says.

    Raises:
        InvalidFieldError: If it is no file.
    """
    shard = Shard(_regular(data_root, path, setting), path, setting, part)
    _, count = shard_of(PurePosixPath(path).name)
    alone = f"{printable(path)} is one shard of {count}; {setting}={printable(str(PurePosixPath(path).parent))} reads all of them"
    return Shards((shard,), warnings=(alone,) if (count or 1) > 1 else ())


def _regular(data_root: Path, path: str, setting: str) -> Path:
    file = resolve_path(data_root, path, setting)
    if not file.is_file():
        raise InvalidFieldError(setting, printable(path), "a file")
    return file


def _below(data_root: Path, folder: PurePosixPath, under: PurePosixPath, setting: str) -> Iterator[PurePosixPath]:
    """Yield the paths of all table files below a folder, seen from it."""
    try:
        with os.scandir(path_inside(data_root, str(folder / under), setting)) as entries:
            seen = [(under / entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(_UNSEEN)]
    except OSError as error:
        raise InvalidFieldError(
            setting, printable(str(folder / under)), f"a folder that can be read ({error.strerror})"
        ) from error
    for path, is_folder in seen:
        if is_folder and len(path.parts) <= _DEPTH:
            yield from _below(data_root, folder, path, setting)
        elif path.name.casefold().endswith(SUFFIX) and not is_folder:
            yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Ask the disk for links only: there may be a million images beside."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112 - Path.is_dir raises what may not be looked at


def _check_one_data_set(names: list[FileName], path: str, setting: str) -> None:
    """Refuse several configurations of Hugging Face, and the partitions of Hive, whose labels are names of folders."""
    configs = sorted({name.config for name in names})
    keys = sorted({printable(folder) for config in configs for folder in config if re.fullmatch(r"[^=]+=.*", folder)})
    if keys:
        raise InvalidFieldError(setting, path, f"{_FOLDER}; values in the names of folders are not read: {named(tuple(keys))}")
    if len(configs) > 1:
        homes = sorted({name.home for name in names})
        choices = tuple(f"{setting}={printable(str(PurePosixPath(path) / home))}" for home in homes)
        raise InvalidFieldError(setting, path, f"a folder with one data set; this one has several: {named(choices)}")


def _by_part(names: list[FileName], path: str, setting: str) -> tuple[dict[FileName, PartName], Counter[str]]:
    """Return the part of every file that is read, and how many files of each other split are not."""
    chosen = {name: name.part for name in names if name.part is not None}
    others = Counter(name.split for name in names if name.split is not None)
    without = [name for name in names if name.part is None and name.split is None]
    if chosen and without:
        listed = named(tuple(printable(str(name.path)) for name in without))
        allowed = f"files whose names all say their part, as {printable(str(next(iter(chosen)).path))} does; not so {listed}"
        raise InvalidFieldError(setting, path, allowed)
    if not chosen:
        # A data set of one split, however it is called, is there to be trained with.
        splits = sorted(split for split in others if not is_unlabelled(split))
        alone = without or [name for name in names if [name.split] == splits]
        if (without and splits) or not alone:
            raise InvalidFieldError(setting, path, f"a folder with a train split; this one has {_listed(others)}")
        chosen = dict.fromkeys(alone, PartName.TRAIN)
        others = Counter({split: count for split, count in others.items() if split not in {name.split for name in alone}})
    if PartName.TRAIN not in chosen.values():
        raise InvalidFieldError(setting, path, f"a folder with a train split; this one has {_listed(chosen.values())}")
    return chosen, others


def _listed(splits: Iterable[str]) -> str:
    return named(tuple(sorted({printable(split) for split in splits})))


def _check_whole(names: list[FileName], part: PartName, setting: str) -> None:
    """Refuse shards that are not all there, or are there twice.

    Hugging Face leaves shards of an earlier upload beside those of a later one.
    """
    shards = {name.count: printable(str(name.path)) for name in reversed(names)}
    if len(shards) > 1:
        allowed = f"{part} shards of one numbering: those of another hold the same rows again"
        raise InvalidFieldError(setting, " and ".join(list(shards.values())[:2]), allowed)
    folders = tuple(sorted({printable(str(name.path.parent)) for name in names}))
    if len(folders) > 1:
        raise InvalidFieldError(setting, f"{part} files in {named(folders)}", f"all {part} files in one folder")
    count = names[0].count if names else None
    if count is None:
        return
    numbers = Counter(name.number for name in names)
    twice = tuple(f"number {number}" for number, times in numbers.items() if times > 1)
    if twice:
        raise InvalidFieldError(setting, shards[count], f"each {part} shard once; there are several of {named(twice)}")
    wanted = range(1, count + 1) if 0 not in numbers and count in numbers else range(count)
    missing = next((number for number in wanted if number not in numbers), None)
    if missing is not None or len(numbers) > count:
        lacking = "more than that are there" if missing is None else f"number {missing} is missing"
        allowed = f"all {count} {part} shards: {len(numbers)} are there, {lacking}"
        raise InvalidFieldError(setting, shards[count], allowed)


def _warnings(names: list[FileName], others: Counter[str]) -> Iterator[str]:
    for split, count in sorted(others.items()):
        yield f"{count} file(s) of the split {printable(split)} are left out"
    partial = {str(name.part) for name in names if name.partial and name.part}
    if partial:
        yield f"only the beginning of {' and '.join(sorted(partial))} is there, says the folder's name"

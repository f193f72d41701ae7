"""Backups: a copy of the database as of one moment, and every file of the artifact store that it needs, in a folder.

backup.json          what is in it, with digests; written last: without it there is no backup
database/            the copy of the database
files/<key>          files of the store

While one is made all files are held, so that what the copy needs is still there when its turn comes.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from nas_service.errors import BrokenFileError, NotReadyError, StoreAwayError
from nas_service.storage import file_holds
from nas_service.storage.artifacts import PIECE_BYTES, SCRATCH, ArtifactStore, StoredFile
from nas_service.storage.database_copies import SavedTable, complaints, copied, kind_of
from nas_service.storage.session import Database, utc_now
from nas_service.storage.stock import Stock, Use, resume_keys, take_stock
from nas_service.storage.whole_files import write_whole
from search_spaces.errors import InvalidFieldError

MANIFEST = "backup.json"
DATABASE, FILES = "database", "files"
_EXTEND_EVERY_S = 60.0
_TRIES = 3  # at a file that its writer replaces while it is read


class SavedFile(BaseModel):
    """A file in a backup.

    Attributes:
        path: Below its folder.
        size_bytes: Its size.
        sha256: Of its bytes.
    """

    path: str
    size_bytes: int
    sha256: str

    @field_validator("path")
    @classmethod
    def _is_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or parts[0] not in {DATABASE, FILES} or ".." in parts or "\0" in path:
            raise ValueError(f"a path below {DATABASE}/ or {FILES}/")
        return path


class Manifest(BaseModel):
    """What is in a backup.

    Attributes:
        format: Of the folder.
        made_at: When its database was copied.
        version: Of the service that made it.
        database: Kind of the database.
        revision: Of its schema.
        tables: What is in the database.
        files: Every file, with its digest.
        lost: Files that the database needs and the store had lost, or had damaged: key and what is wrong.
    """

    format: Literal[1] = 1
    made_at: datetime
    version: str
    database: Literal["sqlite", "postgresql"]
    revision: str
    tables: dict[str, SavedTable]
    files: list[SavedFile]
    lost: dict[str, str] = Field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Of everything."""
        return sum(file.size_bytes for file in self.files)


def write_backup(url: str, store: ArtifactStore, folder: Path) -> Manifest:
    """Write a backup of a database and a store into a folder that is new or empty, and read all of it again.

    Raises:
        InvalidFieldError: If the folder is not empty, or cannot be written.
        NotReadyError: If what was written is not what should be there.
        ConflictError: If it took so long that files may have gone.
    """
    with _writable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_empty = next(folder.iterdir(), None) is None
    if not is_empty:
        raise InvalidFieldError("folder", str(folder), "a folder that is not there yet, or is empty")
    with _writable(folder):
        write_whole(folder / MANIFEST, _fill(url, store, folder).model_dump_json(indent=1).encode(), folder / SCRATCH)
        (folder / SCRATCH).rmdir()
    return check_backup(folder)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Inside the block, tell what is wrong with the folder as what is wrong with what was given."""
    try:
        yield
    except StoreAwayError:
        raise  # it is not the folder's
    except OSError as error:
        raise InvalidFieldError("folder", str(folder), f"a folder that can be written ({error.strerror})") from error


def _fill(url: str, store: ArtifactStore, folder: Path) -> Manifest:
    """Copy database and files, and return what was copied."""
    made_at = utc_now()
    with _holding(url) as extend:
        with copied(url, folder / DATABASE) as copy:
            stock, needed = take_stock(copy.session, store.files()), resume_keys(copy.session)
            revision, tables = copy.revision, copy.tables
        saved, lost = _save_files(store, stock, folder / FILES, extend)
    there = {file.path for file in saved}
    lost |= {key: "the store has lost it" for key in needed if f"{FILES}/{key}" not in there}
    of_database = [_described(folder, path) for path in sorted((folder / DATABASE).iterdir())]
    return Manifest(
        made_at=made_at,
        version=version("nas-service"),
        database=kind_of(url),
        revision=revision,
        tables=tables,
        files=[*of_database, *saved],
        lost=lost,
    )


@contextmanager
def _holding(url: str) -> Iterator[Callable[[], None]]:
    """Hold all files inside the block, and give what has to be called now and then."""
    database = Database(url)
    with database.write() as session:
        hold = file_holds.take_hold(session)
    extended = time.monotonic()

    def extend(*, now: bool = False) -> None:
        nonlocal extended
        if now or time.monotonic() - extended >= _EXTEND_EVERY_S:
            with database.write() as session:
                file_holds.extend_hold(session, hold)
            extended = time.monotonic()

    try:
        yield extend
        extend(now=True)  # or it has lapsed
    finally:
        with database.write() as session:
            file_holds.let_go(session, hold)
        database.close()


def _save_files(
    store: ArtifactStore, stock: Stock, folder: Path, extend: Callable[[], None]
) -> tuple[list[SavedFile], dict[str, str]]:
    """Copy what is needed out of the store; return what was copied, and what rows describe that could not be."""
    saved, lost = [], {row.key: "the store has lost it" for row in stock.lost}
    for file in stock.of(Use.RESULT, Use.WORK, Use.CACHE):
        extend()
        described = stock.described.get(file.key)
        try:
            size, digest = _save(store, file.key, described, folder / file.key)
        except BrokenFileError as error:
            (folder / file.key).unlink(missing_ok=True)
            if described is not None:  # anything else its job replaced by another, which is saved too, or makes again
                lost[file.key] = str(error)
            continue
        saved.append(SavedFile(path=f"{FILES}/{file.key}", size_bytes=size, sha256=digest))
    return saved, lost


def _save(store: ArtifactStore, key: str, described: StoredFile | None, path: Path) -> tuple[int, str]:
    """Copy a file out of the store; return its size and digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for tries in range(1, _TRIES + 1):
        pieces = store.pieces(key) if described is None else store.checked_pieces(described)
        try:
            with path.open("wb") as file:
                found = _measured(pieces, file.write)
                file.flush()
                os.fsync(file.fileno())
        except StoreAwayError:
            if tries == _TRIES:
                raise
        else:
            return found
    raise AssertionError  # the loop returns or raises


def _measured(pieces: Iterable[bytes], write: Callable[[bytes], object]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        write(piece)
    return size, digest.hexdigest()


def _described(folder: Path, path: Path) -> SavedFile:
    with path.open("rb") as file:
        size, digest = _measured(iter(lambda: file.read(PIECE_BYTES), b""), lambda _: None)
    return SavedFile(path=path.relative_to(folder).as_posix(), size_bytes=size, sha256=digest)


def read_manifest(folder: Path) -> Manifest:
    """Return what a backup says of itself.

    Raises:
        InvalidFieldError: If the folder holds none, or one that was not finished.
    """
    allowed = f"a folder with a backup that was finished: with {MANIFEST} in it, as this version of the service reads it"
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidFieldError("folder", str(folder), allowed) from error


def check_backup(folder: Path) -> Manifest:
    """Read every byte of a backup, and return its manifest if they are what was written.

    Raises:
        InvalidFieldError: If the folder holds no finished backup.
        NotReadyError: If it is damaged: what, and how.
    """
    manifest, wrong = read_manifest(folder), []
    for file in manifest.files:
        try:
            found = _described(folder, folder / file.path)
        except OSError as error:
            wrong.append(f"{file.path}: {error.strerror}")
            continue
        if found != file:
            wrong.append(f"{file.path}: its bytes are not those that were written")
    wrong = wrong or complaints(manifest.database, folder / DATABASE, manifest.tables)
    if wrong:
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""  # noqa: PLR2004 - as many are named
        raise NotReadyError(f"the backup {folder} is damaged: {'; '.join(wrong[:5])}{more}")
    return manifest

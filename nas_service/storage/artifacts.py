"""Artifacts: files in a store (local disk, S3 ...) with a row for each; nobody outside ever names a path."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import fsspec
from fsspec.spec import AbstractFileSystem
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.errors import BrokenFileError, NotFoundError, NotReadyError, StoreAwayError
from nas_service.process_figures import STORE_ERRORS
from nas_service.storage import totals
from nas_service.storage.models import Artifact
from nas_service.storage.session import database_now, new_id
from nas_service.storage.uploads import Upload, abort, unfinished
from nas_service.storage.whole_files import abandoned, remove_abandoned, write_whole

_LOCAL = "file://"
S3 = ("s3", "s3a")
SCRATCH = ".writing"  # the store's own folder, beside the keys
PIECE_BYTES = 4 * 2**20  # most of a file in memory at once, where it is read in pieces
_REMEMBERED = 4096  # files of which a process knows that they are what their rows say


@dataclass(frozen=True)
class StoredFile:
    """What a row says of a file in the store."""

    key: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, key: str, content: bytes) -> Self:
        """Describe a file by its content."""
        return cls(key, len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def of_row(cls, row: Artifact) -> Self:
        """Return what a row says."""
        return cls(row.key, row.size_bytes, row.sha256)


@dataclass(frozen=True)
class ListedFile:
    """A file that lies in the store, whoever knows of it.

    Attributes:
        key: Its key.
        size_bytes: Its size.
        changed_at: When it was written, in seconds since 1970, by the store's clock.
    """

    key: str
    size_bytes: int
    changed_at: float


def _opened(url: str) -> tuple[AbstractFileSystem, str]:
    """Return a file system and the root in it; of a local one the path as it is, since fsspec takes `::` for a chain of URLs."""
    if url.startswith(_LOCAL):
        return fsspec.filesystem("file"), url.removeprefix(_LOCAL).rstrip("/")
    # Of its own, not one that fsspec keeps from an earlier store, whose credentials may be others; and without a cache of
    # listings, which other processes' writes and deletions would never reach.
    files, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    return files, root.rstrip("/")


class ArtifactStore:
    """Files under one root URL (`file:///...`, `s3://bucket/prefix`), by key.

    Every method raises `StoreAwayError` where the store cannot be reached, or cannot be written.
    """

    def __init__(self, url: str) -> None:
        """Open the store; the root is created when something is put.

        Raises:
            NotReadyError: If it is no store's address, or the package that reaches such a store is not installed.
        """
        try:
            self._files, self._root = _opened(url)
        except ImportError as error:
            kind, _, _ = url.partition("://")
            what = "`pip install 'nas-service[s3]'`" if kind in S3 else f"install it ({error})"
            raise NotReadyError(f"an artifact store at {kind}:// (NAS_ARTIFACT_URL) needs another package: {what}") from error
        except ValueError as error:
            kind = url.partition("://")[0]
            allowed = "file:///FOLDER or s3://BUCKET/FOLDER"
            raise NotReadyError(
                f"NAS_ARTIFACT_URL begins with {kind}://, which no store is known for: allowed is {allowed}"
            ) from error
        self._is_local = "file" in self._files.protocol
        self._is_s3 = not self._is_local and any(name in self._files.protocol for name in S3)
        self._right: dict[StoredFile, object] = {}  # files that were what their rows say, as of a version

    @property
    def local_root(self) -> Path | None:
        """The folder of a store on this machine's disks, which may not be there yet."""
        return Path(self._root) if self._is_local else None

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Raise trouble with the store as `StoreAwayError`, which tells neither path nor address."""
        try:
            yield
        except BrokenFileError:
            raise
        except OSError as error:
            STORE_ERRORS.inc()
            raise StoreAwayError(f"the artifact store cannot be used now ({error.strerror or type(error).__name__})") from error
        except Exception as error:
            if self._is_local:
                raise  # a bug: trouble with disks is an OSError
            STORE_ERRORS.inc()
            raise StoreAwayError(
                f"the artifact store cannot be used now ({type(error).__name__})"
            ) from error  # as its client says

    def put(self, key: str, content: bytes) -> None:
        """Write `content` under `key`, whole or not at all: readers see the old file or the new one."""
        with self._reached():
            if self._is_local:
                write_whole(Path(self._path(key)), content, Path(self._path(SCRATCH)))
            else:  # object stores replace an object at once
                self._files.pipe_file(self._path(key), content)

    def put_file(self, key: str, path: Path) -> None:
        """As `put`, of a file of this machine, read in pieces."""
        with self._reached():
            if self._is_local:
                with path.open("rb") as source:
                    write_whole(Path(self._path(key)), iter(lambda: source.read(PIECE_BYTES), b""), Path(self._path(SCRATCH)))
            else:
                self._files.put_file(str(path), self._path(key))

    def get(self, key: str) -> bytes | None:
        """Return the content under `key`, or None if there is none."""
        with self._reached():
            try:
                content: bytes = self._files.cat_file(self._path(key))
            except FileNotFoundError:
                return None
            return content

    def pieces(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes from `start` up to `end`, or all, of one version even if it is replaced meanwhile.

        Raises:
            BrokenFileError: If there is none.
        """
        with self._reached():
            try:
                file = self._files.open(self._path(key), "rb", **({} if self._is_local else {"cache_type": "none"}))
            except FileNotFoundError as error:
                raise BrokenFileError(f"the artifact store has lost {key}") from error
            with file:
                file.seek(start)
                left = None if end is None else end - start
                while left is None or left > 0:
                    piece = file.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left))
                    if not piece:
                        break
                    left = None if left is None else left - len(piece)
                    yield piece

    def checked_pieces(self, stored: StoredFile) -> Iterator[bytes]:
        """Yield a file's bytes, the last of them only if all are what its row says.

        Raises:
            BrokenFileError: If they are not, or there is no file.
        """
        digest, size, held = hashlib.sha256(), 0, b""
        for piece in self.pieces(stored.key):
            if held:
                yield held
            digest.update(piece)
            size += len(piece)
            held = piece
        damaged = f"{stored.key} in the artifact store is damaged"
        if size != stored.size_bytes:
            raise BrokenFileError(f"{damaged}: it has {size} bytes, and {stored.size_bytes} were written")
        if digest.hexdigest() != stored.sha256:
            raise BrokenFileError(f"{damaged}: its bytes are not those that were written")
        yield held

    def check(self, stored: StoredFile) -> None:
        """Compare a file with what its row says; a version that was right is not read again by this process.

        Raises:
            BrokenFileError: If it is damaged, or lost.
        """
        version = self._version(stored.key)
        if self._right.get(stored) == version:
            return
        for _ in self.checked_pieces(stored):
            pass
        if len(self._right) >= _REMEMBERED:
            self._right.clear()
        self._right[stored] = version

    def read(self, stored: StoredFile) -> bytes:
        """Return a file that is what its row says.

        Raises:
            BrokenFileError: If it is damaged, or lost.
        """
        return b"".join(self.checked_pieces(stored))

    def _version(self, key: str) -> object:
        """Return what changes when a file is replaced."""
        with self._reached():
            try:
                info: dict[str, Any] = self._files.info(self._path(key))
            except FileNotFoundError as error:
                raise BrokenFileError(f"the artifact store has lost {key}") from error
            return tuple(info.get(name) for name in ("size", "ETag", "LastModified", "mtime", "ino", "created"))

    def exists(self, key: str) -> bool:
        """Return whether there is a file under `key`."""
        with self._reached():
            return bool(self._files.exists(self._path(key)))

    def delete(self, key: str) -> None:
        """Remove `key` if it is there; one that ends in a slash is a folder, and goes with everything in it."""
        path, is_folder = self._path(key.rstrip("/")), key.endswith("/")
        with self._reached(), suppress(FileNotFoundError):
            if is_folder:
                self._files.rm(path, recursive=True)
            else:
                self._files.rm_file(path)

    def keys(self, folder: str) -> list[str]:
        """Return the keys in `folder`, which ends in a slash, sorted."""
        path = self._path(folder.rstrip("/"))
        with self._reached():
            if not self._files.isdir(path):
                return []
            names = (str(path).rpartition("/")[2] for path in self._files.ls(path, detail=False))
            return sorted(f"{folder}{name}" for name in names if name)  # some object stores list the folder itself

    def files(self) -> list[ListedFile]:
        """Return everything that lies in the store, sorted by key, the store's own scratch included."""
        with self._reached():
            try:
                found = self._files.find(self._root, detail=True)
            except FileNotFoundError:
                return []
        named = {str(path)[len(self._root) + 1 :]: info for path, info in found.items() if info["type"] != "directory"}
        listed = (ListedFile(key, int(info["size"]), _moment(info)) for key, info in named.items() if key)
        return sorted(listed, key=lambda file: file.key)

    def unfinished_uploads(self, age_s: float) -> list[Upload]:
        """Return the uploads in parts that were begun at least `age_s` seconds ago and never ended; S3 keeps, and bills, them."""
        with self._reached():
            return unfinished(self._files, self._root, age_s) if self._is_s3 else []

    def abort_upload(self, upload: Upload) -> None:
        """End an upload in parts: what came of it goes."""
        with self._reached():
            abort(self._files, self._root, upload)

    def try_write(self) -> None:
        """Write a byte and take it back; nothing is left, and no key is touched."""
        key = f"{SCRATCH}/{new_id()}"
        with self._reached():
            if self._is_local:
                folder = Path(self._path(SCRATCH))
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as file:
                    file.write(b"x")
                    file.flush()
            else:
                self._files.pipe_file(self._path(key), b"x")
                self._files.rm_file(self._path(key))

    def abandoned(self) -> set[str]:
        """Return the keys of what writers that are gone left half-written."""
        with self._reached():
            return {f"{SCRATCH}/{file.name}" for file in abandoned(Path(self._path(SCRATCH)))} if self._is_local else set()

    def remove_abandoned(self) -> int:
        """Remove what writers that are gone left half-written, and return how many files that were.

        A local store keeps them apart from its keys; object stores have none.
        """
        with self._reached():
            return remove_abandoned(Path(self._path(SCRATCH))) if self._is_local else 0


def _moment(info: dict[str, Any]) -> float:
    """Return when a file was written: local disks say a number, object stores a moment."""
    changed = info.get("mtime", info.get("LastModified", info.get("created")))
    return changed.timestamp() if isinstance(changed, datetime) else float(changed or 0.0)


def record_artifact(session: Session, owner_id: str, kind: str, stored: StoredFile) -> None:
    """Keep a row for a stored file, replacing an earlier one of the same owner and kind."""
    row = session.scalars(select(Artifact).where(Artifact.owner_id == owner_id, Artifact.kind == kind)).first()
    if row is None:
        row = Artifact(id=new_id(), owner_id=owner_id, kind=kind)
        session.add(row)
    totals.count(session, owner_id, totals.ARTIFACT_BYTES, stored.size_bytes - (row.size_bytes or 0))
    row.key, row.size_bytes, row.sha256, row.created_at = stored.key, stored.size_bytes, stored.sha256, database_now(session)
    session.flush()


def forget_artifacts(session: Session, owner_ids: Sequence[str]) -> None:
    """Delete the rows of the files of some owners; the files themselves are for whoever calls to drop."""
    gone = session.execute(
        delete(Artifact).where(Artifact.owner_id.in_(owner_ids)).returning(Artifact.owner_id, Artifact.size_bytes)
    )
    for owner_id, size_bytes in gone:
        totals.count(session, owner_id, totals.ARTIFACT_BYTES, -size_bytes)


def get_artifact(session: Session, owner_id: str, kind: str) -> Artifact:
    """Return the row of a file.

    Raises:
        NotFoundError: If the owner has no such file.
    """
    row = session.scalars(select(Artifact).where(Artifact.owner_id == owner_id, Artifact.kind == kind)).first()
    if row is None:
        what = f"{kind} of"
        raise NotFoundError(what, owner_id)
    return row

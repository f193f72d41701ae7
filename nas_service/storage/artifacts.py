"""Artifacts: files in a store (local disk, S3 ...) with a row for each; nobody outside ever names a path."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import fsspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.errors import NotFoundError
from nas_service.storage.models import Artifact
from nas_service.storage.session import database_now, new_id


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


class ArtifactStore:
    """Files under one root URL (`file:///...`, `s3://bucket/prefix`), by key."""

    def __init__(self, url: str) -> None:
        """Open the store; the root is created when something is put."""
        self._files, self._root = fsspec.core.url_to_fs(url)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def put(self, key: str, content: bytes) -> None:
        """Write `content` under `key`, whole or not at all: readers see the old file or the new one."""
        path = self._path(key)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        if "file" in self._files.protocol:
            temporary = Path(f"{path}.part")
            temporary.write_bytes(content)
            temporary.replace(path)
        else:  # object stores replace an object at once
            self._files.pipe_file(path, content)

    def get(self, key: str) -> bytes | None:
        """Return the content under `key`, or None if there is none."""
        try:
            content: bytes = self._files.cat_file(self._path(key))
        except FileNotFoundError:
            return None
        return content

    def exists(self, key: str) -> bool:
        """Return whether there is a file under `key`."""
        return bool(self._files.exists(self._path(key)))

    def delete(self, key: str) -> None:
        """Remove `key` if it is there; one that ends in a slash is a folder, and goes with everything in it."""
        path = self._path(key.rstrip("/"))
        if self._files.exists(path):
            self._files.rm(path, recursive=key.endswith("/"))

    def keys(self, folder: str) -> list[str]:
        """Return the keys in `folder`, which ends in a slash, sorted."""
        path = self._path(folder.rstrip("/"))
        if not self._files.isdir(path):
            return []
        names = (str(path).rpartition("/")[2] for path in self._files.ls(path, detail=False))
        return sorted(f"{folder}{name}" for name in names if name)  # some object stores list the folder itself


def record_artifact(session: Session, owner_id: str, kind: str, stored: StoredFile) -> None:
    """Keep a row for a stored file, replacing an earlier one of the same owner and kind."""
    row = session.scalars(select(Artifact).where(Artifact.owner_id == owner_id, Artifact.kind == kind)).first()
    if row is None:
        row = Artifact(id=new_id(), owner_id=owner_id, kind=kind)
        session.add(row)
    row.key, row.size_bytes, row.sha256, row.created_at = stored.key, stored.size_bytes, stored.sha256, database_now(session)
    session.flush()


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

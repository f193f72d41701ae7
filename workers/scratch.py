"""Scratch folders: what a driver and its Ray keep on disk while they live, one folder an attempt, none of it for good.

A folder's name follows from home, job and attempt, so that a later service on the same home finds and removes what a killed
one left.
"""

import base64
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from nas_service.errors import NotReadyError
from nas_service.settings import Settings

log = structlog.get_logger()

SCRATCH_VARIABLE = "NAS_SCRATCH"  # `Settings.scratch` in the environment of a driver, and of all that it starts

_SOCKET_PATH_LIMIT = 107  # characters: sun_path of a UNIX socket has 108, the last one is NUL
_LONGEST_SOCKET = len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
_LONGEST_NAME = len("/nas-abcdef-abcdefgh-99999")
_LONGEST_PARENT = _SOCKET_PATH_LIMIT - _LONGEST_SOCKET - _LONGEST_NAME


def scratch_folder(settings: Settings, job_id: str, attempt: int) -> Path:
    """Return the scratch folder of an attempt: the one that its launcher gave, else the one that its name stands for."""
    if settings.scratch is not None:
        return settings.scratch
    return temporary_folder() / f"{_prefix(settings)}-{_digest(job_id, 8)}-{attempt}"


def scratch_folders(settings: Settings) -> list[Path]:
    """Return the scratch folders that services on this home made and nobody removed yet."""
    return sorted(temporary_folder().glob(f"{_prefix(settings)}-*"))


@contextmanager
def scratch_of(settings: Settings, job_id: str, attempt: int) -> Iterator[Path]:
    """Give a driver its scratch folder for the length of the block.

    One that a launcher gave is the launcher's to remove. Elsewhere, as on a node of a cluster, it is removed after the block, and
    those that killed attempts at the job left on this machine before it.

    Raises:
        NotReadyError: As `make_scratch`.
    """
    folder = scratch_folder(settings, job_id, attempt)
    if settings.scratch is not None:
        make_scratch(folder)
        yield folder
        return
    for earlier in temporary_folder().glob(f"{_prefix(settings)}-{_digest(job_id, 8)}-*"):
        remove_scratch(earlier)
    make_scratch(folder)
    try:
        yield folder
    finally:
        remove_scratch(folder)


def make_scratch(folder: Path) -> None:
    """Make a scratch folder that nobody else can enter. The driver does so itself: where there is a folder, one has lived.

    Raises:
        NotReadyError: If something of another user, or something else than a folder, is in its place.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_ours(folder):
            message = f"{folder.name} in the folder for temporary files is not this user's folder; remove it, or set TMPDIR"
            raise NotReadyError(message) from None
        folder.chmod(0o700)


def remove_scratch(folder: Path) -> None:
    """Remove a scratch folder with all that is in it; one that is gone, or not ours, is left alone."""
    if _is_ours(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            log.warning("scratch.not_removed", folder=folder.name)


def temporary_folder() -> Path:
    """Return the folder for temporary files, or /tmp where the path of that is too long for sockets below it."""
    parent = Path(tempfile.gettempdir())
    return parent if len(str(parent)) <= _LONGEST_PARENT else Path("/tmp")  # noqa: S108 - folders in it are private, see above


def _prefix(settings: Settings) -> str:
    return f"nas-{_digest(f'{os.getuid()} {settings.home.resolve()}', 6)}"


def _digest(text: str, length: int) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:length]


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()

"""Local files that are there whole or not at all, whoever writes them and whenever the machine stops."""

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

GIVEN_UP_S = 86_400.0  # without a change, after which any file counts as given up, whoever has the number of its writer now


def write_whole(path: Path, content: bytes | Iterable[bytes], scratch: Path) -> None:
    """Write `content` to `path`, on disk when this returns: readers see the old file or the new one.

    Args:
        path: Where it goes; missing folders are made.
        content: What to write, whole or in pieces.
        scratch: A folder of the same file system, for what is not whole yet. Its names tell the writer, see `remove_abandoned`.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    _make_folders(path.parent)
    temporary = scratch / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error says more
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def abandoned(scratch: Path) -> list[Path]:
    """Return what writers left half-written in a scratch folder.

    A writer of this host is gone when its process is, any other after a day: nobody here can ask whether one of another host
    lives, and a process of this host may have the number of one that is gone.
    """
    found = []
    for file in scratch.iterdir() if scratch.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # its writer was done while we looked
            if _is_abandoned(file):
                found.append(file)
    return found


def remove_abandoned(scratch: Path) -> int:
    """Remove what writers left half-written in a scratch folder, see `abandoned`, and return how many files that were."""
    removed = 0
    for file in abandoned(scratch):
        with contextlib.suppress(FileNotFoundError):  # somebody else did
            file.unlink()
            removed += 1
    return removed


def _is_abandoned(file: Path) -> bool:
    if time.time() - file.stat().st_mtime > GIVEN_UP_S:
        return True
    host, _, rest = file.name.rpartition("-")[0].rpartition("-")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass  # another user's, which lives; or a name that we did not give
    return False


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it, each of them on disk: a file in a folder that is lost is lost too."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

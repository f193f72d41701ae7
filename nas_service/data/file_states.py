"""States of files: by which a change is noticed without a look at the content, and the digest of contents."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SETTLED_NS = 2_000_000_000  # a file that changed just now may change again without another time
_KEPT_S = 30 * 86_400  # for digests that nobody asked for

State = tuple[str, int, int, int, int]  # name, size, times of change, inode; of a file that cannot be read its name alone


def states_of(files: Sequence[Path]) -> list[State]:
    """Return the files' states; one that is not there has one too."""
    return [_state(file) for file in files]


def _state(file: Path) -> State:
    try:
        stat = file.stat()
    except OSError:
        return str(file), -1, 0, 0, 0
    return str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


class Digests:
    """Digests of files' contents, remembered in a folder by the files' states, as version control does."""

    def __init__(self, folder: Path) -> None:
        """Prepare it; the folder is there."""
        self._folder = folder

    def of(self, files: Sequence[Path], states: Sequence[State], tell: Callable[[], None]) -> str:
        """Return one digest for all contents, in their order; files that were seen in these states are not read again.

        Args:
            files: To digest; one that cannot be read counts as such, and is nobody's content.
            states: Of the files, before.
            tell: Called for each file that is read; what it raises ends the work.
        """
        known = self._folder / hashlib.sha256(json.dumps(states).encode()).hexdigest()
        with contextlib.suppress(FileNotFoundError):
            os.utime(known)
            return known.read_text()
        digest = digest_of(files, tell)
        if time.time_ns() - max(max(state[2:4]) for state in states) > _SETTLED_NS and all(state[1] >= 0 for state in states):
            part = known.with_name(f"{known.name}.{os.getpid()}.part")
            part.write_text(digest)
            part.replace(known)
        return digest

    def prune(self) -> None:
        """Forget what nobody asked for in a month."""
        for known in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - known.stat().st_mtime > _KEPT_S:
                    known.unlink()


def digest_of(files: Sequence[Path], tell: Callable[[], None]) -> str:
    """Return one digest for the contents of files, in their order, read by several threads."""
    whole = hashlib.sha256()
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        for digest in pool.map(_digest_of_file, files):
            tell()
            whole.update(digest.encode())
    finally:
        pool.shutdown(cancel_futures=True)
    return whole.hexdigest()


def _digest_of_file(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.errno}"

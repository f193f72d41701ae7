"""Saving what is downloaded: its place is opened before anything is asked for, and gets the whole file or stays as it was."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from search_spaces.errors import InvalidFieldError


class Saving:
    """A file that is being received, beside the place where it will be.

    Attributes:
        path: Where it will be.
    """

    def __init__(self, path: str | os.PathLike[str] | None, name: str) -> None:
        """Open it.

        Args:
            path: File or folder; None: the working folder.
            name: Of the file in a folder, until the reply names it.

        Raises:
            InvalidFieldError: If it cannot be written.
        """
        asked = Path(path or ".")
        place = Path(os.path.realpath(asked))  # where a link leads
        self._is_named = not place.is_dir()
        self.path = asked if self._is_named else asked / name
        if self._is_named and place.exists() and not place.is_file():
            raise InvalidFieldError("path", str(asked), "a file or a folder")
        self._folder, self._end = (place.parent, place.name) if self._is_named else (place, name)
        self._part = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            self._file = self._part.open("xb")
        except OSError as error:
            raise InvalidFieldError("path", str(asked), f"a file or folder that can be written ({error.strerror})") from error

    def name_after(self, reply: httpx.Response) -> None:
        """Take the name that the service gives a file, where the caller named a folder alone."""
        if not self._is_named:
            self._end = file_name(reply, self._end)
            self.path = self.path.with_name(self._end)

    def write(self, part: bytes) -> None:
        """Append to it."""
        self._file.write(part)

    def keep(self) -> None:
        """Put it in its place."""
        self._file.close()
        self._part.replace(self._folder / self._end)

    def drop(self) -> None:
        """Leave no trace of what was not kept."""
        self._file.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def saving(path: str | os.PathLike[str] | None, name: str) -> Iterator[Saving]:
    """Open a file to receive; it is in its place when the block ends, and not at all if it fails."""
    opened = Saving(path, name)
    try:
        yield opened
        opened.keep()
    finally:
        opened.drop()


def file_name(reply: httpx.Response, otherwise: str) -> str:
    """Return the name that a reply gives its file: letters, digits, `_`, `.` and `-`."""
    named = re.search(r'filename="(\w[\w.-]*)"', reply.headers.get("Content-Disposition", ""), re.ASCII)
    return named[1] if named else otherwise

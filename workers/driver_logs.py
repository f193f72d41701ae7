"""What drivers print, to be read while they work and afterwards, in parts of limited size."""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from nas_service.settings import Settings
from workers.launcher import log_name

PART_BYTES = 256_000  # most of a log in one part
NOT_BEGUN = "no driver has begun yet"


@runtime_checkable
class Prints(Protocol):
    """A launcher whose drivers' output is elsewhere while they run."""

    def printed(self, job_id: str, attempt: int) -> str | None:
        """Return what a driver printed so far, as far as that can be had now."""
        ...


@dataclass(frozen=True)
class LogPart:
    """A part of a log.

    Attributes:
        lines: Whole ones, without their ends; a line that is longer than a part comes in pieces.
        next: Byte behind the last of them.
        size: Bytes of the log now.
    """

    lines: tuple[str, ...]
    next: int
    size: int


def attempts_kept(settings: Settings, job_id: str) -> list[int]:
    """Return the attempts at a job of which this host has a log."""
    pattern = re.compile(rf"{re.escape(Path(log_name(job_id, 0)).stem.removesuffix('-0'))}-([0-9]+)\.log")
    folder = (settings.home / log_name(job_id, 0)).parent
    found = (pattern.fullmatch(entry.name) for entry in (folder.glob(f"{job_id}-*.log") if folder.is_dir() else ()))
    return sorted(int(match[1]) for match in found if match)


def open_log(settings: Settings, launcher: object, job_id: str, attempt: int) -> BinaryIO | None:
    """Return the log of an attempt: this host's, else what the launcher can get of it; None if there is none."""
    try:
        return (settings.home / log_name(job_id, attempt)).open("rb")
    except FileNotFoundError:
        text = launcher.printed(job_id, attempt) if isinstance(launcher, Prints) else None
        return None if text is None else io.BytesIO(text.encode(errors="replace"))


def where_else(settings: Settings, job_id: str, attempt: int) -> str:
    """Return in words why an attempt has no log here, and where it may be."""
    name = log_name(job_id, attempt)
    if settings.launcher == "ray-job":
        return (
            f"Ray has it while the driver runs (`ray job logs {job_id}-{attempt}`), and the service that saw its end keeps it as "
            f"{name} below its home; it is not here, or Ray does not answer"
        )
    return f"it is not on this host: the service that started the driver keeps it as {name} below its home"


def read_after(log: BinaryIO, start: int, *, whole: bool) -> LogPart:
    """Return the lines from a byte on, up to `PART_BYTES` of them; a place beyond the end stands for the end.

    Args:
        log: The log.
        start: The byte.
        whole: Nobody writes any more: a last line without an end is one.
    """
    size = log.seek(0, os.SEEK_END)
    log.seek(min(start, size))
    return _cut(log.read(PART_BYTES), min(start, size), size, whole=whole)


def read_tail(log: BinaryIO, lines: int, *, whole: bool) -> LogPart:
    """As `read_after`, of the last lines that fit in a part."""
    size = log.seek(0, os.SEEK_END)
    start = max(0, size - PART_BYTES)
    log.seek(start)
    content = log.read(size - start)
    if start > 0:  # not in the midst of a line, unless it fills the part
        begun = content.find(b"\n") + 1
        start, content = start + begun, content[begun:]
    part = _cut(content, start, size, whole=whole)
    return LogPart(part.lines[-lines:], part.next, part.size)


def _cut(content: bytes, start: int, size: int, *, whole: bool) -> LogPart:
    is_end = start + len(content) >= size
    if not (whole and is_end):
        end = content.rfind(b"\n") + 1
        if end == 0 and len(content) >= PART_BYTES:
            end = len(content)  # a piece of a line
        content = content[:end]
    lines = content.decode(errors="replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return LogPart(tuple(lines), start + len(content), size)

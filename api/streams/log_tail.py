"""LogTail: what a driver writes into its log, read on as it grows."""

from dataclasses import dataclass
from pathlib import Path

from api.event_views import LogMessage

MOST_BYTES = 65_536  # of one look; what is behind by more is skipped, and the message says so


@dataclass(frozen=True)
class LogPlace:
    """How far a log was read.

    Attributes:
        attempt: Whose log.
        next: Byte at which the next line begins.
        absent: How many looks in a row found no log.
        missing: Where it may be, once that was told.
    """

    attempt: int
    next: int
    absent: int = 0
    missing: str | None = None

    @classmethod
    def at_end(cls, path: Path, attempt: int) -> "LogPlace":
        """Return the place from which on lines are new."""
        content, first = _tail(path, 0)
        return cls(attempt, first + content.rfind(b"\n") + 1)

    def message(self) -> LogMessage:
        """Return what a viewer is told who begins here."""
        return LogMessage(attempt=self.attempt, first=self.next, next=self.next, lines=(), missing=self.missing)


def read_on(path: Path, place: LogPlace) -> tuple[LogPlace, LogMessage | None]:
    """Return the whole lines after a place, and where they end; None: there are none."""
    content, first = _tail(path, place.next)
    length = content.rfind(b"\n") + 1
    if length == 0 and len(content) >= MOST_BYTES:
        length = len(content)  # one line as long as that is cut
    if length == 0:
        return place, None
    after = LogPlace(place.attempt, first + length)
    lines = content[:length].decode(errors="replace").removesuffix("\n").split("\n")
    return after, LogMessage(attempt=place.attempt, first=first, next=after.next, lines=tuple(lines))


def _tail(path: Path, start: int) -> tuple[bytes, int]:
    """Return what a file holds from a byte on, but no more than its last part, and where that begins."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            first = max(start, size - MOST_BYTES)
            file.seek(first)
            content = file.read(MOST_BYTES)
    except OSError:
        return b"", start  # there is none yet, or it is kept on another host
    if first > start:
        whole = content.find(b"\n") + 1  # the line that was cut is left out
        return content[whole:], first + whole
    return content, first

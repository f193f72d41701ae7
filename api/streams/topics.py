"""Topics: what a process remembers of something that is watched, shared by all who watch it. Used on the event loop alone.

A viewer keeps nothing but its place. It takes what is new from the topic, and what the topic has forgotten from the database: a
slow one falls behind by itself, loses nothing, and costs nobody else anything.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile
from operator import itemgetter

from api.streams.log_tail import LogPlace
from api.streams.messages import Message
from nas_service.access import is_seen
from nas_service.lifecycle import FINISHED, JobState

REMEMBERED = 512  # messages
REMEMBERED_BYTES = 1_000_000
REMEMBERED_LOGS = 32


@dataclass
class Topic:
    """What is new of one job, or of all of them.

    Attributes:
        floor: Every event after this one, up to `head`, is remembered.
        head: The newest event that was read; None before the first look.
        news: What is true now, by the job it is about: when it became so, the message, and whose job it is.
        version: Counts what became true.
        logs: Parts of a driver's log, numbered.
        kind: Of the job; None: it was never there, or the topic is all jobs.
        project: Of the job.
        state: Of the job; None: it is gone, or the topic is all jobs.
        is_over: Whether nothing comes after `head`.
        is_broken: Whether the database could not be read: nothing is told from here any more.
    """

    floor: int = 0
    head: int | None = None
    news: dict[str, tuple[int, bytes, str | None]] = field(default_factory=dict)
    version: int = 0
    logs: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=REMEMBERED_LOGS))
    logged: int = 0
    log_place: LogPlace | None = None
    log_viewers: int = 0
    kind: str | None = None
    project: str | None = None
    state: JobState | None = None
    is_over: bool = False
    is_broken: bool = False
    bells: set[asyncio.Event] = field(default_factory=set)
    ready: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _recent: deque[Message] = field(default_factory=deque)
    _bytes: int = 0

    def begin(self, head: int) -> None:
        """Take note of where it begins."""
        self.floor = self.head = head

    def add(self, messages: list[Message]) -> None:
        """Remember events; the oldest are forgotten."""
        for message in messages:
            self._recent.append(message)
            self._bytes += len(message.wire)
            self.head = message.id
        while len(self._recent) > REMEMBERED or self._bytes > REMEMBERED_BYTES:
            oldest = self._recent.popleft()
            self._bytes -= len(oldest.wire)
            self.floor = oldest.id

    def after(self, place: int) -> list[Message] | None:
        """Return the events after one; None: the database has to be asked."""
        if place < self.floor:
            return None
        newer = list(takewhile(lambda message: message.id > place, reversed(self._recent)))
        return newer[::-1]

    def say(self, about: str, wire: bytes, project: str | None = None) -> bool:
        """Keep what is true now; return whether that is new."""
        if about in self.news and self.news[about][1] == wire:
            return False
        self.version += 1
        self.news[about] = (self.version, wire, project)
        return True

    def said_after(self, version: int, sees: str | None = None) -> list[bytes]:
        """Return what became true after a version, in the order in which it did, as far as a project sees it."""
        if version == self.version:
            return []
        told = sorted(self.news.values(), key=itemgetter(0))
        return [wire for since, wire, project in told if since > version and is_seen(sees, project)]

    def log(self, wire: bytes) -> None:
        """Keep a part of a log."""
        self.logged += 1
        self.logs.append((self.logged, wire))

    def move(self, state: JobState | None) -> None:
        """Take note of where the job stands."""
        self.state = state
        self.is_over = state is None or state in FINISHED

    def ring(self) -> None:
        """Wake everybody who watches."""
        for bell in self.bells:
            bell.set()

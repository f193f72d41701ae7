"""Streams of keys: how many each has open, and that none outlives its key."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from nas_service.access import Caller
from nas_service.errors import NasError, TooManyAtOnceError

LOOK_EVERY_S = 5.0  # between two looks whether the key of an open stream is still good


class StreamPlace:
    """The place of one open stream; one without a key has no limit and no end."""

    def __init__(self, leave: Callable[[], None], caller: Callable[[], Awaitable[Caller | None]] | None) -> None:
        """Take what gives the place back, and what tells whose key it is now."""
        self._leave = leave
        self._caller = caller
        self._watch: asyncio.Task[None] | None = None

    def watch(self, end: Callable[[], None]) -> None:
        """Call `end` when the key is good no longer."""
        if self._caller is not None:
            self._watch = asyncio.create_task(self._look(self._caller, end), name="stream-key")

    def leave(self) -> None:
        """Give the place back."""
        if self._watch is not None:
            self._watch.cancel()
        self._leave()

    async def _look(self, caller: Callable[[], Awaitable[Caller | None]], end: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if await caller() is None:
                    end()
                    return
            except NasError:
                continue  # it cannot be told now; with a database that is away streams end by themselves


class StreamPlaces:
    """Counts the open streams of every key."""

    def __init__(self, most: int) -> None:
        """Allow each key so many; 0: any number."""
        self._most = most
        self._open: Counter[str] = Counter()

    def take(self, caller: Caller | None, again: Callable[[], Awaitable[Caller | None]]) -> StreamPlace:
        """Return a place for another stream of a key; `again` tells later whose key came with the request.

        Raises:
            TooManyAtOnceError: If the key has as many as it may.
        """
        if caller is None:
            return StreamPlace(lambda: None, None)
        key = caller.prefix
        if self._most and self._open[key] >= self._most:
            raise TooManyAtOnceError(
                f"the key {key} has {self._open[key]} streams open; allowed: {self._most} (NAS_KEY_STREAMS): close one"
            )
        self._open[key] += 1
        is_left = False

        def leave() -> None:
            nonlocal is_left
            if not is_left:
                is_left = True
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]

        return StreamPlace(leave, again)

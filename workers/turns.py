"""Turns: looking at many drivers a few at a time, where each look is a request."""

import time
from collections.abc import Iterable

LOOKS = 50  # in one span
SPAN_S = 0.5


class Turn:
    """Whom to look at now: at most `LOOKS` in half a second, and nobody twice before everybody was once."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._looked: dict[tuple[str, int], int] = {}  # the half second of the last look
        self._now = self._since = self._done = 0
        self._over_at = 0.0
        self._refused = False

    def takes(self, key: tuple[str, int]) -> bool:
        """Return whether a driver may be looked at now; then it is."""
        if time.monotonic() >= self._over_at:
            self._go_on()
        if self._looked.get(key, -1) >= self._since:
            return False
        if self._done == LOOKS:
            self._refused = True
            return False
        self._done += 1
        self._looked[key] = self._now
        return True

    def longest_ago(self, keys: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return keys in the order in which their turn should come."""
        return sorted(keys, key=lambda key: (self._looked.get(key, -1), key))

    def forget(self, key: tuple[str, int]) -> None:
        """Take note that nobody will ask about a driver any more."""
        self._looked.pop(key, None)

    def _go_on(self) -> None:
        """Begin another half second; where nobody was refused in the last one, everybody's turn has come."""
        self._now += 1
        if not self._refused:
            self._since = self._now
        self._done, self._refused, self._over_at = 0, False, time.monotonic() + SPAN_S

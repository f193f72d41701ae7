"""Watchdog: notices that nothing has happened for much longer than usual. It reads one clock, this process's own."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StallLimits:
    """How long work may show no sign of progress.

    Attributes:
        first_s: Before its first sign, when nobody knows what is usual.
        floor_s: At least, however short the usual time is.
        factor: Times the longest stretch that ended with a sign.
    """

    first_s: float
    floor_s: float
    factor: float


class Watchdog:
    """Counts the time since the last sign of progress. May be used from several threads."""

    def __init__(self, limits: StallLimits, usual_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to count.

        Args:
            limits: How long is too long.
            usual_s: The longest stretch that earlier attempts saw; None: there was none.
            clock: Seconds from anywhere, always growing.
        """
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._marked = clock()
        self._resting = False
        self.usual_s = usual_s

    def mark(self, *, usual: bool = True) -> None:
        """Note a sign of progress; a `usual` one also says how far apart they are."""
        with self._lock:
            now = self._clock()
            if usual and not self._resting:
                self.usual_s = max(self.usual_s or 0.0, now - self._marked)
            self._marked, self._resting = now, False

    def rest(self) -> None:
        """Stop counting until the next mark: the work waits for something that is known, and says so."""
        with self._lock:
            self._resting = True

    def overdue(self) -> str | None:
        """Return in words that the work has stalled, if it has."""
        with self._lock:
            if self._resting:
                return None
            silent_s, limit_s = self._clock() - self._marked, self._limit_s()
        if silent_s <= limit_s:
            return None
        usual = "" if self.usual_s is None else f"; the longest time between two was {self.usual_s:.0f} s"
        return f"no sign of progress for {silent_s:.0f} s{usual}: workers, a node or a device are stuck or gone"

    def _limit_s(self) -> float:
        if self.usual_s is None:
            return self._limits.first_s
        return max(self._limits.floor_s, self._limits.factor * self.usual_s)

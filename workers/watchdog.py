"""Watchdog: notices that nothing has happened for much longer than usual. It reads one clock, this process's own."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StallLimits:
    """How long work may show no sign of progress.

    Attributes:
        first_s: While nobody knows what is usual: before the first sample, in a trial's first epoch, in its export.
        floor_s: At least, however short the usual time is.
        factor: Times the longest that work was silent and then was not.
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
            usual_s: The longest silence that earlier attempts saw; None: there was none.
            clock: Seconds from anywhere, always growing.
        """
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._marked = clock()
        self._resting = False
        self._known = False
        self.usual_s = usual_s

    def mark(self, took_s: float | None = None, *, known: bool | None = None) -> None:
        """Note a sign of progress.

        Args:
            took_s: How long the work that gives it was silent, counted from when it could begin, where that is usual of it.
                Only work itself can say so: that data were read or a process is there says nothing of a sample.
            known: Whether all work that is under way has been seen before, so that what is usual holds for it; None: as
                before. Nothing is known when an attempt begins.
        """
        with self._lock:
            if took_s is not None:
                self.usual_s = max(self.usual_s or 0.0, took_s)
            self._known = self._known if known is None else known
            self._marked, self._resting = self._clock(), False

    def rest(self) -> None:
        """Stop counting until the next mark or `wake`: the work waits for something that is known, and says so."""
        with self._lock:
            self._resting = True

    def wake(self) -> None:
        """Count again, from now, if nothing was counted: what the work waited for is there."""
        with self._lock:
            if self._resting:
                self._marked, self._resting = self._clock(), False

    def excuse(self) -> None:
        """Count from now, if anything is counted: the silence had a cause that is known, and was nobody's stall."""
        with self._lock:
            self._marked = self._clock()

    def overdue(self) -> str | None:
        """Return in words that the work has stalled, if it has."""
        with self._lock:
            if self._resting:
                return None
            silent_s, limit_s = self._clock() - self._marked, self._limit_s()
        if silent_s <= limit_s:
            return None
        usual = "" if self.usual_s is None else f"; the longest silence before was {self.usual_s:.0f} s"
        return f"no sign of progress for {silent_s:.0f} s{usual}: workers, a node or a device are stuck or gone"

    def _limit_s(self) -> float:
        usual_s = 0.0 if self.usual_s is None else self._limits.factor * self.usual_s
        return max(self._limits.floor_s if self._known else self._limits.first_s, usual_s)

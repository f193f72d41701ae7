"""Logs: one line an event on standard error, plain tracebacks, no values of local variables."""

import sys
import threading
import time

import structlog

log = structlog.get_logger()


def configure_logs() -> None:
    """Set structlog up for a process of the service: JSON for machines, columns on a terminal."""
    is_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


class Outage:
    """Something that is away again and again: one line in the log when it begins and one when it is over.

    Attributes:
        reason: What was seen last; None while it is there.
    """

    def __init__(self, event: str, **facts: object) -> None:
        """Name the event; `facts` go into both lines."""
        self._event = event
        self._facts = facts
        self._since = 0.0
        self.reason: str | None = None

    def seen(self, reason: str) -> None:
        """Keep that it is away."""
        if self.reason is None:
            self._since = time.monotonic()
            log.warning(self._event, reason=reason, **self._facts)
        self.reason = reason

    def over(self) -> None:
        """Keep that it is there."""
        if self.reason is not None:
            event = f"{self._event}.over"
            log.info(event, after_s=round(time.monotonic() - self._since, 1), **self._facts)
            self.reason = None


class Seldom:
    """Tells of what comes in floods: at once, then again after a while with how many were not told."""

    def __init__(self, event: str, every_s: float = 60.0) -> None:
        """Name the event."""
        self._event = event
        self._every_s = every_s
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}  # kind -> when it was told, and how many came since

    def tell(self, kind: str, **facts: object) -> bool:
        """Tell of a kind of trouble, unless it was told a short while ago; return whether it was told.

        What differs each time belongs into `facts`.
        """
        now = time.monotonic()
        with self._lock:
            told_at, kept = self._told.get(kind, (-self._every_s, 0))
            is_due = now - told_at >= self._every_s
            if is_due:
                fresh = {key: entry for key, entry in self._told.items() if now - entry[0] < self._every_s}
                self._told = fresh | {kind: (now, 0)}
            else:
                self._told[kind] = (told_at, kept + 1)
        if is_due:
            log.warning(self._event, kind=kind, **facts, **({"more_before": kept} if kept else {}))
        return is_due

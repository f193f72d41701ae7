"""Logs: one line an event on standard error, plain tracebacks, no values of local variables."""

import logging
import sys
import threading
import time

import structlog
from structlog.typing import EventDict, Processor

from nas_service.settings import LogFormat
from nas_service.wording import printable

log = structlog.get_logger()

_TRACEBACKS = {"exception", "stack"}


def configure_logs(form: LogFormat = "auto", **facts: object) -> None:
    """Set the logs of a process of the service up, those of the libraries in it included.

    Args:
        form: `json`, an object a line; `text`, for people; `auto`, text on a terminal and JSON elsewhere.
        facts: What every line of this process tells, of whatever thread.
    """

    def told_always(_: object, __: str, event: EventDict) -> EventDict:
        return {**facts, **event}

    is_terminal = sys.stderr.isatty()
    is_text = form == "text" or (form == "auto" and is_terminal)
    for_people = structlog.dev.ConsoleRenderer(colors=is_terminal)
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        told_always,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[Processor] = [_printable, for_people] if is_text else [structlog.processors.JSONRenderer()]
    structlog.configure(processors=[*first, *last], logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *first],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.getLogger().handlers[:] = [handler]


def silence_logs() -> None:
    """Let a command that says everything itself say nothing twice."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())


def adopt_logger(name: str) -> None:
    """Let the logger of a library that writes its own lines write as all others do; for after it was imported."""
    logger = logging.getLogger(name)
    logger.handlers.clear()
    logger.propagate = True


def _printable(_: object, __: str, event: EventDict) -> EventDict:
    """Keep what others chose from ending a line, or speaking to a terminal; JSON does so by itself."""
    return {key: printable(value) if isinstance(value, str) and key not in _TRACEBACKS else value for key, value in event.items()}


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

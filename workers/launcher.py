"""Launcher: what starts, watches and stops drivers."""

from dataclasses import dataclass
from typing import Protocol

from nas_service.catalogue import Capacity


@dataclass(frozen=True)
class Exit:
    """How a driver ended.

    Attributes:
        reason: In words, for the job's history.
    """

    reason: str


class Launcher(Protocol):
    """Starts one process a job. It decides nothing and keeps no results: the database is the truth."""

    def capacity(self) -> Capacity:
        """Return what the place where drivers run can give in all."""
        ...

    def launch(self, job_id: str, attempt: int) -> None:
        """Start the driver of an attempt."""
        ...

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return how a driver that this launcher started ended; None while it runs, or if it is another's."""
        ...

    def trouble(self) -> str | None:
        """Return why no driver can be started now, in words for people; None: one can."""
        ...

    def tidy(self) -> None:
        """End what ended drivers left behind; called in every step of the controller."""
        ...

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """End a driver: ask, wait up to `grace_s` seconds, then kill."""
        ...

    def close(self, *, grace_s: float) -> list[tuple[str, int]]:
        """End every driver that is still running, all at the same time; return the (job, attempt) of those it ended."""
        ...

"""Launcher: what starts, watches and stops drivers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nas_service.capacity import Capacity
from nas_service.settings import Settings


@dataclass(frozen=True)
class Exit:
    """How a driver ended.

    Attributes:
        reason: In words, for the job's history: no absolute path and no address is in it.
    """

    reason: str


class Launcher(Protocol):
    """Starts one process a job. It decides nothing and keeps no results: the database is the truth."""

    def capacity(self) -> Capacity:
        """Return what the place where drivers run can give in all.

        Raises:
            NotReadyError: If that cannot be told, within a few seconds.
        """
        ...

    def trouble(self) -> str | None:
        """Return in words for people why no driver can be started now; None: one can. Never raises, never takes long."""
        ...

    def launch(self, job_id: str, attempt: int) -> None:
        """Start the driver of an attempt.

        Raises:
            NotReadyError: If it cannot be started now.
            OSError: As above.
        """
        ...

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return how a driver ended; None while it runs, or if that cannot be told here and now."""
        ...

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """End a driver with all that it started: ask, wait up to `grace_s` seconds, then kill.

        A driver that an earlier service process started is ended too.
        """
        ...

    def tidy(self) -> None:
        """Take note of drivers that ended, and end and remove what they left behind; called at every controller step."""
        ...

    def close(self, *, grace_s: float) -> list[tuple[str, int]]:
        """End every driver that ends with this process, all at the same time.

        Returns:
            The job and attempt of those that were ended, so that their jobs are given back.
        """
        ...


def log_name(job_id: str, attempt: int) -> str:
    """Return where what a driver prints is kept, below home."""
    return f"logs/{job_id}-{attempt}.log"


def log_path(settings: Settings, job_id: str, attempt: int) -> Path:
    """Return where what a driver prints is kept; its folder is made."""
    path = settings.home / log_name(job_id, attempt)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return path

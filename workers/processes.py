"""Processes of this machine: which of them a driver started, and how they are ended."""

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from workers.scratch import SCRATCH_VARIABLE

log = structlog.get_logger()

_KILL_LIMIT_S = 5.0  # a killed process that is still there then waits for a disk or a device
_WORDS = ("-P", "-m", "workers")  # -P: a folder `workers` where the service was started is not this package
_EARLIER = _WORDS[1:]  # of a service before, whose drivers may still be there


def driver_command(job_id: str, attempt: int) -> list[str]:
    """Return the command line of a driver, which is also how a later service process finds it."""
    return [sys.executable, *_WORDS, job_id, str(attempt)]


@dataclass(frozen=True)
class Running:
    """A living process of this user.

    Attributes:
        process: psutil's handle; its signals never reach another process that got the same number since.
        words: The command line after the program.
        scratch: The scratch folder of the driver that it is, or that started it; None: neither.
        session: Its session; a driver leads one of its own, and Ray's processes stay in it.
    """

    process: psutil.Process
    words: tuple[str, ...]
    scratch: str | None
    session: int

    @property
    def is_driver(self) -> bool:
        """Whether it is the driver itself."""
        return self.words[: len(_WORDS)] == _WORDS or self.words[: len(_EARLIER)] == _EARLIER

    def is_driver_of(self, job_id: str, attempt: int) -> bool:
        """Whether it is the driver of this attempt."""
        return self.words in {(*words, job_id, str(attempt)) for words in (_WORDS, _EARLIER)}

    def kill(self) -> None:
        """Send SIGKILL, which ends a stopped process too."""
        with contextlib.suppress(psutil.Error):
            self.process.kill()


def running() -> list[Running]:
    """Return the processes of this user, without this one and without zombies."""
    found = []
    for process in psutil.process_iter(["pid", "uids", "status", "cmdline", "environ"]):
        info = process.info
        if info["uids"] is None or info["uids"].real != os.getuid() or info["status"] == psutil.STATUS_ZOMBIE:
            continue
        try:
            session = os.getsid(process.pid)
        except ProcessLookupError:
            continue  # it ended while we looked
        if process.pid != os.getpid():
            scratch = (info["environ"] or {}).get(SCRATCH_VARIABLE)
            found.append(Running(process, tuple((info["cmdline"] or [])[1:]), scratch, session))
    return found


def family(scratch: Path, session: int | None = None) -> list[Running]:
    """Return what belongs to a driver, itself included while it lives.

    That is everything with its mark, and what is in the driver's session: some of Ray's processes overwrite their environment.
    A session's number belongs to nobody else as long as somebody is in it.

    Args:
        scratch: The driver's scratch folder.
        session: The driver's process id, if that cannot belong to somebody else by now: the driver is not reaped yet.
    """
    found = running()
    marked = {entry.process.pid: entry for entry in found if entry.scratch == str(scratch)}
    sessions = {entry.session for entry in marked.values() if entry.session in marked or _is_over(entry.session)} | {session}
    return [entry for entry in found if entry.process.pid in marked or entry.session in sessions]


def _is_over(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def end_leftovers(scratch: Path, session: int | None = None) -> None:
    """Kill what a driver left behind, again until nothing is there: Ray's actors may start while others end.

    Args:
        scratch: As in `family`.
        session: As in `family`.
    """
    give_up_at = time.monotonic() + _KILL_LIMIT_S
    killed = 0
    while left := family(scratch, session):
        if time.monotonic() > give_up_at:
            log.warning("driver.leftovers_stay", processes=len(left))
            break
        for entry in left:
            entry.kill()
        killed += len(left)
        psutil.wait_procs([entry.process for entry in left], timeout=1)
    if killed:
        log.info("driver.leftovers_ended", processes=killed)


def end_driver(job_id: str, attempt: int, scratch: Path, *, grace_s: float) -> None:
    """End a driver that is no child of this process, with all that it started: ask, wait up to `grace_s` seconds, kill."""
    found = running()
    for driver in [entry for entry in found if entry.is_driver_of(job_id, attempt)]:
        started = [entry for entry in found if entry.session == driver.session]  # the number is free once they are gone
        with contextlib.suppress(psutil.Error):
            driver.process.terminate()
            driver.process.wait(grace_s)
        for entry in started:
            entry.kill()
        psutil.wait_procs([entry.process for entry in started], timeout=_KILL_LIMIT_S)
    end_leftovers(scratch)

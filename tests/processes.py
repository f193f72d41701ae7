"""Finding drivers and trials the way an operator would."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def driver_pids(job_id: str) -> list[int]:
    """Return the process ids of the drivers of a job."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue  # it ended while we looked
            if b"workers" in words and job_id.encode() in words and state != "Z":
                found.append(int(entry.name))
    return found


def trial_pids(home: Path) -> list[int]:
    """Return the process ids of Ray Tune's trials that are at work for the service at `home`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue  # it ended while we looked
            if title.startswith(b"ray::ImplicitFunc") and f"NAS_HOME={home}".encode() in environment.split(b"\0"):
                found.append(int(entry.name))
    return found


def session_pids(sessions: list[int]) -> list[int]:
    """Return the living processes of the sessions that drivers led: their Ray, its workers."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            if int(fields[3]) in sessions and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process and those that it started, as a machine that hangs does, for the length of the block."""
    stopped = []
    try:
        waiting = [pid]
        while waiting:  # the parent first: a stopped one starts no more children
            current = waiting.pop()
            with suppress(ProcessLookupError, FileNotFoundError):  # a child that ended while we looked
                os.kill(current, signal.SIGSTOP)
                stopped.append(current)
                waiting += [int(child) for child in Path(f"/proc/{current}/task/{current}/children").read_text().split()]
        yield
    finally:
        for current in stopped:
            with suppress(ProcessLookupError):
                os.kill(current, signal.SIGCONT)

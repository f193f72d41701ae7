"""What may not be left when all is over: processes, zombies, folders of Ray, half-written files, checkpoints, litter."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import func, select

from nas_service.storage.models import Litter
from nas_service.storage.session import Database
from tests.faults.world import World, matching
from workers.scratch import scratch_folders

LIMIT_S = 90.0  # litter stays for a while
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Ray keeps objects


@dataclass(frozen=True)
class Before:
    """What was there before a world began: this user's processes, and files in shared memory."""

    pids: frozenset[int]
    shared: frozenset[str]

    @classmethod
    def now(cls) -> "Before":
        """Look."""
        return cls(frozenset(_ours()), frozenset(path.name for path in SHARED_MEMORY.glob("*")))


def zombies(world: World) -> list[int]:
    """Return the dead children that the services have not reaped."""
    found = []
    for service in world.services():
        for pid in service.pids:
            children = psutil.Process(pid).children(recursive=True)
            found += [child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE]
    return found


def files(world: World) -> list[str]:
    """Return what nobody owns in the store and below the home."""
    store = world.settings.home / "artifacts"
    left = [*(store / "supernets").rglob("*"), *(store / "trainings").rglob("*"), *(store / ".writing").rglob("*")]
    left += [*store.rglob("checkpoint*"), *store.rglob("*.part")]
    return sorted(str(path.relative_to(world.settings.home)) for path in left if path.is_file())


def litter(world: World) -> int:
    """Return how many keys wait to be deleted from the store."""
    database = Database(world.settings.database)
    with database.read() as session:
        count = session.scalar(select(func.count()).select_from(Litter)) or 0
    database.close()
    return count


def left_while_running(world: World) -> list[str]:
    """Return what is left while the services run, after they had time to tidy up."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        found = [f"zombie {pid}" for pid in zombies(world)] + files(world)
        found += [f"{count} keys of litter" for count in [litter(world)] if count]
        found += [f"driver {pid}" for pid in world.pids("driver")]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def left_after_the_end(world: World, before: Before) -> list[str]:
    """Return what is left when everything was asked to end.

    Processes are found by the home in their environment, and since some of Ray's overwrite theirs, also by what they run. So
    nothing else of this project may be started meanwhile.
    """
    deadline = time.monotonic() + LIMIT_S
    while True:
        home = world.settings.home
        pids = {*matching(home, lambda *_: True), *(set(_ours()) - before.pids)}
        found = [f"process {pid}: {_words(pid)}" for pid in sorted(pids)]
        found += [f"folder {folder}" for folder in scratch_folders(world.settings)]
        found += [f"shared memory {path}" for path in SHARED_MEMORY.glob("*") if path.name not in before.shared]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _ours() -> Iterator[int]:
    """Yield processes that run Ray, the service or its drivers."""
    for process in psutil.process_iter(["pid", "uids", "status", "cmdline"]):
        info = process.info
        if info["uids"] is None or info["uids"].real != os.getuid() or info["status"] == psutil.STATUS_ZOMBIE:
            continue
        words = info["cmdline"] or [""]
        is_ray = words[0].startswith("ray::") or words[0].endswith(("/raylet", "/gcs_server")) or "/ray/" in " ".join(words[:3])
        if is_ray or words[1:3] in (["-m", "workers"], ["-m", "api.cli"]):
            yield info["pid"]


def _words(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except psutil.Error:
        return "gone"

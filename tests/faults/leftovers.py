"""What may not be left when all is over: processes, zombies, folders of Ray, half-written files, checkpoints, litter."""

import time
from pathlib import Path

import psutil
from sqlalchemy import func, select

from nas_service.storage.models import Litter
from nas_service.storage.session import Database
from tests.faults.world import World, matching
from workers.scratch import scratch_folders

LIMIT_S = 30.0


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


def left_after_the_end(world: World) -> list[str]:
    """Return what is left when everything was asked to end."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        home = world.settings.home
        found = [f"process {pid}: {_words(pid)}" for pid in matching(home, lambda *_: True)]
        found += [f"folder {folder}" for folder in scratch_folders(world.settings)]
        found += [f"shared memory {path}" for path in Path("/dev/shm").glob("*") if _is_ours(path, home)]  # noqa: S108 - where Ray keeps objects
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _words(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except psutil.Error:
        return "gone"


def _is_ours(path: Path, home: Path) -> bool:
    return str(home) in path.name

"""Faults: kills and freezes of the processes of a world."""

import random
import signal
import time
from dataclasses import dataclass

from tests.faults.world import World, family, signal_all

FREEZE_S = (8.0, 14.0)  # of what goes on afterwards
FROZEN_FOR_GOOD = frozenset({"driver", "actor"})  # the service has to end them
GONE_LIMIT_S = 90.0


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: Of the process.
        how: `kill` or `freeze`.
    """

    kind: str
    how: str


def schedule(kinds: tuple[str, ...], kills: int, freezes: int, draw: random.Random) -> list[Fault]:
    """Return so many faults of every kind in a random order."""
    faults = [Fault(kind, how) for kind in kinds for how, count in (("kill", kills), ("freeze", freezes)) for _ in range(count)]
    draw.shuffle(faults)
    return faults


def inject(world: World, fault: Fault, draw: random.Random) -> str | None:
    """Carry a fault out; return what was hit, or None where there is no such process now."""
    pids = world.pids(fault.kind)
    if not pids:
        return None
    pid = draw.choice(pids)
    hit = family(pid) if fault.kind == "postgres" and fault.how == "freeze" else [pid]
    if fault.how == "kill":
        signal_all(hit, signal.SIGKILL)
        return f"{fault.kind} {pid} killed"
    signal_all(hit, signal.SIGSTOP)
    if fault.kind in FROZEN_FOR_GOOD:
        return f"{fault.kind} {pid} frozen for good, gone after {_wait_for_end(pid, world):.0f} s"
    held_s = draw.uniform(*FREEZE_S)
    time.sleep(held_s)
    signal_all(hit, signal.SIGCONT)
    return f"{fault.kind} {pid} frozen for {held_s:.0f} s"


def _wait_for_end(pid: int, world: World) -> float:
    """Wait until the service ended a frozen process; return how long that took.

    Raises:
        TimeoutError: If it does not.
    """
    started = time.monotonic()
    while _lives(pid):
        world.keep_alive()
        time.sleep(0.2)
        if time.monotonic() - started > GONE_LIMIT_S:
            raise TimeoutError(f"the frozen process {pid} is still there after {GONE_LIMIT_S:g} s")
    return time.monotonic() - started


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - /proc
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

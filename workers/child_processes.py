"""ChildProcessLauncher: drivers as child processes of the service."""

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
import torch

from nas_service.capacity import Capacity
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.launcher import Exit, log_name, log_path
from workers.processes import driver_command, end_driver, end_leftovers, running
from workers.scratch import remove_scratch, scratch_folder, scratch_folders

log = structlog.get_logger()

_SWEEP_EVERY_S = 60.0
_LOOK_EVERY_S = 0.02
_KILL_LIMIT_S = 5.0  # as in workers.processes
_EXITS_KEPT = 1000  # of drivers whose jobs were over already, nobody asks how they ended


class ChildProcessLauncher:
    """Starts drivers as child processes of this one; each starts a Ray of its own unless the settings name a cluster.

    A driver leads a session, and everything that its Ray starts stays in that. A child is looked at before it is reaped: until
    then its process id, which is the session's too, cannot belong to anybody else.

    A service that ends closes its launcher while a step of the controller may still be under way, so one thread at a time touches
    the children, and after `close` none is started.
    """

    def __init__(self, settings: Settings) -> None:
        """Keep the settings that drivers are given."""
        self._settings = settings.model_copy(update={"scratch": None})
        self._children: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        self._exits: dict[tuple[str, int], Exit] = {}
        self._sweep_at = 0.0
        self._lock = threading.Lock()  # of children and exits; whoever has it may wait for a child's end
        self._is_closed = False

    def capacity(self) -> Capacity:
        """Return the processors and GPUs of this machine."""
        return Capacity(cpus=len(os.sched_getaffinity(0)), gpus=torch.cuda.device_count())

    def trouble(self) -> str | None:
        """Return None: nothing is known before it is tried."""
        return None

    def launch(self, job_id: str, attempt: int) -> None:
        """Start `python -m workers` in a session of its own; what it prints goes to <home>/logs.

        Raises:
            NotReadyError: If the launcher is closed.
        """
        scratch = scratch_folder(self._settings, job_id, attempt)
        if scratch.exists():
            self._clear(scratch)
        with self._lock, log_path(self._settings, job_id, attempt).open("ab") as output:
            if self._is_closed:
                raise NotReadyError("this service ends; the next one starts drivers")
            self._children[job_id, attempt] = subprocess.Popen(  # noqa: S603 - our own module, ids from the database
                driver_command(job_id, attempt),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(scratch),
            )

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return how a child ended; None for one that an earlier service process started."""
        key = (job_id, attempt)
        with self._lock:
            if key in self._children and _has_ended(self._children[key]):
                self._bury(key)
            return self._exits.pop(key, None)

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """Send SIGTERM, then SIGKILL to whatever is left."""
        key = (job_id, attempt)
        with self._lock:
            if key in self._children:
                self._end([key], grace_s)
                self._exits.pop(key, None)
                return
        scratch = scratch_folder(self._settings, job_id, attempt)
        end_driver(job_id, attempt, scratch, grace_s=grace_s)
        remove_scratch(scratch)

    def tidy(self) -> None:
        """Reap children that ended, and now and then clear the scratch folders that no living driver has."""
        with self._lock:
            self._bury_ended()
        if time.monotonic() >= self._sweep_at:
            self._sweep()
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_S

    def close(self, *, grace_s: float) -> list[tuple[str, int]]:
        """Ask all children to end, then make them; a launch that waits meanwhile is refused, and no end of theirs is told."""
        self._is_closed = True
        with self._lock:
            self._bury_ended()
            alive = list(self._children)
            self._end(alive, grace_s)
            for key in alive:
                self._exits.pop(key, None)  # whoever closes gives their jobs back
        return alive

    def _environment(self, scratch: Path) -> dict[str, str]:
        """Return a driver's environment; a Ray of its own gets a token of its own and stays on loopback."""
        environment = {**os.environ, **self._settings.model_copy(update={"scratch": scratch}).environment()}
        if self._settings.ray_address == "local":
            environment |= {
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": secrets.token_hex(32),
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's switch to 127.0.0.1 for every port; works on Linux too
                "RAY_TMPDIR": str(scratch),
            }
        return environment

    def _end(self, keys: Sequence[tuple[str, int]], grace_s: float) -> None:
        """End children, all within one grace period; one that not even SIGKILL ends is looked at again by `tidy`."""
        for number, limit_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILL_LIMIT_S)):
            alive = [self._children[key] for key in keys if not _has_ended(self._children[key])]
            for child in alive:
                os.kill(child.pid, number)  # not reaped, so the number is the child's; Popen's own methods would reap it
            deadline = time.monotonic() + limit_s
            while time.monotonic() < deadline and not all(_has_ended(child) for child in alive):
                time.sleep(_LOOK_EVERY_S)
        for key in keys:
            if _has_ended(self._children[key]):
                self._bury(key)
            else:
                log.warning("driver.not_ended", job_id=key[0], attempt=key[1])

    def _bury_ended(self) -> None:
        for key in [key for key, child in self._children.items() if _has_ended(child)]:
            self._bury(key)

    def _bury(self, key: tuple[str, int]) -> None:
        """End what a child that ended left behind, then reap it and keep how it ended."""
        child = self._children[key]
        scratch = scratch_folder(self._settings, *key)
        end_leftovers(scratch, session=child.pid)
        status = child.wait()
        del self._children[key]
        remove_scratch(scratch)
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        self._exits[key] = Exit(f"the driver ended with {how}; its log says more: {log_name(*key)}")
        while len(self._exits) > _EXITS_KEPT:
            del self._exits[next(iter(self._exits))]

    def _sweep(self) -> None:
        """Clear the scratch folders of drivers that died together with the service that started them."""
        folders = scratch_folders(self._settings)  # before the processes: a folder is made by the driver itself
        if folders:
            alive = {entry.scratch for entry in running() if entry.is_driver}
            for folder in folders:
                if str(folder) not in alive:
                    self._clear(folder)

    def _clear(self, scratch: Path) -> None:
        end_leftovers(scratch)
        remove_scratch(scratch)
        log.info("scratch.cleared", folder=scratch.name)


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether a child is over; it is not reaped, so that its process id stays its own."""
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True  # whoever started this process has children reaped at once (SIGCHLD is ignored)

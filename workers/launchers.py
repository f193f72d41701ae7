"""Launchers: how a driver is started, watched and stopped."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from nas_service.catalogue import Capacity
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.launcher import Exit, Launcher


class ChildProcessLauncher:
    """Starts drivers as child processes of this one; each starts a Ray of its own unless the settings name a cluster."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings that drivers are given."""
        self._settings = settings
        self._processes: dict[tuple[str, int], subprocess.Popen[bytes]] = {}

    def capacity(self) -> Capacity:
        """Return the processors and GPUs of this machine."""
        return Capacity(cpus=len(os.sched_getaffinity(0)), gpus=torch.cuda.device_count())

    def launch(self, job_id: str, attempt: int) -> None:
        """Start `python -m workers` in a session of its own; what it prints goes to <home>/logs."""
        logs = self._settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._forget_ended(job_id)
        command = [sys.executable, "-m", "workers", job_id, str(attempt)]
        with log_path(self._settings, job_id, attempt).open("ab") as log:
            self._processes[job_id, attempt] = subprocess.Popen(  # noqa: S603 - our own module, ids from the database
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self._settings.environment()},
            )

    def _forget_ended(self, job_id: str) -> None:
        """Drop earlier attempts that let the job go by themselves: nobody asks how they ended."""
        for key in [key for key, process in self._processes.items() if key[0] == job_id and process.poll() is not None]:
            del self._processes[key]

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return the exit status of a child that ended."""
        process = self._processes.get((job_id, attempt))
        status = None if process is None else process.poll()
        if status is None:
            return None
        del self._processes[job_id, attempt]
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return Exit(f"the driver ended with {how}; its output is in {log_path(self._settings, job_id, attempt)}")

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """Send SIGTERM, then SIGKILL."""
        process = self._processes.pop((job_id, attempt), None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def trouble(self) -> str | None:
        """Children can always be started."""
        return None

    def tidy(self) -> None:
        """Nothing yet."""

    def close(self, *, grace_s: float) -> list[tuple[str, int]]:
        """Ask all children to end, then make them."""
        ended = [key for key, process in self._processes.items() if process.poll() is None]
        for process in self._processes.values():
            process.terminate()
        for key in list(self._processes):
            self.stop(*key, grace_s=grace_s)
        return ended


def log_path(settings: Settings, job_id: str, attempt: int) -> Path:
    """Return where the output of a child driver goes."""
    return settings.home / "logs" / f"{job_id}-{attempt}.log"


def create_launcher(settings: Settings) -> Launcher:
    """Return the launcher that the settings name.

    Raises:
        NotReadyError: If there is none of that name.
    """
    if settings.launcher == "child-process":
        return ChildProcessLauncher(settings)
    if settings.launcher == "ray-job":
        from workers.ray_jobs import RayJobLauncher  # noqa: PLC0415 - Ray is loaded only where it is used

        return RayJobLauncher(settings)
    message = f"NAS_LAUNCHER is {settings.launcher!r}; allowed: child-process, ray-job"
    raise NotReadyError(message)

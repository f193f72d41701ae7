"""`nas serve` as a process: its port, its end, slow clients, and homes that are none."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from api.client import NasClient
from api.server import listening, url_of
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.schema import upgrade
from nas_service.storage.session import Database
from tests.api.conftest import run_nas
from tests.disks import make_read_only, mounted
from tests.e2e.conftest import samples_of
from tests.processes import driver_pids
from tests.serving import HALF_BODY, HALF_BODY_OF_A_GET, HALF_HEADERS, Served, nas_serve, slow_clients
from tests.waiting import wait_until

END_S = 10.0  # after which Docker kills


@pytest.fixture
def taken() -> Iterator[int]:
    """Hold a port of this machine, and give its number."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield int(holder.getsockname()[1])


def _end(served: Served) -> float:
    """Send SIGTERM and return how long the end took."""
    begun = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(60)
    return time.monotonic() - begun


def test_a_port_is_taken_for_good_and_the_real_one_is_told() -> None:
    with listening("127.0.0.1", 0) as sockets:
        port = int(url_of(sockets).rpartition(":")[2])
        assert port > 0
        with pytest.raises(NotReadyError, match=f"^port {port} of 127.0.0.1 is in use"), listening("127.0.0.1", port):
            pass
    with listening("127.0.0.1", port):
        pass


def test_the_second_write_of_a_reply_does_not_wait_for_the_client() -> None:
    """It did, for the 40 ms after which a system says that the first came."""
    with (
        listening("127.0.0.1", 0) as (listener,),
        socket.create_connection(listener.getsockname(), timeout=5),
        listener.accept()[0] as taken,
    ):
        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


SETTLED = """
import gc, sys
from api.server import _settle
_settle()
loaded, frozen = set(sys.modules), gc.get_freeze_count()
from nas_service.catalogue import load_entries
load_entries()
print(len(set(sys.modules) - loaded), frozen > len(gc.get_objects()))
"""


def test_a_service_answers_only_when_all_is_loaded_and_out_of_the_garbage_collectors_way() -> None:
    """Else the first requests do it, and every full collection holds up all threads for some 0.4 s."""
    command = [sys.executable, "-c", SETTLED]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "0 True\n"


def test_a_name_is_listened_on_at_each_of_its_addresses_on_one_port() -> None:
    with listening("localhost", 0) as sockets:
        ports = {listener.getsockname()[1] for listener in sockets}
        assert len(ports) == 1
        with socket.create_connection(("localhost", ports.pop()), timeout=5):
            pass


def test_an_address_of_another_machine_is_said_plainly() -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with (
            pytest.raises(NotReadyError, match=f"^{host} is no address of this machine: choose one with --host"),
            listening(host, 0),
        ):
            pass


@pytest.mark.slow
def test_a_start_on_a_taken_port_touches_no_job(taken: int, tmp_path: Path) -> None:
    """It claimed the job, failed, and did so again: after three starts the job had failed for good."""
    settings = Settings(home=tmp_path / "home")
    upgrade(settings.database)
    database = Database(settings.database)
    with database.write() as session:
        job_id = jobs.create_job(session, jobs.SEARCH, "", {"space": {"name": "tiny"}}).id
    for _ in range(2):
        result = run_nas("serve", "--port", str(taken), cwd=tmp_path, NAS_HOME=str(settings.home))
        message = f"error: port {taken} of 127.0.0.1 is in use (another nas serve?); choose one with --port or NAS_PORT\n"
        assert (result.returncode, result.stderr, result.stdout) == (1, message, "")
    with database.read() as session:
        job = jobs.get_job(session, job_id)
        assert (job.state, job.attempt) == ("queued", 0)
    database.close()


@pytest.mark.slow
def test_300_slow_clients_at_256_handles_keep_nobody_out_and_hold_up_no_end(tmp_path: Path) -> None:
    """Before: dead for as long as they stayed, with 35 MB of log in 42 s, and SIGTERM waited for them."""
    with nas_serve(tmp_path / "home", handles=256, NAS_CONTROLLER="false") as served:
        wait_until(lambda: httpx.get(f"{served.url}/healthz", timeout=60).status_code, lambda code: code == 200)
        for sent in (HALF_HEADERS, HALF_BODY, HALF_BODY_OF_A_GET):
            with slow_clients(served.url, 300, sent):
                for _ in range(10):
                    assert httpx.get(f"{served.url}/v1/searches", timeout=5).json() == {"items": [], "next": None}
                    assert len(list(Path(f"/proc/{served.process.pid}/fd").iterdir())) < 250
        with slow_clients(served.url, 100, HALF_BODY), slow_clients(served.url, 20, HALF_HEADERS):
            assert _end(served) < END_S
        assert served.log.stat().st_size < 20_000, served.log.read_text()[:5000]


@pytest.mark.slow
@pytest.mark.ray
def test_a_service_that_is_asked_to_end_ends_its_driver_and_itself_in_time(tmp_path: Path) -> None:
    """With a client in mid-request; the job waits for the next service, and nothing is held against it."""
    settings = Settings(home=tmp_path / "home")
    with nas_serve(settings.home) as served, NasClient(served.url) as client:
        job = client.submit_search({"space": "tiny", "evaluation": {"max_steps": 2, "train_fraction": 0.1}})
        wait_until(lambda: client.search(job.id), lambda seen: samples_of(seen) >= 1)
        assert len(driver_pids(job.id)) == 1
        with slow_clients(served.url, 1, HALF_BODY):
            assert _end(served) < END_S
    assert driver_pids(job.id) == []
    database = Database(settings.database)
    with database.read() as session:
        row = jobs.get_job(session, job.id)
        assert (row.state, row.attempt) == ("queued", 1)
    database.close()


@pytest.mark.slow
def test_two_services_start_at_once_on_a_fresh_home(tmp_path: Path) -> None:
    def ready(number: int) -> str:
        del number
        with nas_serve(tmp_path / "home") as served, NasClient(served.url) as client:
            return wait_until(lambda: client.readiness().status, lambda status: status == "ready", 60)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ready, range(2))) == ["ready", "ready"]


def _one_sentence(home: Path, **variables: str) -> str:
    result = run_nas("serve", "--port", "0", cwd=home.parent, **{"NAS_HOME": str(home), **variables})
    assert (result.returncode, result.stdout) == (1, ""), result.stdout
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.slow
def test_a_start_that_cannot_be_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    """What each says in which case is in tests/nas_service/storage/test_schema.py."""
    (tmp_path / "file").touch()
    assert "is no folder: set NAS_HOME" in _one_sentence(tmp_path / "file")
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "nas.db").write_bytes(os.urandom(8192))
    assert "is no SQLite database" in _one_sentence(tmp_path / "noise")
    assert "does not answer: start it" in _one_sentence(tmp_path, NAS_DATABASE_URL="postgresql+psycopg://u@127.0.0.1:1/x")
    assert "allowed: sqlite:///PATH" in _one_sentence(tmp_path, NAS_DATABASE_URL="mysql://u@h/x")
    with mounted(tmp_path / "disk", 1_000_000) as disk:
        make_read_only(disk)
        assert "cannot be written (Read-only file system)" in _one_sentence(disk)


@pytest.mark.slow
def test_the_postgres_of_a_team_is_migrated_by_hand(database_url: str, tmp_path: Path) -> None:
    """A service on an empty one says what to run; SQLite is migrated by the service itself."""
    if database_url.startswith("sqlite"):
        pytest.skip("see the other kind")
    database = Database(database_url)
    with database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM alembic_version")
    database.close()
    told = _one_sentence(tmp_path, NAS_DATABASE_URL=database_url)
    assert "run `nas migrate`" in told


def test_the_limit_of_handles_is_raised_as_far_as_it_may() -> None:
    script = (
        "import json, resource; from api.connections import raise_handle_limit\n"
        "print(json.dumps([raise_handle_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE)]))"
    )
    command = ["bash", "-c", 'ulimit -Sn 300 && ulimit -Hn 700 && exec "$@"', "-", sys.executable, "-c", script]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(output) == [700, 700, 700]

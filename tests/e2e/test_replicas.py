"""Two services and two controllers on one PostgreSQL: whoever is asked tells the same, and whoever dies is taken over from."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from api.client import NasClient
from nas_service.lifecycle import FINISHED
from tests.e2e.conftest import Running, samples_of
from tests.faults.results import SPEC, differences, results
from tests.processes import driver_pids
from tests.serving import nas_serve
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def shared(postgres_url: str, tmp_path: Path) -> dict[str, str]:
    """Return what all processes have in common: the database and the store, and no home."""
    return {
        "NAS_DATABASE_URL": postgres_url,
        "NAS_ARTIFACT_URL": (tmp_path / "artifacts").as_uri(),
        "NAS_LEASE_S": "8",
        "NAS_POLL_S": "0.2",
        "NAS_OBJECT_STORE_BYTES": "100000000",
    }


@contextmanager
def _controller(home: Path, shared: dict[str, str]) -> Iterator[psutil.Process]:
    """Run `nas controller` inside the block."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAS_")}
    command = [sys.executable, "-m", "api.cli", "controller"]
    process = subprocess.Popen(command, env={**environment, **shared, "NAS_HOME": str(home)}, start_new_session=True)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _kill_machine(controller: psutil.Process) -> None:
    """End a controller and its drivers at once, with all that those started."""
    family = [controller, *controller.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family[1:], timeout=30)


@contextmanager
def _two_services(tmp_path: Path, shared: dict[str, str]) -> Iterator[tuple[NasClient, NasClient]]:
    """Run two services without a controller inside the block."""
    with ExitStack() as running:
        services = [
            running.enter_context(nas_serve(tmp_path / name, NAS_CONTROLLER="false", **shared))  # type: ignore[arg-type]  # variables alone
            for name in ("a", "b")
        ]
        first, second = (running.enter_context(NasClient(service.url)) for service in services)
        yield first, second


def _undisturbed(service: Running) -> dict[str, Any]:
    job = service.search(**SPEC)
    return results(service.client, job.id)


def _is_over(client: NasClient, search_id: str) -> bool:
    return all(job.state in FINISHED for job in [client.search(search_id), *client.trainings(parent=search_id)])


def test_a_controller_that_dies_with_its_driver_is_taken_over_from_and_both_services_tell_the_same(
    service: Running, shared: dict[str, str], tmp_path: Path
) -> None:
    expected = _undisturbed(service)
    with (
        _two_services(tmp_path, shared) as (first, second),
        _controller(tmp_path / "one", shared) as one,
        ThreadPoolExecutor(1) as reader,
    ):
        search_id = second.submit_search(SPEC).id
        streamed = reader.submit(lambda: Counter(message.kind for message in first.stream(first.search(search_id), after=0)))
        wait_until(lambda: first.search(search_id), lambda job: samples_of(job) >= 3)
        with _controller(tmp_path / "two", shared):
            _kill_machine(one)
            wait_until(lambda: _is_over(second, search_id), bool)
        assert differences(expected, results(first, search_id)) == []
        assert differences(expected, results(second, search_id)) == []
        kinds = streamed.result(timeout=60)
        assert (kinds["lost"], kinds["end"]) == (1, 1)
    assert driver_pids(search_id) == []


def test_a_controller_that_dies_alone_leaves_its_driver_at_work_and_the_next_lets_it(
    service: Running, shared: dict[str, str], tmp_path: Path
) -> None:
    with _two_services(tmp_path, shared) as (first, second), _controller(tmp_path / "one", shared) as one:
        search_id = first.submit_search({**SPEC, "training": None}).id
        wait_until(lambda: second.search(search_id), lambda job: samples_of(job) >= 3)
        one.send_signal(signal.SIGKILL)
        with _controller(tmp_path / "two", shared):
            wait_until(lambda: _is_over(second, search_id), bool)
        assert (second.search(search_id).state, second.search(search_id).attempt) == ("succeeded", 1)

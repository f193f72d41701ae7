"""One kind of trouble at a time, each for as long as it takes in the world, and what people are told meanwhile."""

import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import libfaketime
import pytest

from api.client import NasClient
from api.refusals import ApiError, UnansweredError
from api.views import JobView
from nas_service.lifecycle import FINISHED
from tests.e2e.conftest import epochs_of, samples_of
from tests.faults.results import SPEC as QUICK
from tests.faults.results import differences, is_over, results
from tests.faults.world import Cluster, Embedded, Process, free_port, signal_all
from tests.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.ray]

LINES_A_MINUTE = 100
LONG = {"epochs": 20, "max_steps": 100}  # enough to take something away in its middle
SPEC = {**QUICK, "evaluation": {**QUICK["evaluation"], **LONG}}
SEARCH = {key: value for key, value in SPEC.items() if key != "training"}


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """Run a service on SQLite."""
    made = Embedded(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run PostgreSQL, a Ray cluster, and two services."""
    home = tmp_path_factory.mktemp("cluster")
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o755)  # PostgreSQL runs as another user where this is root
    made = Cluster(home)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the search and its training lead to when nothing happens."""
    world = Embedded(tmp_path_factory.mktemp("undisturbed"))
    try:
        world.start()
        search_id = world.client.submit_search(SPEC).id
        wait_until(lambda: is_over(world.client, search_id), bool)
        return results(world.client, search_id)
    finally:
        world.end()


def _sampled(client: NasClient, search_id: str, least: int) -> JobView:
    return wait_until(lambda: client.search(search_id), lambda job: samples_of(job) >= least)


def _ended(client: NasClient, search_id: str) -> JobView:
    return wait_until(lambda: client.search(search_id), lambda job: job.state in FINISHED, 400)


def _hold_lock(home: Path, seconds: float) -> None:
    """Keep every other writer out, as a backup or another tool may."""
    with closing(sqlite3.connect(home / "nas.db", timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def test_a_database_that_is_locked_for_40_s_costs_neither_search_nor_training_anything(
    embedded: Embedded, undisturbed: dict[str, Any]
) -> None:
    client = embedded.client
    search_id = client.submit_search(SPEC).id
    _sampled(client, search_id, 6)
    _hold_lock(embedded.settings.home, 40)
    _ended(client, search_id)
    (training,) = client.trainings(parent=search_id)
    wait_until(lambda: client.training(training.id), lambda job: epochs_of(job) >= 4)
    _hold_lock(embedded.settings.home, 40)
    wait_until(lambda: is_over(client, search_id), bool)
    assert differences(undisturbed, results(client, search_id)) == []
    assert [client.search(search_id).attempt, client.training(training.id).attempt] == [1, 1]


@contextmanager
def _second_service(world: Embedded, **environment: str) -> Iterator[None]:
    """Run another service on the same home."""
    port = free_port()
    settings = world.settings.model_copy(update={"port": port, "url": f"http://127.0.0.1:{port}"})
    process = Process([sys.executable, "-m", "api.cli", "serve"], settings, world.settings.home / "second.log", **environment)
    process.start()
    try:
        wait_until(lambda: "nas-service on" in (world.settings.home / "second.log").read_text(), bool, 120)
        yield
    finally:
        process.end()


def test_a_controller_whose_clock_is_two_minutes_ahead_takes_nothing_from_a_healthy_search(
    embedded: Embedded, undisturbed: dict[str, Any]
) -> None:
    """Both have the same database; the second one's whole process sees another time."""
    client = embedded.client
    search_id = client.submit_search(SEARCH).id
    _sampled(client, search_id, 4)
    library = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    with _second_service(embedded, LD_PRELOAD=str(library), FAKETIME="+120s", DONT_FAKE_MONOTONIC="0"):
        ended = _ended(client, search_id)
        time.sleep(2 * embedded.settings.lease_s)
    assert (ended.state, ended.attempt) == ("succeeded", 1)
    actual = results(client, search_id)
    assert [actual[name] == undisturbed[name] for name in ("samples", "arms", "architectures")] == [True] * 3


def test_restarts_and_starts_on_a_taken_port_cost_a_job_nothing(embedded: Embedded) -> None:
    """Four restarts while its driver starts, then four starts that find another program on the port; then it runs."""
    client, service = embedded.client, embedded.services()[0]
    job = client.submit_search(SEARCH)
    for _ in range(4):
        wait_until(lambda: client.search(job.id), lambda seen: seen.state in {"starting", "running"}, 120)
        service.end()
        service.start()
        wait_until(lambda: _answers(embedded), bool, 120)
    service.end()
    with socket.create_server(("127.0.0.1", embedded.settings.port)):
        for _ in range(4):
            taken = Process([sys.executable, "-m", "api.cli", "serve"], embedded.settings, embedded.settings.home / "taken.log")
            taken.start()
            assert taken.process is not None
            assert taken.process.wait(120) == 1
    assert (embedded.settings.home / "taken.log").read_text().count("is in use") == 4
    with closing(sqlite3.connect(embedded.settings.home / "nas.db")) as connection:
        assert connection.execute("SELECT state, stalls FROM jobs").fetchone() == ("queued", 0)
    service.start()
    wait_until(lambda: _answers(embedded), bool, 120)
    assert _ended(client, job.id).state == "succeeded"


def _answers(world: Embedded) -> bool:
    try:
        world.client.readiness()
    except UnansweredError:
        return False
    return True


@contextmanager
def _few_lines(world: Cluster) -> Iterator[None]:
    """Make sure that the services write little inside the block."""
    before, started = [service.log_lines for service in world.services()], time.monotonic()
    yield
    minutes = max(1.0, (time.monotonic() - started) / 60)
    for service, lines in zip(world.services(), before, strict=True):
        assert (service.log_lines - lines) / minutes < LINES_A_MINUTE


def _checks(world: Cluster) -> dict[str, str]:
    """Return what readiness of the service with the controller says."""
    with NasClient(world.controller_url) as client:
        return client.readiness().checks


def _says(world: Cluster, check: str, words: str, limit_s: float = 60) -> None:
    wait_until(lambda: _checks(world).get(check, ""), lambda said: words in said, limit_s)


def _waits(client: NasClient, job_id: str, words: str, limit_s: float = 90) -> None:
    def look() -> tuple[str, int, str]:
        job = client.search(job_id)
        return job.state, job.attempt, job.waiting_for or ""

    wait_until(look, lambda seen: words in seen[2], limit_s)


def _is_equal(client: NasClient, search_id: str, expected: dict[str, Any]) -> bool:
    actual = results(client, search_id)
    return all(actual[name] == expected[name] for name in ("samples", "arms", "architectures"))


def _submit(client: NasClient, spec: dict[str, Any]) -> str:
    """Submit a search as soon as the cluster can take one."""

    def try_it() -> str:
        try:
            return client.submit_search(spec).id
        except ApiError:
            time.sleep(1)
            return ""

    return wait_until(try_it, bool, 120)


def test_a_frozen_job_server_stops_neither_the_controller_nor_the_search(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    client = cluster.client
    running = _submit(client, SEARCH)
    queued = _submit(client, SEARCH)
    _sampled(client, running, 4)
    with _few_lines(cluster), _frozen(cluster.pids("job-server")):
        _says(cluster, "launcher", "job server does not answer")
        _waits(client, queued, "job server does not answer")
        assert _checks(cluster)["controller"] == "ok"
        ended = _ended(client, running)  # its driver and its actors need no job server
    assert ended.state == "succeeded"
    assert _ended(client, queued).state == "succeeded"
    assert all(_is_equal(client, job_id, undisturbed) for job_id in (running, queued))


@contextmanager
def _frozen(pids: list[int]) -> Iterator[None]:
    assert pids
    signal_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


def test_a_head_that_is_away_for_minutes_is_waited_for(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    client = cluster.client
    search_id = _submit(client, SEARCH)
    _sampled(client, search_id, 4)
    with _few_lines(cluster):
        cluster.end_nodes()
        _says(cluster, "launcher", "job server does not answer")
        _waits(client, search_id, "job server does not answer", 150)
        with pytest.raises(ApiError, match="job server"):
            client.submit_search(SEARCH)
        time.sleep(40)
        assert _checks(cluster)["controller"] == "ok"
    cluster.start_nodes()
    ended = _ended(client, search_id)
    assert (ended.state, ended.attempt > 1, _is_equal(client, search_id, undisturbed)) == ("succeeded", True, True)


def test_without_a_worker_node_work_is_refused_or_says_that_it_waits(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    client = cluster.client
    search_id = _submit(client, SEARCH)
    _sampled(client, search_id, 4)
    with _few_lines(cluster):
        cluster.end_worker()
        _says(cluster, "launcher", "no living worker node")
        _waits(client, search_id, "a machine of the cluster with 1 CPU(s)")
        with pytest.raises(ApiError, match="no living worker node"):
            client.submit_search(SEARCH)
    cluster.start_worker()
    assert _ended(client, search_id).state == "succeeded"
    assert _is_equal(client, search_id, undisturbed)


@pytest.mark.parametrize("kind", ["search", "training"])
def test_frozen_actors_end_the_attempt_and_the_job_says_why(kind: str, cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    client = cluster.client
    search_id = _submit(client, SPEC)
    job_id, ask = search_id, lambda key: client.events(key)  # noqa: PLW0108 - of another name than the other
    if kind == "training":
        _ended(client, search_id)
        (training,) = client.trainings(parent=search_id)
        wait_until(lambda: client.training(training.id), lambda job: epochs_of(job) >= 4)
        job_id, ask = training.id, lambda key: client.training_events(key)  # noqa: PLW0108 - as above
    else:
        _sampled(client, search_id, 4)
    signal_all(cluster.pids("actor"), signal.SIGSTOP)
    reason = wait_until(lambda: _lost(ask, job_id), bool, 120)
    assert "no sign of progress for" in reason
    wait_until(lambda: is_over(client, search_id), bool, 400)
    assert differences(undisturbed, results(client, search_id)) == []


def _lost(ask: Callable[[str], Iterable[Any]], job_id: str) -> str:
    """Return why a job was lost; empty while it was not."""
    return " ".join(event.data.reason for event in ask(job_id) if event.kind == "lost")

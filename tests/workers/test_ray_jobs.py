"""Drivers as Ray Jobs on a real cluster: a head without processors, and worker nodes that come and go."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from nas_service.capacity import Capacity
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.models import Job
from nas_service.storage.session import Database, new_id
from tests.clusters import Cluster, cluster, free_port, kill, part
from tests.holds import claimed
from tests.processes import driver_pids
from tests.waiting import wait_until
from workers.controller import Controller
from workers.launcher import Exit, log_path
from workers.launchers import create_launcher
from workers.node_health import node_trouble
from workers.ray_jobs import NO_WORKER, RayJobLauncher

pytestmark = pytest.mark.ray

AWAY = "Ray's job server does not answer"
QUICK = {"max_steps": 1, "validation_images": 50, "calibration_batches": 1}


@dataclass(frozen=True)
class Running:
    """A cluster with a running head.

    Attributes:
        settings: Of a service that uses it.
        place: Where it is.
        head: The process that runs the head node.
    """

    settings: Settings
    place: Cluster
    head: psutil.Process

    def launcher(self) -> RayJobLauncher:
        """Return the launcher of a service process that starts now."""
        made = create_launcher(self.settings)
        assert isinstance(made, RayJobLauncher)
        return made


@contextmanager
def _running(home: Path, sqlite_template: Path) -> Iterator[Running]:
    """Run a head inside the block."""
    shutil.copy(sqlite_template, home / "nas.db")
    settings = Settings(home=home, launcher="ray-job", controller=False, lease_s=120.0)
    with cluster(settings.environment()) as place, place.head() as head:
        update = {"ray_jobs_url": f"http://127.0.0.1:{place.jobs_port}", "ray_auth_token": SecretStr(place.token)}
        yield Running(settings.model_copy(update=update), place, head)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Running]:
    """Run a head with one worker node for the tests that leave it as it is."""
    with _running(tmp_path_factory.mktemp("home"), sqlite_template) as made, _working_node(made):
        yield made


@contextmanager
def _working_node(made: Running) -> Iterator[psutil.Process]:
    """Run a worker node inside the block, once the head answers: Ray does not wait for that for long."""
    launcher = made.launcher()
    wait_until(lambda: _trouble(launcher), lambda trouble: trouble == NO_WORKER)
    with made.place.worker() as node:
        wait_until(lambda: _trouble(launcher), lambda trouble: trouble is None)
        yield node


@pytest.fixture
def opened(running: Running) -> Iterator[Database]:
    """Return the database that the cluster's drivers use."""
    database = Database(running.settings.database)
    yield database
    database.close()


def _trouble(launcher: RayJobLauncher) -> str | None:
    """Return the trouble of this moment."""
    launcher._trouble_until = 0.0
    return launcher.trouble()


def _create(database: Database, **spec: object) -> str:
    with database.write() as session:
        body = SearchSpec.model_validate({"space": "tiny", **spec}).model_dump(mode="json")
        return jobs.create_job(session, jobs.SEARCH, "", body).id


def _job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get_job(session, job_id)


def _no_worker(launcher: RayJobLauncher) -> bool:
    """Whether the launcher refuses to tell a capacity since there is no worker node."""
    try:
        launcher.capacity()
    except NotReadyError as error:
        return str(error) == NO_WORKER
    return False


def _see_forgotten(launcher: RayJobLauncher, *submission_ids: str) -> None:
    """See Ray forget drivers, and stay so: it writes a record anew that is dropped before it saw the driver's end itself."""

    def left() -> list[dict[str, Any]]:
        launcher.tidy()
        return [job for job in map(launcher._server.job, submission_ids) if job is not None]

    wait_until(left, lambda jobs: jobs == [])
    time.sleep(3)
    assert left() == []


def test_a_search_runs_as_a_ray_job_and_one_that_fails_says_why(running: Running, opened: Database) -> None:
    launcher = running.launcher()
    controller = Controller(running.settings, opened, launcher)
    fine = {"strategy": {"name": "random", "settings": {"samples": 2}}, "evaluation": QUICK}
    broken = {**fine, "dataset": {"name": "image-folder", "settings": {"path": "gone"}}}
    ends, ids = [], []
    for spec in (fine, broken):
        job_id = _create(opened, **spec)
        ids.append(f"{job_id}-1")

        def look(job_id: str = job_id) -> Job:
            controller.step()
            return _job(opened, job_id)

        job = wait_until(look, lambda seen: seen.state in {"succeeded", "failed"})
        ends.append((job.state, job.error))
    assert ends[0] == ("succeeded", None)
    assert ends[1][0] == "failed"
    assert str(ends[1][1]).startswith("dataset.settings.path: 'gone' is not allowed")

    _see_forgotten(launcher, *ids)
    assert (launcher._launched, launcher._over) == (set(), {})


@pytest.mark.slow
def test_how_a_driver_ended_is_told_without_path_or_address_its_log_is_kept_and_ray_forgets_it(running: Running) -> None:
    launcher, job = running.launcher(), new_id()  # of no job in the database
    launcher.launch(job, 1)
    launcher.launch(job, 1)  # Ray refuses the second, which is the first
    ended = wait_until(lambda: launcher.ended(job, 1), lambda seen: seen is not None)
    assert ended == Exit(f"the Ray Job ended as FAILED with exit status 1; its log says more: logs/{job}-1.log")
    assert f"there is no job '{job}'" in log_path(running.settings, job, 1).read_text()
    assert launcher.ended(job, 1) is None
    _see_forgotten(launcher, f"{job}-1")


@pytest.mark.slow
def test_a_later_service_process_stops_a_driver_which_gives_its_job_back(running: Running, opened: Database) -> None:
    job = _create(opened)
    with opened.write() as session:
        claimed(session)
    running.launcher().launch(job, 1)
    wait_until(lambda: _job(opened, job).progress.get("samples", 0), lambda samples: samples > 0)
    later = running.launcher()
    assert later.ended(job, 1) is None
    later.stop(job, 1, grace_s=30)
    assert driver_pids(job) == []
    assert _job(opened, job).state == "queued"
    later.stop(job, 1, grace_s=30)  # nothing to do
    _see_forgotten(later, f"{job}-1")
    with opened.write() as session:
        jobs.request_cancel(session, job, jobs.SEARCH)


@pytest.mark.slow
def test_a_frozen_job_server_costs_one_time_out_and_two_lines_and_drivers_are_left_alone(running: Running) -> None:
    launcher = running.launcher()
    server = part(running.head, "dashboard.py")
    with capture_logs() as lines:
        server.suspend()
        started = time.monotonic()
        assert [launcher.ended(new_id(), 1) for _ in range(20)] == [None] * 20
        for call in (launcher.capacity, lambda: launcher.launch("job", 1)):
            with pytest.raises(NotReadyError, match=AWAY):
                call()
        assert str(launcher.trouble()).startswith(AWAY)
        launcher.stop("job", 2, grace_s=30)
        launcher.tidy()
        assert 5 <= time.monotonic() - started < 7
        server.resume()
        wait_until(lambda: _trouble(launcher), lambda trouble: trouble is None, limit_s=30)
    assert [line["event"] for line in lines] == ["ray.away", "ray.back"]


@pytest.mark.slow
def test_a_driver_that_ray_got_without_saying_so_is_ended_when_ray_is_back(running: Running) -> None:
    """The job server freezes between the question whether the driver is there and the submission of it."""
    launcher, job = running.launcher(), new_id()
    server = part(running.head, "dashboard.py")
    server.suspend()
    with pytest.raises(NotReadyError, match=AWAY):
        launcher._server._call("POST", "/api/jobs/", json={"entrypoint": "sleep 1000", "submission_id": f"{job}-1"})
    launcher.stop(job, 1, grace_s=0)  # as `launch` leaves it
    server.resume()

    def status() -> str | None:
        launcher.tidy()
        found = launcher._server.job(f"{job}-1") if launcher.trouble() is None else None
        return None if found is None else str(found["status"])

    wait_until(status, lambda seen: seen == "STOPPED", limit_s=60)


@pytest.mark.slow
def test_a_part_of_the_job_server_that_is_frozen_is_trouble_too(running: Running) -> None:
    """Ray has one process for jobs and one for nodes: the other answers."""
    launcher = running.launcher()
    frozen = next(child for child in part(running.head, "dashboard.py").children(recursive=True) if "JobHead" in child.name())
    frozen.suspend()
    assert str(_trouble(launcher)).startswith(AWAY)
    assert str(_trouble(launcher)).startswith(AWAY)
    frozen.resume()
    wait_until(lambda: _trouble(launcher), lambda trouble: trouble is None, limit_s=30)


def test_a_wrong_token_is_said(running: Running) -> None:
    wrong = create_launcher(running.settings.model_copy(update={"ray_auth_token": SecretStr("0" * 64)}))
    assert wrong.trouble() == "Ray's job server refuses this service (for 0 s): RAY_AUTH_TOKEN must be the cluster's"


def test_a_machine_is_healthy_as_long_as_the_head_knows_it_as_a_living_node(running: Running) -> None:
    """What health checks of containers ask (`python -m workers.node_health`)."""
    server, here = running.launcher()._server, socket.gethostname()
    assert node_trouble(server, here) is None
    said = node_trouble(server, "elsewhere")
    assert said is not None
    assert said.startswith("elsewhere is no living node of the cluster; living: ")
    assert here in said


@pytest.mark.slow
def test_worker_nodes_are_counted_while_they_live(tmp_path: Path, sqlite_template: Path) -> None:
    """A node that was stopped is not counted, however long nobody asked; a head without processors never is."""
    with _running(tmp_path, sqlite_template) as made:
        launcher = made.launcher()
        assert str(launcher.trouble()).startswith(AWAY)  # it does not run yet
        wait_until(lambda: _trouble(launcher), lambda trouble: trouble == NO_WORKER)
        assert _no_worker(launcher)
        with _working_node(made) as node:
            assert launcher.capacity() == Capacity(2, 0, 2, 0)
            node.terminate()
            node.wait(60)
            time.sleep(3)
            assert _no_worker(launcher)
            assert _trouble(launcher) == NO_WORKER


@pytest.mark.slow
def test_a_killed_node_and_then_a_killed_head_that_comes_back_are_noticed(tmp_path: Path, sqlite_template: Path) -> None:
    with _running(tmp_path, sqlite_template) as made, capture_logs() as lines:
        launcher = made.launcher()
        with _working_node(made) as node:
            kill(node)
            wait_until(lambda: _no_worker(launcher), bool, limit_s=60)
        lines.clear()
        job = new_id()
        launcher.launch(job, 1)
        kill(made.head)
        assert launcher.ended(job, 1) is None
        assert str(_trouble(launcher)).startswith(AWAY)
        with made.place.head():
            ended = wait_until(lambda: launcher.ended(job, 1), lambda seen: seen is not None)
            assert ended == Exit("Ray does not know the driver any more: the cluster was started anew")
            assert _trouble(launcher) == NO_WORKER
        assert [line["event"] for line in lines if line["event"].startswith("ray.")][:2] == ["ray.away", "ray.back"]


def test_a_launcher_is_made_while_nobody_answers_and_says_what_is_wrong(settings: Settings) -> None:
    away = {"launcher": "ray-job", "ray_jobs_url": f"http://127.0.0.1:{free_port()}"}
    launcher = create_launcher(settings.model_copy(update=away))
    assert launcher.trouble() == f"{AWAY} (for 0 s): [Errno 111] Connection refused"
    for call in (launcher.capacity, lambda: launcher.launch("job", 1)):
        with pytest.raises(NotReadyError, match=AWAY):
            call()
    assert launcher.ended("job", 1) is None
    launcher.stop("job", 1, grace_s=5)
    launcher.tidy()
    assert launcher.close(grace_s=5) == []


@pytest.mark.parametrize("url", ["ray://head:10001", "file:///etc/passwd", "http://", ""])
def test_only_http_addresses_are_taken(settings: Settings, url: str) -> None:
    with pytest.raises(NotReadyError, match="an http or https address"):
        create_launcher(settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": url}))


class _Stubborn(BaseHTTPRequestHandler):
    """Ray's job server as it answers where one Ray Job, `a-1`, cannot be stopped, for as long as `is_stuck`."""

    is_stuck = True
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_response(500 if self.is_stuck and self.path == "/api/jobs/a-1/stop" else 200)
        self.end_headers()
        self.wfile.write(b"cannot")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        """Say nothing."""


@pytest.mark.slow
def test_a_driver_that_cannot_be_stopped_keeps_no_other_from_it_and_is_told_once(settings: Settings) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stubborn) as server, capture_logs() as lines:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        launcher = RayJobLauncher(settings.model_copy(update={"ray_jobs_url": url}))
        launcher._unwanted = {("a", 1), ("b", 1)}
        launcher._tidy_at = time.monotonic() + 60
        for _ in range(10):
            launcher.tidy()
        assert _Stubborn.asked.count("/api/jobs/b-1/stop") == 1
        assert launcher._unwanted == {("a", 1)}
        _Stubborn.is_stuck = False
        launcher.tidy()
        server.shutdown()
    assert launcher._unwanted == set()
    assert [line["event"] for line in lines] == ["ray.call_failed", "ray.call_failed.over"]

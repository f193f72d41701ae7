"""Drivers as Ray Jobs on a real cluster of one node."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from tests.waiting import wait_until
from workers.controller import Controller
from workers.launchers import create_launcher
from workers.ray_jobs import RayJobLauncher

pytestmark = pytest.mark.ray


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Run `ray start --head` with the environment that a container would give it."""
    port = _free_port()
    made = settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": f"http://127.0.0.1:{port}", "lease_s": 60.0})
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # an activated virtual environment
    for name, value in {"PATH": path, "RAY_AUTH_MODE": "disabled", **made.environment()}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
    command += [f"--port={_free_port()}", f"--dashboard-port={port}", "--disable-usage-stats", "--object-store-memory=100000000"]
    with (tmp_path / "ray.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    yield Settings()
    process.terminate()
    process.wait(60)


def _connected(cluster: Settings) -> RayJobLauncher:
    def connect() -> object:
        try:
            launcher = create_launcher(cluster)
            assert launcher.capacity().cpus == 2
        except (NotReadyError, AssertionError) as error:
            time.sleep(0.5)
            return error
        return launcher

    launcher = wait_until(connect, lambda seen: isinstance(seen, RayJobLauncher), limit_s=90)
    assert isinstance(launcher, RayJobLauncher)
    return launcher


def test_a_search_runs_as_a_ray_job_and_one_that_fails_says_why(cluster: Settings) -> None:
    launcher, database = _connected(cluster), Database(cluster.database)
    controller = Controller(cluster, database, launcher)
    quick = {"max_steps": 1, "validation_images": 50, "calibration_batches": 1}
    fine = {"space": "tiny", "strategy": {"name": "random", "settings": {"samples": 2}}, "evaluation": quick}
    broken = {**fine, "dataset": {"name": "image-folder", "settings": {"path": "gone"}}}
    ends = []
    for spec in (fine, broken):
        with database.write() as session:
            body = SearchSpec.model_validate(spec).model_dump(mode="json")
            job_id = jobs.create_job(session, jobs.SEARCH, "", body).id

        def look(job_id: str = job_id) -> Job:
            controller.step()
            with database.read() as session:
                return jobs.get_job(session, job_id)

        job = wait_until(look, lambda seen: seen.state in {"succeeded", "failed"}, limit_s=120)
        ends.append((job.state, job.error))
    assert ends[0] == ("succeeded", None)
    assert ends[1][0] == "failed"
    assert str(ends[1][1]).startswith("path: 'gone' is not allowed")
    database.close()


def test_a_job_server_that_does_not_answer_is_said_plainly(settings: Settings) -> None:
    away = settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": "http://127.0.0.1:1"})
    with pytest.raises(NotReadyError, match=r"does not answer at http://127\.0\.0\.1:1 \(NAS_RAY_JOBS_URL\)"):
        create_launcher(away)


@pytest.mark.parametrize("url", ["ray://head:10001", "file:///etc/passwd"])
def test_only_http_addresses_are_taken(settings: Settings, url: str) -> None:
    with pytest.raises(NotReadyError, match="an http or https address"):
        create_launcher(settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": url}))


def test_an_unknown_launcher_is_refused_with_those_there_are(settings: Settings) -> None:
    with pytest.raises(NotReadyError, match="allowed: child-process, ray-job"):
        create_launcher(settings.model_copy(update={"launcher": "kubernetes"}))

"""A real driver with a real Ray dies in the worst way: nothing of it is left."""

import os
import signal
import subprocess
import sys

import pytest

from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.holds import claimed
from tests.processes import driver_pids
from tests.waiting import wait_until
from tests.workers.test_child_processes import LAUNCH
from workers.child_processes import ChildProcessLauncher
from workers.processes import Running, family
from workers.scratch import scratch_folder, scratch_folders

pytestmark = pytest.mark.ray


def _claimed(database: Database) -> str:
    """Return the id of a search that waits for the driver of its first attempt."""
    with database.write() as session:
        body = SearchSpec.model_validate({"space": "tiny"}).model_dump(mode="json")
        job_id = jobs.create_job(session, jobs.SEARCH, "", body).id
        claimed(session)
    return job_id


def _at_work(database: Database, settings: Settings, job_id: str) -> tuple[list[Running], Running]:
    """Wait for the first sample; return what the driver started, itself included, and an actor of it, frozen."""

    def samples() -> int:
        with database.read() as session:
            return int(jobs.get_job(session, job_id).progress.get("samples", 0))

    wait_until(samples, lambda found: found > 0)
    started = family(scratch_folder(settings, job_id, 1))
    actor = next(entry for entry in started if entry.process.cmdline()[0].startswith("ray::SupernetWorker"))
    os.kill(actor.process.pid, signal.SIGSTOP)
    return started, actor


def _left(started: list[Running]) -> list[int]:
    return [entry.process.pid for entry in started if entry.process.is_running()]


@pytest.mark.slow
def test_nothing_is_left_of_a_driver_that_was_killed_while_an_actor_of_it_is_frozen(
    settings: Settings, opened: Database, launcher: ChildProcessLauncher
) -> None:
    """A frozen actor never notices that its raylet died."""
    job_id = _claimed(opened)
    launcher.launch(job_id, 1)
    started, actor = _at_work(opened, settings, job_id)
    (pid,) = driver_pids(job_id)
    assert {entry.session for entry in started} == {pid}
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: driver_pids(job_id), lambda found: not found)
    assert actor.process.is_running()
    wait_until(lambda: launcher.ended(job_id, 1), lambda ended: ended is not None)
    wait_until(lambda: _left(started), lambda left: not left, limit_s=5)
    assert scratch_folders(settings) == []


@pytest.mark.slow
def test_nothing_is_left_of_a_driver_whose_service_was_killed_once_the_next_service_stops_it(
    settings: Settings, opened: Database, launcher: ChildProcessLauncher
) -> None:
    job_id = _claimed(opened)
    environment = {**os.environ, **settings.environment()}
    with subprocess.Popen([sys.executable, "-c", LAUNCH, job_id], env=environment, stdout=subprocess.PIPE) as service:
        started, actor = _at_work(opened, settings, job_id)
        service.kill()
    launcher.tidy()
    assert actor.process.is_running()  # its driver lives
    assert len(scratch_folders(settings)) == 1
    launcher.stop(job_id, 1, grace_s=1)
    wait_until(lambda: _left(started), lambda left: not left, limit_s=5)
    assert scratch_folders(settings) == []

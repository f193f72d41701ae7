"""Child drivers: they end when they should, with all that they started, and leave nothing behind.

Most drivers here are frozen right after their start, before they load anything, so that these tests are quick. Those with a whole
Ray are in test_leftovers.py.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.storage.session import new_id
from tests.processes import driver_pids
from tests.waiting import wait_until
from workers.child_processes import ChildProcessLauncher
from workers.launcher import Exit, log_path
from workers.processes import running
from workers.scratch import SCRATCH_VARIABLE, make_scratch, scratch_folder, scratch_folders


def _frozen(launcher: ChildProcessLauncher) -> tuple[str, int]:
    """Launch a driver that does nothing and ignores SIGTERM; return its job and process id."""
    job = new_id()
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is ignored stays so in a child
    launcher.launch(job, 1)
    signal.signal(signal.SIGTERM, before)
    (pid,) = wait_until(lambda: driver_pids(job), lambda found: len(found) == 1)  # until its command line is there
    os.kill(pid, signal.SIGSTOP)
    return job, pid


@pytest.fixture
def marked(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Return a process of Ray's, as far as anybody can tell: marked with the scratch folder of job `lost`, which is there."""
    scratch = scratch_folder(settings, "lost", 1)
    make_scratch(scratch)
    process = subprocess.Popen(["/bin/sleep", "100"], start_new_session=True, env={**os.environ, SCRATCH_VARIABLE: str(scratch)})
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.wait()


def test_a_driver_that_ignores_sigterm_is_killed_when_the_grace_is_over(launcher: ChildProcessLauncher) -> None:
    job, pid = _frozen(launcher)
    started = time.monotonic()
    launcher.stop(job, 1, grace_s=1)
    assert 1 <= time.monotonic() - started < 5
    assert not psutil.pid_exists(pid)
    assert launcher.ended(job, 1) is None


def test_all_drivers_end_within_one_grace_period_and_are_named(launcher: ChildProcessLauncher) -> None:
    jobs = [_frozen(launcher) for _ in range(4)]
    os.kill(jobs[0][1], signal.SIGKILL)
    wait_until(lambda: driver_pids(jobs[0][0]), lambda found: not found)
    started = time.monotonic()
    ended = launcher.close(grace_s=2)
    assert 2 <= time.monotonic() - started < 6
    assert ended == [(job, 1) for job, _ in jobs[1:]]
    assert [psutil.pid_exists(pid) for _, pid in jobs] == [False] * 4


def test_an_ended_driver_is_no_zombie_once_it_was_tidied_and_its_end_is_still_told(launcher: ChildProcessLauncher) -> None:
    job, pid = _frozen(launcher)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: psutil.Process(pid).status(), lambda status: status == psutil.STATUS_ZOMBIE)
    launcher.tidy()
    assert not psutil.pid_exists(pid)
    assert launcher.ended(job, 1) == Exit(f"the driver ended with signal 9; its log says more: logs/{job}-1.log")
    assert launcher.ended(job, 1) is None


def test_how_a_driver_ended_names_its_log_below_home_and_no_path(launcher: ChildProcessLauncher, settings: Settings) -> None:
    """A driver whose job is not in the database."""
    launcher.launch("unknown", 1)
    ended = wait_until(lambda: launcher.ended("unknown", 1), lambda seen: seen is not None)
    assert ended == Exit("the driver ended with exit status 1; its log says more: logs/unknown-1.log")
    assert "there is no job 'unknown'" in log_path(settings, "unknown", 1).read_text()


def test_what_an_ended_driver_left_is_killed_even_if_it_is_frozen(
    launcher: ChildProcessLauncher, settings: Settings, marked: subprocess.Popen[bytes]
) -> None:
    launcher.launch("other", 1)
    launcher.stop("other", 1, grace_s=0)
    assert marked.poll() is None  # another driver's
    launcher.launch("lost", 1)  # clears what it finds under its own name
    assert marked.poll() is not None
    launcher.stop("lost", 1, grace_s=0)
    assert scratch_folders(settings) == []


def test_scratch_of_drivers_that_died_with_their_service_is_cleared_by_the_next(
    settings: Settings, marked: subprocess.Popen[bytes], launcher: ChildProcessLauncher
) -> None:
    job, _ = _frozen(launcher)  # of another service on the same home, still at work
    living = scratch_folder(settings, job, 1)
    make_scratch(living)
    ChildProcessLauncher(settings).tidy()
    assert marked.poll() is not None
    assert scratch_folders(settings) == [living]
    assert len(driver_pids(job)) == 1


LAUNCH = """
import sys, time
from nas_service.settings import Settings
from workers.child_processes import ChildProcessLauncher
ChildProcessLauncher(Settings()).launch(sys.argv[1], 1)
print("launched", flush=True)
time.sleep(100)
"""


def test_a_later_service_process_ends_the_driver_of_one_that_was_killed(
    settings: Settings, launcher: ChildProcessLauncher
) -> None:
    job = new_id()
    environment = {**os.environ, **settings.environment()}
    with subprocess.Popen([sys.executable, "-c", LAUNCH, job], env=environment, stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        service.stdout.readline()
        service.kill()
    (pid,) = wait_until(lambda: driver_pids(job), lambda found: len(found) == 1)
    os.kill(pid, signal.SIGSTOP)
    make_scratch(scratch_folder(settings, job, 1))
    launcher.tidy()
    assert len(driver_pids(job)) == 1
    assert launcher.ended(job, 1) is None
    launcher.stop(job, 1, grace_s=0.5)
    assert driver_pids(job) == []
    assert scratch_folders(settings) == []


def test_every_driver_with_a_ray_of_its_own_gets_a_token_of_its_own(launcher: ChildProcessLauncher, settings: Settings) -> None:
    """In its environment, which only its user can read; not on its command line."""
    tokens = []
    for job, pid in (_frozen(launcher), _frozen(launcher)):
        driver = psutil.Process(pid)
        assert driver.environ()[SCRATCH_VARIABLE] == driver.environ()["RAY_TMPDIR"] == str(scratch_folder(settings, job, 1))
        assert driver.environ()["RAY_AUTH_MODE"] == "token"
        tokens.append(driver.environ()["RAY_AUTH_TOKEN"])
        assert not any(tokens[-1] in word for word in driver.cmdline())
    assert len(set(tokens)) == 2
    assert {len(token) for token in tokens} == {64}


def test_a_driver_that_joins_a_cluster_is_left_its_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-the-cluster")
    launcher = ChildProcessLauncher(settings.model_copy(update={"ray_address": "head:6379"}))
    environment = launcher._environment(Path("scratch"))
    assert environment.items() >= {("RAY_AUTH_TOKEN", "of-the-cluster")}
    assert "RAY_TMPDIR" not in environment


def test_this_service_is_never_among_what_is_ended(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if it was itself started with the mark of the folder that is cleared."""
    monkeypatch.setenv(SCRATCH_VARIABLE, str(scratch_folder(settings, "job", 1)))
    ChildProcessLauncher(settings).stop("job", 1, grace_s=0)
    assert os.getpid() not in {entry.process.pid for entry in running()}


def test_children_that_ended_are_buried_once_however_many_threads_look(launcher: ChildProcessLauncher) -> None:
    """As when a service ends while its controller is in mid-step."""
    jobs = [_frozen(launcher) for _ in range(4)]
    for _, pid in jobs[1:]:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: psutil.Process(pid).status(), lambda status: status == psutil.STATUS_ZOMBIE)  # type: ignore[misc]
    with ThreadPoolExecutor(8) as pool:
        looks = [pool.submit(launcher.tidy) for _ in range(3)]
        ends = [pool.submit(launcher.ended, job, 1) for job, _ in jobs]
        closed = pool.submit(launcher.close, grace_s=0)
    assert closed.result() == [(jobs[0][0], 1)]
    assert [look.result() for look in looks] == [None] * 3
    assert ends[0].result() is None
    assert launcher.ended(jobs[0][0], 1) is None  # `close` named it, and whoever closed gives its job back


def test_nothing_is_launched_once_the_launcher_is_closed(launcher: ChildProcessLauncher) -> None:
    """Nobody would end it."""
    launcher.close(grace_s=0)
    with pytest.raises(NotReadyError, match="this service ends"):
        launcher.launch("job", 1)
    assert driver_pids("job") == []

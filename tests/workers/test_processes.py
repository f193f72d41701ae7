"""Which processes a driver started, and that they end, and nobody else's."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_until
from workers.processes import driver_command, end_driver, end_leftovers, family, running
from workers.scratch import SCRATCH_VARIABLE

Start = Callable[[Path | None], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts two processes in a session of their own, marked with a scratch folder or not."""
    started: list[psutil.Process] = []

    def start_two(scratch: Path | None) -> subprocess.Popen[bytes]:
        mark = {} if scratch is None else {SCRATCH_VARIABLE: str(scratch)}
        # exec: the shell becomes the command, and what it put into the background stays its child
        command = ["/bin/sh", "-c", "sleep 100 & exec sleep 100"]
        leader = subprocess.Popen(command, start_new_session=True, env={**os.environ, **mark})
        wait_until(lambda: _in_session(leader.pid), lambda found: found == 2)
        started.extend([psutil.Process(leader.pid), *psutil.Process(leader.pid).children()])
        return leader

    yield start_two
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(started, timeout=5)


def _in_session(session: int) -> int:
    return sum(entry.session == session for entry in running())


def test_everything_marked_ends_even_if_it_is_frozen_and_nothing_else(start: Start, tmp_path: Path) -> None:
    one, two, neighbour, stranger = start(tmp_path), start(tmp_path), start(tmp_path / "x"), start(None)
    os.kill(one.pid, signal.SIGSTOP)
    end_leftovers(tmp_path)
    assert [_in_session(process.pid) for process in (one, two, neighbour, stranger)] == [0, 0, 2, 2]


def test_everything_in_the_session_ends_even_without_a_mark(start: Start, tmp_path: Path) -> None:
    """As after a process that cleans its environment."""
    driver, stranger = start(None), start(None)
    os.kill(driver.pid, signal.SIGKILL)
    os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOWAIT)  # it ended, and its number is still its own
    assert _in_session(driver.pid) == 1
    end_leftovers(tmp_path, session=driver.pid)
    assert [_in_session(process.pid) for process in (driver, stranger)] == [0, 2]


def test_what_hides_its_environment_is_found_by_the_session_of_what_does_not(tmp_path: Path) -> None:
    """As Ray's agents do, after the driver is gone for good."""
    hidden = "env -i sleep 100 & sleep 100 & exec sleep 100"
    environment = {**os.environ, SCRATCH_VARIABLE: str(tmp_path)}
    driver = subprocess.Popen(["/bin/sh", "-c", hidden], start_new_session=True, env=environment)
    wait_until(lambda: len(family(tmp_path)), lambda found: found == 3)
    driver.kill()
    driver.wait()
    assert len(family(tmp_path)) == 2
    end_leftovers(tmp_path)
    assert _in_session(driver.pid) == 0


def test_a_marked_process_in_a_strangers_session_does_not_draw_the_stranger_in(tmp_path: Path) -> None:
    """Somebody started it by hand, from a terminal."""
    command = f"{SCRATCH_VARIABLE}={tmp_path} sleep 100 & exec sleep 100"
    stranger = subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True)
    wait_until(lambda: len(family(tmp_path)), lambda found: found == 1)
    end_leftovers(tmp_path)
    assert _in_session(stranger.pid) == 1
    stranger.kill()
    stranger.wait()


def test_this_process_and_zombies_are_not_among_those_that_run(start: Start) -> None:
    process = start(None)
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not {process.pid, os.getpid()} & {entry.process.pid for entry in running()}


def test_only_the_driver_of_the_attempt_is_found(tmp_path: Path) -> None:
    """By its command line: a frozen Python that has loaded nothing yet will do."""
    started = []
    for attempt in (1, 11):
        started.append(subprocess.Popen(driver_command("job", attempt), start_new_session=True))
        started[-1].send_signal(signal.SIGSTOP)
    end_driver("job", 1, tmp_path, grace_s=0.2)
    assert [process.poll() is None for process in started] == [False, True]
    started[1].kill()
    started[1].wait()
    assert driver_command("job", 1)[0] == sys.executable

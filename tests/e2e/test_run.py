"""`nas search run` as a process of its own: the whole line in one command, and how it ends."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from api.commands.embedded import _unwinding
from tests.processes import driver_pids
from tests.waiting import wait_until

pytestmark = pytest.mark.ray

SPEC = {"space": "tiny", "evaluation": {"max_steps": 1, "train_fraction": 0.1, "validation_images": 50}, "keep": 3}
SEARCH = {"NAS_OBJECT_STORE_BYTES": "100000000", "NAS_POLL_S": "0.1", "PYTHONUNBUFFERED": "1"}


def _run(folder: Path, *words: str) -> subprocess.Popen[str]:
    (folder / "spec.json").write_text(json.dumps(SPEC))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAS_")} | SEARCH
    command = [sys.executable, "-m", "api.cli", "search", "run", "--spec", "spec.json", *words]
    # The tests may run under nohup or in the background, where these are ignored, which children inherit.
    earlier = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)}
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment)
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@pytest.mark.slow
def test_a_spec_without_training_ends_with_the_architectures_that_were_found(tmp_path: Path) -> None:
    process = _run(tmp_path)
    lines = [line.strip() for line in process.communicate()[0].splitlines()]
    assert process.returncode == 0
    assert "architectures" in lines
    assert sum(bool(re.search(r"[0-9a-f-]{36}.*[0-9a-f-]{36}", line)) for line in lines) == SPEC["keep"]
    assert lines[-1].startswith("trained: nothing, since the spec has no training")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_run_that_is_ended_leaves_neither_service_nor_driver(number: signal.Signals, tmp_path: Path) -> None:
    process = _run(tmp_path)
    assert process.stdout is not None
    address = process.stdout.readline().split()[1]
    job_id = process.stdout.readline().split()[1]
    wait_until(lambda: driver_pids(job_id), bool)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 128 + number
    assert driver_pids(job_id) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz")


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupted_run_cancels_its_own_search_and_says_so(times: int, tmp_path: Path) -> None:
    """So that the next run in the same home does not begin with what nobody wants any more; also for the impatient."""
    process = _run(tmp_path, "--set", "strategy.settings.samples_per_arm=400")
    assert process.stdout is not None
    process.stdout.readline()
    job_id = process.stdout.readline().split()[1]
    wait_until(lambda: driver_pids(job_id), bool)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.7)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert re.search(rf"interrupted: search {job_id} is (being )?cancelled; what was found is kept", said)
    with closing(sqlite3.connect(tmp_path / ".nas" / "nas.db")) as database:
        assert database.execute("SELECT id, state FROM jobs").fetchall() == [(job_id, "cancelled")]
    assert driver_pids(job_id) == []


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As `nohup` asks for."""
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _unwinding():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, earlier)


@pytest.mark.slow
def test_a_run_that_is_to_go_on_serving_ends_well_with_ctrl_c(tmp_path: Path) -> None:
    process = _run(tmp_path, "--keep", "--set", "strategy=random", "--set", "strategy.settings.samples=3")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.readline()
    page = process.stdout.readline().removeprefix("its page: ").strip()
    said = wait_until(process.stderr.readline, lambda line: "still serving" in line or not line)
    assert page in said
    assert httpx.get(page).status_code == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0

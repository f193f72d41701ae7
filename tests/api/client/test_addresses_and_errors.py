"""Where the client finds its service, and that nothing of httpx comes out of it."""

import asyncio
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from api.async_client import AsyncNasClient
from api.client import AddressError, ApiError, BrokenReplyError, NasClient, NasError, NotReadyError, UnansweredError

NOBODY = "http://127.0.0.1:1"


@contextmanager
def _answering(status: int, body: bytes) -> Iterator[str]:
    """Serve one reply to everything, as another program may that listens there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_address_is_that_of_the_environment_unless_one_is_given(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("NAS_URL", url)
    with NasClient() as client:
        assert client.readiness().status == "ready"
    monkeypatch.setenv("NAS_URL", NOBODY)
    with NasClient(url) as client:
        assert client.readiness().status == "ready"
    monkeypatch.delenv("NAS_URL")
    assert NasClient().url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("given", ["127.0.0.1:8177", "localhost:8000", "nowhere://x", "http://", "http://[::", "", "\x1b[31m"])
@pytest.mark.parametrize("kind", [NasClient, AsyncNasClient])
def test_an_address_that_is_none_is_one_sentence(kind: Callable[[str], object], given: str) -> None:
    with pytest.raises(AddressError) as caught:
        kind(given)
    said = str(caught.value)
    assert said.endswith("is no address of a service; allowed: http://HOST:PORT, with --url, NasClient(url) or NAS_URL")
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "ask",
    [
        NasClient.readiness,
        lambda nas: nas.search("x"),
        lambda nas: nas.search(space="tiny"),
        lambda nas: list(nas.jobs()),
        lambda nas: nas.download("candidates", "x"),
        lambda nas: nas.save("candidates", "x", "/tmp"),  # noqa: S108 - nothing is written
    ],
)
def test_a_service_that_is_not_there_is_told_by_its_address(ask: Callable[[NasClient], object]) -> None:
    with NasClient(NOBODY) as nas, pytest.raises(UnansweredError, match=f"^no service answers at {NOBODY}/ ") as caught:
        ask(nas)
    assert (caught.value.url, caught.value.is_reached) == (NOBODY, False)
    assert "nas serve" in str(caught.value)


def test_the_asynchronous_client_has_the_same_errors() -> None:
    async def ask() -> None:
        async with AsyncNasClient(NOBODY) as nas:
            await nas.readiness()

    with pytest.raises(UnansweredError, match=f"^no service answers at {NOBODY}/ "):
        asyncio.run(ask())


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b"\xff\x00", b""])
def test_a_reply_that_is_none_of_this_service_is_told(body: bytes) -> None:
    with _answering(200, body) as url, NasClient(url) as nas:
        for ask in (lambda: nas.search("x"), nas.readiness, lambda: list(nas.arms("x"))):
            with pytest.raises(BrokenReplyError, match=f"^what {url} answered to GET /[a-z0-9/]* is no reply of this service"):
                ask()


def test_a_refusal_without_words_has_its_status(url: str) -> None:
    with _answering(599, b"") as other, NasClient(other) as nas, pytest.raises(ApiError) as caught:
        nas.readiness()
    assert caught.value.problem.status == 599


def test_a_stream_that_breaks_its_form_is_told(nas: NasClient) -> None:
    job = nas.search(space="tiny")
    broken = pytest.raises(BrokenReplyError, match="is no reply of this service")
    with _answering(200, b"data: {\n\n") as url, NasClient(url) as other, broken:
        list(other.stream(job))


def test_a_connection_that_is_given_up_within_a_download_leaves_no_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def break_off() -> None:
            connection, _ = listening.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            connection.close()

        thread = threading.Thread(target=break_off)
        thread.start()
        with NasClient(f"http://127.0.0.1:{listening.getsockname()[1]}") as nas, pytest.raises(UnansweredError):
            nas.save("candidates", "x", tmp_path / "x.zip")
        thread.join()
    assert list(tmp_path.iterdir()) == []


def test_all_errors_are_of_one_family_and_cross_processes() -> None:
    for kind in (AddressError, ApiError, BrokenReplyError, NotReadyError, UnansweredError):
        assert issubclass(kind, NasError)
    with NasClient(NOBODY) as nas, pytest.raises(NasError) as caught:
        nas.readiness()
    copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert (str(copied), copied.url, copied.asked) == (str(caught.value), NOBODY, "GET /readyz")

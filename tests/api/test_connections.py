"""Connections: clients that dawdle lose theirs, those that ask are answered, and streams are left alone."""

import asyncio
import contextlib
import errno
import itertools
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.requests import Request
from structlog.testing import capture_logs

from api.connections import ConnectionLimits, LoopTrouble
from api.limits import BodyLimit
from tests.serving import HALF_BODY, HALF_BODY_OF_A_GET, HALF_HEADERS, in_thread, is_closed, slow_clients

LARGE_BYTES = 30_000_000
FEW = ConnectionLimits(connections=10, header_s=30.0)
QUICK = ConnectionLimits(connections=50, header_s=1.0, stalled_s=1.0)


@pytest.fixture
def app() -> FastAPI:
    """Return an application with a stream, a large reply, a slow one, and one that leaves the body unread."""
    made = FastAPI()
    made.add_middleware(BodyLimit, limit_bytes=1_000_000, limit_s=1.0)

    @made.get("/ping")
    async def ping() -> str:
        return "pong"

    @made.get("/large")
    async def large() -> PlainTextResponse:
        return PlainTextResponse("x" * LARGE_BYTES)

    @made.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(2)
        return "done"

    @made.post("/v1/searches")
    async def searches(request: Request) -> int:
        return len(await request.body())

    @made.get("/stream")
    async def stream(request: Request) -> StreamingResponse:
        async def numbers() -> AsyncIterator[str]:
            for number in itertools.count():
                if await request.is_disconnected():
                    return
                yield f"{number}\n"
                await asyncio.sleep(0.5)

        return StreamingResponse(numbers())

    return made


def _connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30)


def _ask(client: socket.socket, path: str) -> None:
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


@pytest.mark.parametrize("sent", [b"", HALF_HEADERS, HALF_BODY, HALF_BODY_OF_A_GET], ids=["none", "headers", "body", "get"])
def test_clients_without_a_whole_request_never_keep_others_out(app: FastAPI, sent: bytes) -> None:
    with in_thread(app, FEW) as url, slow_clients(url, 40, sent) as clients:
        for _ in range(5):
            assert httpx.get(f"{url}/ping").json() == "pong"
        closed = [is_closed(client, 0.2) for client in clients]
        assert closed[:25] == [True] * 25  # the oldest went first
        if sent in {b"", HALF_HEADERS}:
            assert sum(closed) < 40  # no more than were in the way


def test_headers_that_do_not_come_close_the_connection_also_after_a_first_request(app: FastAPI) -> None:
    with in_thread(app, QUICK) as url, _connect(url) as used, slow_clients(url, 1, HALF_HEADERS) as (fresh,):
        _ask(used, "/ping")
        assert used.recv(1000).startswith(b"HTTP/1.1 200")
        used.sendall(HALF_HEADERS)
        for trickled in b"Length: 1":  # a byte now and then does not help
            time.sleep(0.2)
            try:
                used.sendall(bytes([trickled]))
            except ConnectionError:
                break
        assert is_closed(used, 5)
        assert is_closed(fresh, 5)


def test_a_body_that_does_not_come_is_answered_with_408(app: FastAPI) -> None:
    with in_thread(app, QUICK) as url, slow_clients(url, 1, HALF_BODY) as (client,):
        reply = client.recv(10_000)
        while b"\r\n\r\n{" not in reply:  # headers and body come in parts
            reply += client.recv(10_000)
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in reply
        assert b"urn:nas:problem:body-too-slow" in reply
        assert is_closed(client, 5)  # nor is the rest waited for without limit


def test_an_idle_connection_is_closed_before_one_that_asks(app: FastAPI) -> None:
    with in_thread(app, FEW) as url, slow_clients(url, 5, HALF_HEADERS) as asking, _connect(url) as idle:
        _ask(idle, "/ping")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        with slow_clients(url, 5, HALF_HEADERS) as later:
            assert is_closed(idle, 2)
            assert not any(is_closed(client, 0.2) for client in (*asking, *later))


def test_answers_that_are_under_way_are_kept_and_a_newcomer_is_told_to_come_again(app: FastAPI) -> None:
    with in_thread(app, FEW) as url, slow_clients(url, 10, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n") as clients:
        time.sleep(0.5)
        reply = httpx.get(f"{url}/ping")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert (reply.headers["content-type"], reply.json()["type"]) == ("application/problem+json", "urn:nas:problem:busy")
        assert all(client.recv(1000).startswith(b"HTTP/1.1 200") for client in clients)
        assert httpx.get(f"{url}/ping").json() == "pong"


def _lines(url: str, count: int) -> Iterator[str]:
    with httpx.stream("GET", f"{url}/stream", timeout=10) as reply:
        yield from itertools.islice(reply.iter_lines(), count)


def test_a_stream_outlives_every_limit(app: FastAPI) -> None:
    """Four seconds of it, where bodies, headers and stalled clients have one, and others crowd in."""
    with in_thread(app, ConnectionLimits(connections=10, header_s=1.0, stalled_s=1.0)) as url:
        seen: list[str] = []
        reader = threading.Thread(target=lambda: seen.extend(_lines(url, 8)))
        reader.start()
        for _ in range(4):
            with slow_clients(url, 20, HALF_BODY):
                time.sleep(0.8)
        reader.join()
        assert seen == [str(number) for number in range(8)]


def test_a_client_that_takes_nothing_of_its_reply_is_dropped(app: FastAPI) -> None:
    """What the kernels hold it gets when it wakes up; the rest is gone."""
    with in_thread(app, QUICK) as url, _connect(url) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
        _ask(client, "/large")
        time.sleep(5 * QUICK.stalled_s)
        got = 0
        with contextlib.suppress(ConnectionError):
            while part := client.recv(400_000):
                got += len(part)
        assert 0 < got < LARGE_BYTES


def test_a_client_that_takes_its_reply_slowly_gets_all_of_it(app: FastAPI) -> None:
    with in_thread(app, QUICK) as url, _connect(url) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
        _ask(client, "/large")
        got, begun = 0, time.monotonic()
        while got < LARGE_BYTES:
            got += len(client.recv(400_000))
            time.sleep(0.03)
        assert time.monotonic() - begun > 2 * QUICK.stalled_s


def test_the_limit_of_connections_leaves_handles_for_everything_else() -> None:
    allowed = {handles: ConnectionLimits.of_handles(handles, 1.0).connections for handles in (64, 256, 1024, 65_536)}
    assert allowed == {64: 32, 256: 128, 1024: 896, 65_536: 4096}


def test_a_loop_without_file_handles_says_so_once_in_a_while() -> None:
    """The event loop reports each of its attempts to take a connection: 35 MB of log in 42 s."""
    loop, trouble = asyncio.new_event_loop(), LoopTrouble()
    with capture_logs() as logs:
        for _ in range(100):
            trouble(loop, {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "Too many")})
    loop.close()
    assert [entry["event"] for entry in logs] == ["server.out_of_file_handles"]

"""Services on real sockets: an application in a thread, or `nas serve` as a process of its own."""

import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI

from api.connections import ConnectionLimits, GuardedConfig
from api.deps import Service
from api.server import GuardedServer, listening, url_of
from tests.waiting import wait_until

NAS = (sys.executable, "-m", "api.cli")
ROOMY = ConnectionLimits(connections=100, header_s=30.0)


def _streams_end(app: FastAPI) -> Callable[[], None]:
    """Return what ends the streams of an application, which may be one without any."""
    service = getattr(app.state, "service", None)
    return service.streams.close if isinstance(service, Service) else lambda: None


@contextmanager
def in_thread(app: FastAPI, limits: ConnectionLimits = ROOMY, port: int = 0) -> Iterator[str]:
    """Serve an application, and give its address; port 0 is any free one."""
    with listening("127.0.0.1", port) as sockets:
        server = GuardedServer(
            GuardedConfig(app, limits, log_level="error", timeout_graceful_shutdown=3), lambda: None, _streams_end(app)
        )
        thread = threading.Thread(target=server.run, args=(sockets,))
        address = url_of(sockets)
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive(), bool)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


@dataclass(frozen=True)
class Served:
    """A running `nas serve`."""

    process: subprocess.Popen[str]
    url: str
    log: Path


@contextmanager
def nas_serve(
    home: Path,
    *words: str,
    handles: int | None = None,
    nas: Sequence[str] = NAS,
    shown: str = "127.0.0.1",
    **variables: str,
) -> Iterator[Served]:
    """Run `nas serve` on a free port of this machine, with its log beside the home; it is ended with the block."""
    log = home.parent / f"{home.name}.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAS_")}
    environment |= {"NAS_HOME": str(home), "NAS_OBJECT_STORE_BYTES": "100000000", **variables}

    def limit_handles() -> None:
        if handles is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles))

    with ExitStack() as ending, log.open("w") as written:
        process = subprocess.Popen(
            [*nas, "serve", "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            env=environment,
            preexec_fn=limit_handles,  # noqa: PLW1509 - nothing but a system call
        )
        ending.callback(process.wait)
        ending.callback(process.kill)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"nas-service on http://{shown}:"), log.read_text()
        yield Served(process, line.split()[2].rstrip(","), log)


@contextmanager
def slow_clients(url: str, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that send so much and then nothing."""
    address = urlsplit(url)
    with ExitStack() as opened:
        clients = []
        for _ in range(count):
            client = opened.enter_context(socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30))
            client.sendall(sent)
            clients.append(client)
        yield clients


HALF_HEADERS = b"POST /v1/searches HTTP/1.1\r\nHost: localhost\r\nContent-"
HALF_BODY = b"POST /v1/searches HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
HALF_BODY_OF_A_GET = b"GET /v1/searches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"


def is_closed(client: socket.socket, within_s: float) -> bool:
    """Return whether the other side closes a connection within so many seconds; what it sends before is thrown away."""
    client.settimeout(within_s)
    try:
        while client.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True

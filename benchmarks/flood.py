"""What a tight loop of requests does to others: `python -m benchmarks.flood`.

A real service, `nas serve` as a process of its own that asks for keys, gets 100,000 requests as fast as a process with eight
connections can send them: with one valid key, with keys that are none, with cookies that are none, with Basic authentication, and
with none at all. Somebody else with a key of their own, at another address of this machine, asks for a list of jobs ten times a
second before and meanwhile; told are their latencies, the service's memory and how much its log grew.
"""

import argparse
import multiprocessing
import re
import secrets
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

from benchmarks.conditions import conditions
from nas_service.access import Scope, new_cookie, new_key_text
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.schema import upgrade
from nas_service.storage.session import Database
from tests.serving import Served, nas_serve

CONNECTIONS = 8
FLOODS_FROM = "127.0.0.2"  # another address of this machine than that of whoever should be served
ASKS_EVERY_S = 0.1
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)

HEADERS: Mapping[str, Callable[[str], str]] = {
    "one key": lambda key: f"Authorization: Bearer {key}\r\n",
    "wrong keys": lambda _: f"Authorization: Bearer {new_key_text()}\r\n",
    "one wrong key": lambda _: f"Authorization: Bearer nas_{'0' * 12}_{'a' * 43}\r\n",
    "cookies": lambda _: f"Cookie: nas_session={new_cookie()}\r\n",
    "Basic": lambda _: f"Authorization: Basic {secrets.token_hex(16)}\r\n",
    "no key": lambda _: "",
}


@dataclass(frozen=True)
class Flood:
    """What was seen of one.

    Attributes:
        seconds: It took.
        statuses: Of its replies.
        before_ms: Latencies of somebody else without it.
        during_ms: And with it.
        memory_bytes: Of the service before it and after.
        log_bytes: Written meanwhile.
    """

    seconds: float
    statuses: Mapping[int, int]
    before_ms: list[float]
    during_ms: list[float]
    memory_bytes: tuple[int, int]
    log_bytes: int


def percentile(values: list[float], share: float) -> float:
    """Return the value that so many of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _ask(connection: socket.socket, request: bytes) -> int:
    """Send a request and read its whole reply; return its status."""
    connection.sendall(request)
    received = connection.recv(65_536)
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    left = int(found[1]) - len(body) if found else 0
    while left > 0:
        left -= len(connection.recv(65_536))
    return int(head[9:12])


def _send(address: tuple[str, int], kind: str, key: str, count: int, told: Connection) -> None:
    """Send so many requests through several connections at once; in a process of its own."""
    statuses = Counter[int]()
    made, lock, left = HEADERS[kind], threading.Lock(), iter(range(count))

    def send() -> None:
        own = Counter[int]()
        with socket.create_connection(address, timeout=60, source_address=(FLOODS_FROM, 0)) as connection:
            for _ in left:
                request = f"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n{made(key)}\r\n".encode()
                own[_ask(connection, request)] += 1
        with lock:
            statuses.update(own)

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.send(dict(statuses))


def _latencies(client: httpx.Client, goes_on: Callable[[], bool]) -> list[float]:
    """Ask again and again; return how long each answer took, in ms.

    Raises:
        RuntimeError: If one is refused.
    """
    taken = []
    while goes_on():
        begun = time.perf_counter()
        reply = client.get("/v1/jobs")
        taken.append(1000 * (time.perf_counter() - begun))
        if reply.status_code != httpx.codes.OK:
            message = f"somebody else was refused: {reply.status_code} {reply.text}"
            raise RuntimeError(message)
        time.sleep(ASKS_EVERY_S)
    return taken


def _resident_bytes(served: Served) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{served.process.pid}/status").read_text(encoding="ascii"))
    return 1024 * int(found[1]) if found else 0


def flood(served: Served, kind: str, keys: tuple[str, str], count: int, before_s: float = 5.0) -> Flood:
    """Flood a service with the first key, as a kind of `HEADERS` uses it, while the second one's owner asks."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    hears, tells = multiprocessing.get_context("spawn").Pipe(duplex=False)
    sender = multiprocessing.get_context("spawn").Process(target=_send, args=((host, int(port)), kind, keys[0], count, tells))
    headers = {"Authorization": f"Bearer {keys[1]}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=60, trust_env=False) as client:
        client.get("/v1/jobs")  # the first one opens connections
        quiet_until = time.monotonic() + before_s
        before = _latencies(client, lambda: time.monotonic() < quiet_until)
        memory, written = _resident_bytes(served), served.log.stat().st_size
        begun = time.perf_counter()
        sender.start()
        during = _latencies(client, lambda: not hears.poll())
        seconds = time.perf_counter() - begun
    statuses: dict[int, int] = hears.recv()
    sender.join()
    after = _resident_bytes(served)
    return Flood(seconds, statuses, before, during, (memory, after), served.log.stat().st_size - written)


@contextmanager
def asking_for_keys(home: Path) -> Iterator[tuple[Served, tuple[str, str]]]:
    """Run a service that asks for keys; give it with two of them, of two owners."""
    settings = Settings(home=home)
    upgrade(settings.database)
    database = Database(settings.database)
    with database.write() as session:
        first, second = (access_keys.create_key(session, owner, Scope.READ, timedelta(days=1))[1] for owner in ("ada", "grace"))
    database.close()
    with nas_serve(home, NAS_REQUIRE_KEYS="true", NAS_CONTROLLER="false") as served:
        yield served, (first, second)


def main() -> None:
    """Flood a service with every kind, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flood", description="Flood a service; see how others fare.")
    parser.add_argument("--requests", type=int, default=100_000, help="requests of each kind")
    parser.add_argument("--kind", action="append", choices=[*HEADERS], help="only this kind; may be repeated")
    asked = parser.parse_args()
    print(f"{conditions()}; {asked.requests:,} requests of each kind through {CONNECTIONS} connections\n")
    print(
        "| flood | seconds | replies | others before, p50 / p99 ms | others meanwhile, p50 / p99 ms | memory, MB | log, bytes |"
    )
    print("|---|---|---|---|---|---|---|")
    with ExitStack() as opened:
        home = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "home"
        home.mkdir()
        served, keys = opened.enter_context(asking_for_keys(home))
        for kind in asked.kind or HEADERS:
            seen = flood(served, kind, keys, asked.requests)
            replies = ", ".join(f"{count:,} x {status}" for status, count in sorted(seen.statuses.items()))
            figures = " | ".join(
                f"{percentile(taken, 0.5):.1f} / {percentile(taken, 0.99):.1f}" for taken in (seen.before_ms, seen.during_ms)
            )
            memory = " -> ".join(f"{entry / 1e6:.1f}" for entry in seen.memory_bytes)
            print(f"| {kind} | {seen.seconds:.0f} | {replies} | {figures} | {memory} | {seen.log_bytes:,} |", flush=True)


if __name__ == "__main__":
    main()

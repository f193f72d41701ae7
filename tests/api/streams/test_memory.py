"""Viewers cost little memory, and give it back; measured on a service that is a process of its own."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil

from nas_service.storage.session import Database
from tests.api.streams.conftest import Running
from tests.serving import Served, nas_serve

VIEWERS = 50
MB = 1_000_000


def _own_bytes(served: Served) -> int:
    """Return the memory that would be free if the service ended."""
    found: int = psutil.Process(served.process.pid).memory_full_info().uss
    return found


@contextmanager
def _watched(served: Served, running: Running) -> Iterator[None]:
    """Open streams that have told all that there is, and go on."""
    with ExitStack() as opened, httpx.Client(limits=httpx.Limits(max_connections=VIEWERS)) as client:
        for _ in range(VIEWERS):
            reply = opened.enter_context(client.stream("GET", f"{served.url}{running.path}/stream?after=0", timeout=30))
            lines = reply.iter_lines()
            while "running" not in next(lines):
                pass
        yield


def test_50_viewers_take_less_than_300_kb_each_and_the_next_50_take_the_same(tmp_path: Path, sqlite_template: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(sqlite_template, home / "nas.db")
    database = Database(f"sqlite:///{home / 'nas.db'}")
    running = Running(database)
    with nas_serve(home, NAS_CONTROLLER="false") as served:
        with httpx.stream("GET", f"{served.url}{running.path}/stream", timeout=120) as reply:
            next(reply.iter_lines())  # what the first of all streams loads is nobody's own
        before = _own_bytes(served)
        with _watched(served, running):
            first = _own_bytes(served)
        with _watched(served, running):
            second = _own_bytes(served)
    database.close()
    print(f"{(first - before) / VIEWERS} bytes a viewer, {second - first} more for the second {VIEWERS}")  # noqa: T201 - the figure
    assert (first - before) / VIEWERS < 0.3 * MB
    assert second - first < 2 * MB

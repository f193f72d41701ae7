"""Watching goes on while the service is away for a moment, and says so once."""

import io
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from api import patience
from api.app import create_app
from api.client import NasClient
from api.console import watch_search
from api.patience import patiently
from api.refusals import ApiError
from nas_service.connections import AddressError
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.clusters import free_port
from tests.serving import in_thread, nas_serve
from tests.waiting import wait_until


class _Proxy:
    """Answers as what stands before a service may, one reply after another; the last one for good."""

    def __init__(self, *replies: httpx.Response) -> None:
        self._replies = list(replies)
        self.asked_at: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        del request
        self.asked_at.append(time.monotonic())
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def _away(status: int = 503, retry_after: str | None = None) -> httpx.Response:
    return httpx.Response(status, text="away", headers={} if retry_after is None else {"Retry-After": retry_after})


def _client(proxy: _Proxy) -> NasClient:
    client = NasClient("http://localhost")
    client._http = httpx.Client(transport=httpx.MockTransport(proxy), base_url="http://localhost")
    return client


def _ask(client: NasClient, said: list[str]) -> list[object]:
    return patiently(lambda: list(client.searches()), said.append)


PAGE: dict[str, object] = {"items": [], "next": None}


def test_a_service_that_says_when_to_come_again_is_asked_then() -> None:
    proxy, said = _Proxy(_away(retry_after="2"), httpx.Response(200, json=PAGE)), list[str]()
    assert _ask(_client(proxy), said) == []
    assert 2 <= proxy.asked_at[1] - proxy.asked_at[0] < 4  # 2 for a busy machine
    assert said == ["waiting up to 120 s for the service: Service Unavailable: away"]


def test_what_is_waited_for_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ASK_EVERY_S", 0.01)
    proxy, said = _Proxy(*(_away(status) for status in (429, 502, 503, 504)), httpx.Response(200, json=PAGE)), list[str]()
    assert _ask(_client(proxy), said) == []
    assert len(said) == 1


@pytest.mark.parametrize("reply", [_away(404), _away(500), _away(503, "121")])
def test_a_refusal_or_a_wait_that_is_too_long_ends_it_at_once(reply: httpx.Response) -> None:
    proxy, said = _Proxy(reply), list[str]()
    with pytest.raises(ApiError):
        _ask(_client(proxy), said)
    assert (len(proxy.asked_at), said) == (1, [])


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ASK_EVERY_S", 0.05)
    monkeypatch.setattr(patience, "LIMIT_S", 0.2)
    with pytest.raises(ApiError, match="away"):
        _ask(_client(_Proxy(_away())), [])


def test_an_address_that_is_none_is_not_waited_for() -> None:
    with pytest.raises(AddressError):
        NasClient("nowhere://x")


def test_a_search_is_watched_to_its_end_while_the_service_restarts(settings: Settings) -> None:
    port, printed = free_port(), io.StringIO()
    screen = Console(file=printed, width=200)
    ended: list[str] = []

    def watch() -> None:
        with NasClient(f"http://127.0.0.1:{port}") as client:
            ended.extend(job.state for job in watch_search(client, job_id, screen))

    with in_thread(create_app(settings), port=port) as url, NasClient(url) as client:
        job_id = client.submit_search({"space": "tiny"}).id
        watching = threading.Thread(target=watch)
        watching.start()
        wait_until(printed.getvalue, lambda text: "search queued" in text)
    wait_until(printed.getvalue, lambda text: "waiting up to 120 s" in text)
    database = Database(settings.database)
    with database.write() as session:
        jobs.request_cancel(session, job_id, jobs.SEARCH)
        jobs.move(session, job_id, JobState.CANCELLED)
    database.close()
    with in_thread(create_app(settings), port=port):
        watching.join(60)
    assert ended == [JobState.CANCELLED]


@pytest.mark.slow
def test_the_command_goes_on_watching_when_the_service_was_killed_and_started_anew(tmp_path: Path) -> None:
    home, port = tmp_path / "home", str(free_port())
    served = partial(nas_serve, home, "--port", port, NAS_CONTROLLER="false")
    command = [sys.executable, "-m", "api.cli", "search", "watch", "latest", "--url", f"http://127.0.0.1:{port}"]
    with served() as first, NasClient(first.url) as client:
        job_id = client.submit_search({"space": "tiny"}).id
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            assert "search queued" in watching.stdout.readline()
            first.process.kill()
            first.process.wait()
            assert "waiting up to 120 s for the service" in watching.stdout.readline()
            with served() as second, NasClient(second.url) as again:
                again.cancel_search(job_id)
                rest = watching.stdout.read() if _ended(home, job_id) else ""
    assert (watching.returncode, "search cancelled" in rest) == (1, True)


def _ended(home: Path, job_id: str) -> bool:
    """Do what a controller would: there is none."""
    database = Database(Settings(home=home).database)
    with database.write() as session:
        is_moved = jobs.move(session, job_id, JobState.CANCELLED)
    database.close()
    return is_moved

"""Streams over real sockets: every event once and in order, whatever happens to clients, services and the number of viewers."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, text

from api.app import create_app
from api.client import NasClient
from api.following import StreamMessage, parse
from api.streams.hub import StreamHub
from nas_service.settings import Settings
from tests.api.streams.conftest import Running
from tests.serving import in_thread
from tests.waiting import wait_until
from workers.launchers import create_launcher

EVENTS = 60


@contextmanager
def _stream(url: str, after: int | None = None, last_event_id: int | None = None) -> Iterator[Iterator[StreamMessage]]:
    params = {} if after is None else {"after": after}
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    with httpx.stream("GET", url, params=params, headers=headers, timeout=30) as reply:
        assert reply.status_code == HTTPStatus.OK, reply.read()
        yield parse(reply.iter_lines())


def _indices(messages: list[StreamMessage]) -> list[int]:
    return [message.data["index"] for message in messages if message.kind == "best"]


@contextmanager
def _written(running: Running, count: int, every_s: float = 0.02) -> Iterator[list[float]]:
    """Write events in a thread; the list fills with the moments at which they were committed."""
    moments: list[float] = []

    def write() -> None:
        for index in range(count):
            running.tell(index)
            moments.append(time.monotonic())
            time.sleep(every_s)
        running.end()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield moments
    finally:
        thread.join()


def test_a_client_that_drops_its_stream_20_times_has_every_event_once(settings: Settings, running: Running) -> None:
    taken: list[StreamMessage] = []
    drops = 0
    with in_thread(create_app(settings)) as url, _written(running, EVENTS):
        is_over = False
        while not is_over:
            last = max((message.id for message in taken if message.id is not None), default=0)
            with _stream(f"{url}{running.path}/stream", last_event_id=last) as messages:
                news = 0
                for message in messages:
                    taken.append(message)
                    is_over = message.kind == "end"
                    news += message.id is not None
                    if news == 3 and drops < 20:
                        drops += 1
                        break
    assert drops == 20
    assert _indices(taken) == list(range(EVENTS))
    ids = [message.id for message in taken if message.id is not None]
    assert ids == sorted(set(ids))
    assert [message.data["state"] for message in taken if message.kind == "state"] == [
        "queued",
        "starting",
        "running",
        "succeeded",
    ]


def test_the_clients_generator_comes_back_by_itself(settings: Settings, running: Running) -> None:
    """The service is stopped and started again on the same port in the middle."""
    with ExitStack() as first:
        url = first.enter_context(in_thread(create_app(settings)))
        port = int(url.rpartition(":")[2])
        with NasClient(url) as client:
            messages = client.stream(client.search(running.id))
            assert next(messages).kind == "progress"
            running.tell(0)
            assert next(messages).data["index"] == 0
            first.close()
            running.tell(1)
            with in_thread(create_app(settings), port=port):
                running.tell(2)
                running.end()
                assert _indices(list(messages)) == [1, 2]


def test_progress_comes_first_and_again_when_it_changed_and_a_finished_job_ends_at_once(
    settings: Settings, running: Running
) -> None:
    with in_thread(create_app(settings)) as url:
        with _stream(f"{url}{running.path}/stream") as messages:
            first = next(messages)
            assert (first.kind, first.data["state"], first.id) == ("progress", "running", None)
            running.end()
            rest = list(messages)
        assert [message.kind for message in rest] == ["progress", "state", "end"]
        with _stream(f"{url}{running.path}/stream") as messages:
            assert [message.kind for message in messages] == ["progress", "end"]
        with _stream(f"{url}{running.path}/stream", after=0) as messages:
            assert [message.kind for message in messages] == ["progress", "state", "state", "state", "state", "end"]


def test_a_page_that_loads_and_then_streams_loses_and_repeats_nothing(settings: Settings, running: Running) -> None:
    running.tell(0)
    with in_thread(create_app(settings)) as url:
        view = httpx.get(f"{url}{running.path}").json()
        running.tell(1)
        running.end()
        with _stream(f"{url}{running.path}/stream", after=view["last_event"]) as messages:
            assert _indices(list(messages)) == [1]


def test_a_long_history_is_replayed_whole(settings: Settings, running: Running) -> None:
    for index in range(450):  # more than two pages of the replay
        running.tell(index)
    running.end()
    with in_thread(create_app(settings)) as url, _stream(f"{url}{running.path}/stream", after=0) as messages:
        assert _indices(list(messages)) == list(range(450))


def test_two_services_on_one_database_stream_the_same(settings: Settings, running: Running) -> None:
    def read(url: str) -> list[StreamMessage]:
        with _stream(f"{url}{running.path}/stream", after=0) as messages:
            return [message for message in messages if message.id is not None]

    with (
        in_thread(create_app(settings)) as one,
        in_thread(create_app(settings)) as other,
        ThreadPoolExecutor() as pool,
        _written(running, EVENTS),
    ):
        told = [reading.result() for reading in [pool.submit(read, url) for url in (one, other)]]
    assert told[0] == told[1]
    assert _indices(told[0]) == list(range(EVENTS))


def test_an_event_is_at_the_client_within_a_second_of_its_commit(settings: Settings, running: Running) -> None:
    came = []
    with in_thread(create_app(settings)) as url, _stream(f"{url}{running.path}/stream") as messages:
        next(messages)
        with _written(running, EVENTS, 0.1) as committed:
            came += [time.monotonic() for message in messages if message.kind == "best"]
    waits = [arrival - commit for arrival, commit in zip(came, committed, strict=True)]
    assert statistics.quantiles(waits, n=20)[-1] < 1, waits


def _reads(app: FastAPI, url: str, running: Running, viewers: int) -> float:
    """Return how many statements one look at the database takes while so many watch."""
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    service = app.state.service
    with ExitStack() as watching:
        streams = [watching.enter_context(_stream(f"{url}{running.path}/stream")) for _ in range(viewers)]
        for stream in streams:
            next(stream)
        event.listen(service.database.engine, "before_cursor_execute", count)
        looks = service.streams.looks
        wait_until(lambda: service.streams.looks - looks, lambda made: made >= 12)
        event.remove(service.database.engine, "before_cursor_execute", count)
        found: float = statements / (service.streams.looks - looks)
    wait_until(lambda: service.streams.viewers, lambda left: left == 0)
    return found


def test_50_viewers_cost_as_many_reads_as_one_and_nobody_watching_none(settings: Settings, running: Running) -> None:
    app = create_app(settings)
    with in_thread(app) as url:
        one, many = _reads(app, url, running, 1), _reads(app, url, running, 50)
        assert many == pytest.approx(one, rel=0.1)
        looks = app.state.service.streams.looks
        time.sleep(1)  # four looks, if there were any
        assert app.state.service.streams.looks == looks


def test_a_service_that_ends_ends_its_streams_at_once_without_saying_that_the_job_is_over(
    settings: Settings, running: Running
) -> None:
    with ExitStack() as serving, ExitStack() as watching:
        url = serving.enter_context(in_thread(create_app(settings)))
        streams = [watching.enter_context(_stream(f"{url}{path}/stream")) for path in (running.path, "/v1") for _ in range(5)]
        for stream in streams:
            next(stream)
        began = time.monotonic()
        serving.close()
        assert time.monotonic() - began < 2  # less than the 3 s after which what is left would be broken off
        assert [message.kind for stream in streams for message in stream] == []


def test_more_streams_than_are_allowed_are_refused_until_one_is_closed(settings: Settings, running: Running) -> None:
    with in_thread(create_app(settings.model_copy(update={"max_streams": 2}))) as url, ExitStack() as watching:
        address = f"{url}{running.path}/stream"
        streams = [watching.enter_context(_stream(address)) for _ in range(2)]
        refused = httpx.get(address)
        assert (refused.status_code, refused.json()["type"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "urn:nas:problem:busy")
        assert "NAS_MAX_STREAMS" in refused.json()["detail"]
        assert refused.headers["Retry-After"]
        assert httpx.get(f"{url}{running.path}").status_code == HTTPStatus.OK
        assert [next(stream).kind for stream in streams] == ["progress", "progress"]
        watching.close()

        def opens() -> bool:
            with httpx.stream("GET", address) as reply:
                return reply.status_code == HTTPStatus.OK

        wait_until(opens, bool)


@pytest.mark.parametrize("given", ["", "abc", "-1", "1.5", "9" * 30, "\u0661"])
def test_a_last_event_id_that_is_none_is_refused(settings: Settings, running: Running, given: str) -> None:
    with in_thread(create_app(settings)) as url:
        reply = httpx.get(f"{url}{running.path}/stream", headers=[(b"Last-Event-ID", given.encode())])
        assert reply.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        assert [entry["field"] for entry in reply.json()["errors"]] == ["Last-Event-ID"]


def test_what_is_not_there_has_no_stream(settings: Settings, running: Running) -> None:
    with in_thread(create_app(settings)) as url:
        for path in (
            f"/v1/trainings/{running.id}/stream",
            "/v1/searches/nowhere/stream",
            "/v1/searches/*/stream",
            "/v1/searches//stream",
        ):
            assert httpx.get(f"{url}{path}").status_code == HTTPStatus.NOT_FOUND


def test_the_stream_of_all_jobs_tells_moves_and_progress_of_each(settings: Settings, running: Running) -> None:
    with in_thread(create_app(settings)) as url, _stream(f"{url}/v1/stream") as messages:
        first = next(messages)
        assert (first.kind, first.data["job_id"], first.data["kind"]) == ("progress", running.id, "search")
        other = Running(running.database)
        running.tell(0)  # is nothing that this stream tells
        running.end()
        moves: list[tuple[str, str]] = []
        while len(moves) < 4:
            message = next(messages)
            if message.kind == "state":
                assert message.id is not None
                moves.append((message.data["job_id"], message.data["state"]))
            else:
                assert message.kind == "progress"
        mine = [(other.id, state) for state in ("queued", "starting", "running")]
        assert moves == [*mine, (running.id, "succeeded")]
    with in_thread(create_app(settings)) as url, _stream(f"{url}/v1/stream", after=0) as messages:
        replayed = [message.data["state"] for message in (next(messages) for _ in range(8)) if message.kind == "state"]
        assert replayed[:4] == ["queued", "starting", "running", "queued"]


def test_lines_of_the_log_come_as_they_are_written(settings: Settings, running: Running) -> None:
    log = settings.home / "logs" / f"{running.id}-1.log"
    log.parent.mkdir()
    log.write_text("before\n")
    with in_thread(create_app(settings)) as url, httpx.stream("GET", f"{url}{running.path}/stream?log=true", timeout=30) as reply:
        told = (message.data for message in parse(reply.iter_lines()) if message.kind == "log")
        assert next(told) == {"attempt": 1, "first": 7, "next": 7, "lines": []}
        with log.open("a") as file:
            file.write("one\ntwo\nhal")
        assert next(told) == {"attempt": 1, "first": 7, "next": 15, "lines": ["one", "two"]}
        with log.open("a") as file:
            file.write("f\n")
        assert next(told) == {"attempt": 1, "first": 15, "next": 20, "lines": ["half"]}


@pytest.mark.parametrize("launcher", ["child-process", "ray-job"])
def test_a_log_that_is_kept_elsewhere_is_said_to_be_once_to_every_viewer(
    settings: Settings, running: Running, launcher: str
) -> None:
    app = create_app(settings.model_copy(update={"launcher": launcher}), create_launcher(settings))
    with in_thread(app) as url:
        words = httpx.get(f"{url}{running.path}/logs").json()["missing"]
        assert ("ray job logs" in words) == (launcher == "ray-job")
        address = f"{url}{running.path}/stream?log=true"
        with httpx.stream("GET", address, timeout=30) as first, ExitStack() as later:
            told = (message.data for message in parse(first.iter_lines()) if message.kind == "log")
            begun = {"attempt": 1, "first": 0, "next": 0, "lines": []}
            assert [next(told), next(told)] == [begun, {**begun, "missing": words}]
            second = later.enter_context(httpx.stream("GET", address, timeout=30))
            also = (message.data for message in parse(second.iter_lines()) if message.kind == "log")
            assert next(also) == {**begun, "missing": words}
            log = settings.home / "logs" / f"{running.id}-1.log"
            log.parent.mkdir()
            log.write_text("here\n")
            assert next(told) == next(also) == {"attempt": 1, "first": 0, "next": 5, "lines": ["here"]}


def test_streams_end_where_the_database_cannot_be_read_and_new_ones_are_refused_until_it_can(
    settings: Settings, running: Running
) -> None:
    def rename(old: str, new: str) -> None:
        with running.database.write() as session:
            session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    app = create_app(settings)
    with in_thread(app) as url, ExitStack() as watching:
        paths = (running.path, "/v1")
        streams = [watching.enter_context(_stream(f"{url}{path}/stream")) for path in paths]
        for stream in streams:
            next(stream)
        rename("events", "hidden")
        assert [message.kind for stream in streams for message in stream] == []
        assert [httpx.get(f"{url}{path}/stream").status_code for path in paths] == [HTTPStatus.SERVICE_UNAVAILABLE] * 2
        rename("hidden", "events")
        for path in paths:
            with _stream(f"{url}{path}/stream") as again:
                assert next(again).kind == "progress"
    assert app.state.service.streams.viewers == 0


def test_nothing_of_jobs_is_kept_when_nobody_watches_all_of_them(settings: Settings, running: Running) -> None:
    app = create_app(settings)
    hub: StreamHub = app.state.service.streams
    with in_thread(app) as url:
        with _stream(f"{url}/v1/stream") as messages:
            next(messages)
            assert set(hub._told_at) == hub._held == {running.id}
        wait_until(lambda: hub.viewers, lambda left: left == 0)
        assert (hub._told_at, hub._held) == ({}, frozenset())


def test_events_are_filtered_by_kind_and_place(settings: Settings, running: Running) -> None:
    for index in range(3):
        running.tell(index)
    with in_thread(create_app(settings)) as url:

        def told(**params: object) -> list[dict[str, object]]:
            found: list[dict[str, object]] = httpx.get(f"{url}{running.path}/events", params=params).json()["items"]  # type: ignore[arg-type]
            return found

        assert {entry["kind"] for entry in told(kind=["state", "round"])} == {"state"}
        bests = told(kind="best")
        assert [entry["id"] for entry in told(after=bests[1]["id"])] == [bests[2]["id"]]
        refused = httpx.get(f"{url}{running.path}/events", params={"kind": "sate"})
        assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY

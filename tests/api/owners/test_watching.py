"""What keys of two projects see of work that goes on: streams, places in the queue, workers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.following import StreamMessage, parse
from nas_service.access import Whose
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import access_keys, attempts, controllers, jobs
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from tests.api.owners.owning import ADA, BOB, make_keys
from tests.holds import held
from tests.serving import in_thread
from tests.waiting import wait_until


@pytest.fixture
def headers(whole: Database) -> dict[str, dict[str, str]]:
    """Return what shows the key of each."""
    return {name: {"Authorization": f"Bearer {key}"} for name, key in make_keys(whole).items()}


def _queued(database: Database, whose: Whose, kind: str = jobs.SEARCH) -> Job:
    with database.write() as session:
        return jobs.create_job(session, kind, f"of {whose.owner}", {}, whose=whose)


@contextmanager
def _stream(url: str, headers: dict[str, str], **params: int) -> Iterator[Iterator[StreamMessage]]:
    with httpx.stream("GET", url, headers=headers, params=params, timeout=30) as reply:
        assert reply.status_code == httpx.codes.OK, reply.read()
        yield parse(reply.iter_lines())


def test_the_stream_of_all_jobs_tells_each_project_of_its_own(
    app: FastAPI, headers: dict[str, dict[str, str]], whole: Database
) -> None:
    adas, bobs = _queued(whole, ADA), _queued(whole, BOB)
    with in_thread(app) as url:
        told: dict[str, list[StreamMessage]] = {name: [] for name in ("ada", "bob", "boss")}

        def listen(name: str, after: int) -> None:
            with _stream(f"{url}/v1/stream", headers[name], after=after) as messages:
                for message in messages:
                    told[name].append(message)
                    if message.kind == "state" and message.data["state"] == "cancelled":
                        return

        listeners = [threading.Thread(target=listen, args=(name, 0)) for name in told]
        for listener in listeners:
            listener.start()
        wait_until(lambda: all(told.values()), bool)  # from the database: they begin at the first event
        with whole.write() as session:
            held(session)
            held(session)
        wait_until(lambda: all(any(message.kind == "progress" for message in seen) for seen in told.values()), bool)
        with whole.write() as session:
            for job in (adas, bobs):
                jobs.request_cancel(session, job.id, jobs.SEARCH)
                attempts.release(session, jobs.get_job(session, job.id), "", 3)
        for listener in listeners:
            listener.join(30)
            assert not listener.is_alive()
    seen = {name: {message.data["job_id"] for message in messages} for name, messages in told.items()}
    assert seen["ada"] == {adas.id}
    assert seen["bob"] == {bobs.id}
    assert adas.id in seen["boss"]
    assert {message.kind for message in told["ada"]} == {"state", "progress"}


def test_a_stream_of_one_job_is_its_projects_even_while_others_watch(
    app: FastAPI, headers: dict[str, dict[str, str]], whole: Database
) -> None:
    job = _queued(whole, ADA)
    with in_thread(app) as url, _stream(f"{url}/v1/searches/{job.id}/stream", headers["ada"], after=0) as messages:
        assert next(messages).data["job_id"] == job.id
        assert httpx.get(f"{url}/v1/searches/{job.id}/stream", headers=headers["bob"]).status_code == 404
        assert httpx.get(f"{url}/v1/trainings/{job.id}/stream", headers=headers["bob"]).status_code == 404
        with _stream(f"{url}/v1/searches/{job.id}/stream", headers["boss"]) as others:
            assert next(others).data["job_id"] == job.id


def test_a_stream_ends_when_its_key_is_revoked(
    settings: Settings, headers: dict[str, dict[str, str]], whole: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gate._BELIEVED_S", 0.2)
    monkeypatch.setattr("api.streams.hub.PING_S", 0.5)
    job = _queued(whole, ADA)
    app = create_app(settings.model_copy(update={"require_keys": True}))
    with in_thread(app) as url, _stream(f"{url}/v1/searches/{job.id}/stream", headers["ada"]) as messages:
        next(messages)
        with whole.write() as session:
            jobs.request_pause(session, job.id, jobs.SEARCH)
        assert next(message for message in messages if message.kind == "state").data["state"] == "paused"
        with whole.write() as session:
            access_keys.revoke(session, headers["ada"]["Authorization"].split("_")[1])
        assert [message.kind for message in messages] == [], "it ended without `end`: the job is not over"
        assert httpx.get(f"{url}/v1/searches/{job.id}/stream", headers=headers["ada"]).status_code == 401


def test_the_queue_counts_everybodys_jobs_and_names_ones_own(
    client: TestClient, headers: dict[str, dict[str, str]], whole: Database
) -> None:
    first, second, third = _queued(whole, ADA), _queued(whole, BOB), _queued(whole, ADA)
    fourth = _queued(whole, BOB)
    with whole.write() as session:
        controllers.report(session, "a controller", None)
        held(session)
    told = {
        job.id: client.get(f"/v1/searches/{job.id}", headers=headers[name]).json()
        for name, job in (("bob", second), ("ada", third), ("bob", fourth))
    }
    assert [view["queue_position"] for view in told.values()] == [1, 3, 2]  # whose owner has one at work comes later
    assert told[second.id]["waiting_for"] == "its turn: 1 of other projects at work"
    assert told[third.id]["waiting_for"] == f"its turn: search {first.id} at work, 2 queued before it"
    assert told[fourth.id]["waiting_for"] == "its turn: 1 of other projects at work, 1 queued before it"


def test_the_system_page_names_no_job_of_another_project(
    client: TestClient, headers: dict[str, dict[str, str]], whole: Database
) -> None:
    job = _queued(whole, ADA)
    with whole.write() as session:
        held(session)
    views = {name: client.get("/v1/system", headers=headers[name]) for name in ("ada", "bob", "boss")}
    assert job.id not in views["bob"].text
    assert "of ada" not in views["bob"].text
    assert views["bob"].json()["workers"] == []
    assert [worker["job"] for worker in views["ada"].json()["workers"]] == [job.id]
    assert [worker["job"] for worker in views["boss"].json()["workers"]] == [job.id]
    assert {name: view.json()["queue"][JobState.RUNNING] for name, view in views.items()} == {"ada": 1, "bob": 1, "boss": 1}


def test_keys_and_callers_tell_their_project(client: TestClient, headers: dict[str, dict[str, str]]) -> None:
    session = client.get("/v1/session", headers=headers["grace"]).json()
    assert (session["owner"], session["project"]) == ("grace", "vision")
    made = client.post("/v1/keys", json={"owner": "eve", "project": "audio"}, headers=headers["boss"]).json()
    assert (made["owner"], made["project"]) == ("eve", "audio")
    private = client.post("/v1/keys", json={"owner": "eve"}, headers=headers["boss"]).json()
    assert private["project"] == "eve"
    listed = {(row["owner"], row["project"]) for row in client.get("/v1/keys", headers=headers["boss"]).json()}
    assert {("ada", "vision"), ("bob", "audio"), ("eve", "audio"), ("eve", "eve")} <= listed
    refused = client.post("/v1/keys", json={"owner": "eve", "project": ""}, headers=headers["boss"])
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "project")

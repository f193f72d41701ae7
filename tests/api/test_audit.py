"""What is written down of requests: who changed what, and who was turned away, without secrets and within bounds."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from structlog.testing import capture_logs

from api import audited
from api.app import create_app
from api.audited import TurnedAway
from api.client import NasClient
from api.request_facts import NOWHERE
from nas_service.access import Caller, Scope, new_key_text
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import access_keys, audit, jobs
from nas_service.storage.session import Database
from tests.api.conftest import run_here, run_json

ANY_ID = "00000000-0000-7000-8000-000000000000"


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def keys(settings: Settings) -> dict[Scope, str]:
    """Make a key of every scope."""
    database = Database(settings.database)
    with database.write() as session:
        made = {scope: access_keys.create_key(session, f"{scope}er", scope, timedelta(days=1))[1] for scope in Scope}
    database.close()
    return made


@contextmanager
def _shut(settings: Settings, **changes: object) -> Iterator[TestClient]:
    """Serve an application that asks for keys."""
    given = {"require_keys": True, "key_requests_per_s": 1000.0} | changes
    with TestClient(
        create_app(settings.model_copy(update=given)), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        yield client


def _end(settings: Settings, job_id: str) -> None:
    """Do what a controller does with a job that was cancelled."""
    database = Database(settings.database)
    with database.write() as session:
        assert jobs.move(session, job_id, JobState.CANCELLED)
    database.close()


def _events(settings: Settings) -> list[dict[str, Any]]:
    database = Database(settings.database)
    with database.read() as session:
        rows = session.execute(text("SELECT * FROM audit_events ORDER BY id")).mappings().all()
    database.close()
    return [dict(row) for row in rows]


def _told(settings: Settings, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(row[field] for field in fields) for row in _events(settings)]


def test_every_change_is_written_down_with_who_asked(settings: Settings, keys: dict[Scope, str]) -> None:
    with _shut(settings) as shut:
        submitter, boss = _bearer(keys[Scope.SUBMIT]), _bearer(keys[Scope.ADMIN])
        search = shut.post("/v1/searches", json={"space": "tiny"}, headers=submitter).json()["id"]
        shut.patch(f"/v1/searches/{search}", json={"note": "mine"}, headers=submitter)
        shut.post(f"/v1/searches/{search}/cancel", headers=submitter)
        _end(settings, search)
        shut.delete(f"/v1/searches/{search}", headers=submitter)
        made = shut.post("/v1/keys", json={"owner": "grace"}, headers=boss).json()
        shut.delete(f"/v1/keys/{made['prefix']}", headers=boss)
        shut.get("/v1/searches", headers=submitter)
        shut.post("/v1/searches/estimate", json={"space": "tiny"}, headers=submitter)
    assert _told(settings, "owner", "key", "action", "resource", "status", "count", "address") == [
        (owner, keys[scope][4:16], action, resource, status, 1, NOWHERE)
        for owner, scope, action, resource, status in [
            ("submiter", Scope.SUBMIT, "POST /v1/searches", search, 202),
            ("submiter", Scope.SUBMIT, "PATCH /v1/searches/{job_id}", search, 200),
            ("submiter", Scope.SUBMIT, "POST /v1/searches/{job_id}/cancel", search, 202),
            ("submiter", Scope.SUBMIT, "DELETE /v1/searches/{job_id}", search, 204),
            ("adminer", Scope.ADMIN, "POST /v1/keys", made["prefix"], 201),
            ("adminer", Scope.ADMIN, "DELETE /v1/keys/{prefix}", made["prefix"], 200),
        ]
    ]
    kept = str(_events(settings))
    for secret in (*keys.values(), made["text"]):
        assert secret not in kept
        assert secret[17:] not in kept


def test_every_route_that_changes_anything_can_be_told_by_its_name(client: TestClient, settings: Settings) -> None:
    """None of them, whatever it is asked, leaves a row with an id in the place of a placeholder."""
    for path, verbs in client.get("/openapi.json").json()["paths"].items():
        for verb in set(verbs) - {"get"}:
            client.request(verb, re.sub(r"\{[^}]*\}", ANY_ID, path), json={})
    assert _events(settings)
    assert not [row for row in _events(settings) if ANY_ID in row["action"] or row["action"].count("/") < 2]


def test_what_is_refused_for_what_it_is_leaves_no_row(client: TestClient, settings: Settings) -> None:
    assert client.post("/v1/searches", json={"space": "none"}).status_code == 422
    assert client.post(f"/v1/searches/{ANY_ID}/cancel").status_code == 404
    assert _events(settings) == []


def test_on_loopback_nobody_is_named(client: TestClient, settings: Settings) -> None:
    client.post("/v1/searches", json={"space": "tiny"})
    assert _told(settings, "owner", "key", "status") == [(None, None, 202)]


def test_a_browser_that_logs_in_and_out_is_named(settings: Settings, keys: dict[Scope, str]) -> None:
    with _shut(settings) as shut:
        shut.post("/v1/session", json={"key": keys[Scope.READ]}, headers={"Origin": "http://localhost"})
        shut.delete("/v1/session", headers={"Origin": "http://localhost"})
    assert _told(settings, "owner", "action", "status") == [
        ("reader", "POST /v1/session", 200),
        ("reader", "DELETE /v1/session", 204),
    ]


def test_who_is_turned_away_is_counted(settings: Settings, keys: dict[Scope, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.guesses.SLOWED_S", 0.0)
    reader = _bearer(keys[Scope.READ])
    with _shut(settings, key_requests_per_s=5.0) as shut:
        for _ in range(12):
            shut.get("/v1/methods", headers=_bearer(new_key_text()))
        shut.post("/v1/session", json={"key": "wrong"})
        for _ in range(3):
            shut.post(f"/v1/searches/{ANY_ID}/cancel", headers=reader)
        statuses = [shut.get("/v1/methods", headers=reader).status_code for _ in range(40)]
    assert set(_told(settings, "owner", "status", "action", "count")) == {
        (None, 401, "any request", 10),
        (None, 429, "any request", 3),
        ("reader", 403, "POST /v1/searches/{job_id}/cancel", 3),
        ("reader", 429, "any request", statuses.count(429)),
    }


def test_a_flood_of_refusals_takes_few_rows(settings: Settings) -> None:
    database = Database(settings.database)
    away = TurnedAway(database)
    for number in range(20_000):
        away.note(401, f"192.0.2.{number % 5000}", Caller("0123456789ab", f"owner {number % 777}", "team", Scope.READ))
    asyncio.run(away.write())
    rows = _events(settings)
    assert len(rows) == audited.KINDS + 1
    assert sum(row["count"] for row in rows) == 20_000
    asyncio.run(away.write())
    assert len(_events(settings)) == len(rows), "nothing is told twice"
    database.close()


def test_strangers_push_nobody_out_who_has_a_name(settings: Settings) -> None:
    database = Database(settings.database)
    away = TurnedAway(database)
    for number in range(200):
        away.note(401, f"192.0.2.{number}")
    away.note(403, "192.0.2.1", Caller("0123456789ab", "ada", "team", Scope.READ))
    asyncio.run(away.write())
    database.close()
    assert ("ada", 403, 1) in _told(settings, "owner", "status", "count")


def test_who_shows_no_key_is_counted_and_what_is_asked_for_is_told_by_its_route(
    settings: Settings, keys: dict[Scope, str]
) -> None:
    with _shut(settings) as shut:
        for _ in range(3):
            assert shut.get("/v1/searches").status_code == 401
        for path in ("/v1/searches/%00/cancel", "/v1/%00"):
            assert shut.post(path, headers=_bearer(keys[Scope.READ])).status_code == 403
        assert shut.request("BREW", "/v1/%00", headers=_bearer(keys[Scope.READ])).status_code == 403
    assert set(_told(settings, "owner", "status", "action", "count")) == {
        (None, 401, "any request", 3),
        ("reader", 403, "POST /v1/searches/{job_id}/cancel", 1),
        ("reader", 403, "POST unmatched", 1),
        ("reader", 403, "other unmatched", 1),
    }


def test_what_no_database_takes_is_dropped_and_holds_nothing_up(settings: Settings) -> None:
    database = Database(settings.database)
    away = TurnedAway(database)
    away.note(401, "\ud800")
    with capture_logs() as lines:
        asyncio.run(away.write())
    assert [(line["event"], line["refusals"]) for line in lines] == [("audit.dropped", 1)]
    away.note(401, "192.0.2.1")
    asyncio.run(away.write())
    database.close()
    assert _told(settings, "status", "address", "count") == [(401, "192.0.2.1", 1)]


def test_refusals_wait_for_a_database_that_is_away(settings: Settings) -> None:
    away = TurnedAway(Database("postgresql+psycopg://127.0.0.1:1/none"))
    away.note(401, "192.0.2.1")
    asyncio.run(away.write())
    away.note(401, "192.0.2.1")
    away._database = Database(settings.database)
    asyncio.run(away.write())
    assert _told(settings, "status", "count") == [(401, 2)]


def test_administrators_read_it_page_by_page(settings: Settings, keys: dict[Scope, str]) -> None:
    with _shut(settings) as shut:
        boss = _bearer(keys[Scope.ADMIN])
        for scope in (Scope.SUBMIT, Scope.ADMIN, Scope.SUBMIT):
            shut.post("/v1/searches", json={"space": "tiny"}, headers=_bearer(keys[scope]))
        assert shut.get("/v1/audit", headers=_bearer(keys[Scope.SUBMIT])).status_code == 403
        page = shut.get("/v1/audit", params={"limit": 2}, headers=boss).json()
        assert [row["owner"] for row in page["items"]] == ["submiter", "adminer"]
        last = shut.get("/v1/audit", params={"limit": 2, "cursor": page["next"]}, headers=boss).json()
        assert ([row["owner"] for row in last["items"]], last["next"]) == (["submiter"], None)
        own = shut.get("/v1/audit", params={"owner": "submiter"}, headers=boss).json()["items"]
        assert len(own) == 2
        since = shut.get("/v1/audit", params={"since": page["items"][0]["at"]}, headers=boss).json()["items"]
        assert [row["id"] for row in since] == [page["items"][0]["id"]]
        until = shut.get("/v1/audit", params={"until": page["items"][0]["at"]}, headers=boss).json()["items"]
        assert page["items"][0]["id"] not in [row["id"] for row in until]
        for given in ("yesterday", "2026-11-28T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
            refused = shut.get("/v1/audit", params={"since": given}, headers=boss)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "since"), given


def test_the_client_reads_it(nas: NasClient) -> None:
    nas.search(space="tiny")
    nas.search(space="tiny")
    assert [row.action for row in nas.audit()] == ["POST /v1/searches"] * 2
    assert len(nas.audit(owner="ada")) == 0
    assert len(nas.audit(action="/v1/searches")) == 2
    assert len(nas.audit(action="DELETE")) == 0
    (first, _) = nas.searches()
    assert [row.resource for row in nas.audit(resource=first.id)] == [first.id]
    assert len(nas.audit(until=datetime.now(UTC) - timedelta(days=1))) == 0
    assert len(nas.audit(since=datetime.now(UTC) + timedelta(days=1))) == 0


def test_commands_beside_the_database_are_written_down_too(settings: Settings) -> None:
    where = {"NAS_HOME": str(settings.home), "NAS_DATABASE_URL": settings.database}
    made: Any = run_json("keys", "create", "ada", cwd=settings.home, **where)
    run_json("keys", "revoke", made["prefix"], cwd=settings.home, **where)
    assert run_here("keys", "revoke", "0123456789ab", cwd=settings.home, **where).returncode == 1
    run_json("keys", "list", cwd=settings.home, **where)
    rows = _events(settings)
    assert [(row["action"], row["resource"]) for row in rows] == [
        ("nas keys create", made["prefix"]),
        ("nas keys revoke", made["prefix"]),
    ]
    assert all(re.fullmatch(r".+@.+", row["address"]) for row in rows)


def test_old_events_go_with_the_litter(settings: Settings) -> None:
    from workers.tidier import Tidier  # noqa: PLC0415 - Ray's floor is not needed by the others

    database = Database(settings.database)
    with database.write() as session:
        audit.record(session, [(audit.Deed("POST /v1/searches", ""), 1)])
    Tidier(settings, database).tidy()
    assert len(_events(settings)) == 1
    Tidier(settings.model_copy(update={"audit_days": 1e-9}), database).tidy()
    assert _events(settings) == []
    database.close()

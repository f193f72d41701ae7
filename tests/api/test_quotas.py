"""What one owner may have, over REST: refused in words that name limit, what was given and what is allowed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.models import Job
from nas_service.storage.session import Database

TINY = {"space": "tiny", "strategy": {"name": "random", "settings": {"samples": 40}}}


@pytest.fixture
def keys(settings: Settings) -> list[dict[str, str]]:
    """Make two keys of one owner and one of another."""
    database = Database(settings.database)
    with database.write() as session:
        made = [access_keys.create_key(session, owner, Scope.SUBMIT, timedelta(days=1))[1] for owner in ("ada", "ada", "grace")]
    database.close()
    return [{"Authorization": f"Bearer {key}"} for key in made]


@contextmanager
def _shut(settings: Settings, **changes: object) -> Iterator[TestClient]:
    app = create_app(settings.model_copy(update={"require_keys": True, **changes}))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def test_jobs_that_are_not_over_are_counted_by_owner(settings: Settings, keys: list[dict[str, str]]) -> None:
    first, second, other = keys
    with _shut(settings, key_jobs=2) as client:
        made = client.post("/v1/searches", json=TINY, headers=first | {"Idempotency-Key": "once"}).json()
        assert client.post("/v1/searches", json=TINY, headers=second).status_code == 202
        refused = client.post("/v1/searches", json=TINY, headers=second)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:nas:problem:limit-reached")
        assert refused.json()["detail"].startswith("ada has 2 jobs that are not over; allowed: 2 (NAS_KEY_JOBS)")
        again = client.post("/v1/searches", json=TINY, headers=first | {"Idempotency-Key": "once"})
        assert (again.status_code, again.json()["id"]) == (202, made["id"]), "what was accepted once is no other job"
        assert client.post(f"/v1/searches/{made['id']}/clone", headers=first).status_code == 409
        assert client.post("/v1/searches", json=TINY, headers=other).status_code == 202


def test_samples_of_searches_that_are_not_over_are_counted_by_owner(settings: Settings, keys: list[dict[str, str]]) -> None:
    first, second, other = keys
    large = {"space": "tiny", "strategy": {"name": "random", "settings": {"samples": 101}}}
    with _shut(settings, key_samples=100) as client:
        refused = client.post("/v1/searches", json=large, headers=first)
        assert refused.status_code == 422
        assert refused.json()["errors"] == [
            {
                "field": "strategy.settings",
                "given": "101 samples",
                "allowed": "searches of at most 100 samples in all (NAS_KEY_SAMPLES)",
            }
        ]
        for key in (first, second):
            assert client.post("/v1/searches", json=TINY, headers=key).status_code == 202
        refused = client.post("/v1/searches", json=TINY, headers=second)
        assert refused.status_code == 409
        said = "the searches of ada that are not over take 80 samples, and this one 40; allowed: 100 in all (NAS_KEY_SAMPLES)"
        assert refused.json()["detail"].startswith(said)
        assert client.post("/v1/searches", json=TINY, headers=other).status_code == 202


def test_where_nobody_is_asked_for_a_key_there_is_no_limit(settings: Settings) -> None:
    with TestClient(
        create_app(settings.model_copy(update={"key_jobs": 1, "key_samples": 1})), base_url="http://localhost"
    ) as client:
        assert [client.post("/v1/searches", json=TINY).status_code for _ in range(3)] == [202] * 3
    database = Database(settings.database)
    with database.read() as session:
        assert session.scalars(select(Job.samples)).all() == [40] * 3
    database.close()

"""Streams of a service that asks for keys: how many one key may have open, and that none outlives its key."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import httpcore
import httpx
import pytest
from sqlalchemy import delete

from api.app import create_app
from api.gate import COOKIE
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.models import BrowserSession
from nas_service.storage.session import Database
from tests.serving import in_thread
from tests.waiting import wait_until


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return the database of the service."""
    opened = Database(settings.database)
    yield opened
    opened.close()


def _key(database: Database, owner: str) -> str:
    with database.write() as session:
        return access_keys.create_key(session, owner, Scope.READ, timedelta(days=1))[1]


@contextmanager
def _served(settings: Settings, **changes: object) -> Iterator[httpx.Client]:
    app = create_app(settings.model_copy(update={"require_keys": True, **changes}))
    with in_thread(app) as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_has_so_many_streams_open_and_others_theirs(settings: Settings, database: Database) -> None:
    first, second = _key(database, "ada"), _key(database, "grace")
    with _served(settings, key_streams=2) as client, ExitStack() as opened:
        replies = [opened.enter_context(client.stream("GET", "/v1/stream", headers=_bearer(first))) for _ in range(2)]
        assert [reply.status_code for reply in replies] == [200, 200]
        refused = client.get("/v1/stream", headers=_bearer(first))
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:nas:problem:too-many-at-once")
        said = f"the key {first[4:16]} has 2 streams open; allowed: 2 (NAS_KEY_STREAMS): close one"
        assert refused.json()["detail"] == said
        with client.stream("GET", "/v1/stream", headers=_bearer(second)) as other:
            assert other.status_code == 200
        assert client.get("/v1/searches/none/stream", headers=_bearer(second)).status_code == 404

        replies[0].close()

        def opens() -> int:
            with client.stream("GET", "/v1/stream", headers=_bearer(first)) as again:
                return again.status_code

        assert wait_until(opens, lambda status: status == 200) == 200


@pytest.mark.parametrize("shown", ["key", "cookie"])
def test_a_stream_ends_soon_after_its_key_is_void(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    monkeypatch.setattr("api.gate._BELIEVED_S", 0.05)
    monkeypatch.setattr("api.stream_places.LOOK_EVERY_S", 0.1)
    key, other = _key(database, "ada"), _key(database, "grace")
    with _served(settings) as client, ExitStack() as opened:
        headers = _bearer(key)
        if shown == "cookie":
            reply = client.post("/v1/session", json={"key": key})
            headers = {"Cookie": f"{COOKIE}={reply.cookies[COOKIE]}"}
        stays = opened.enter_context(client.stream("GET", "/v1/stream", headers=_bearer(other)))
        ends = opened.enter_context(client.stream("GET", "/v1/stream", headers=headers))
        assert [stays.status_code, ends.status_code] == [200, 200]
        with database.write() as session:
            if shown == "cookie":
                session.execute(delete(BrowserSession))
            else:
                access_keys.revoke(session, key[4:16])
        assert list(ends.iter_lines()) == [], "it is over, and says no more"
        with pytest.raises(httpcore.ReadTimeout):
            stays.extensions["network_stream"].read(1, timeout=0.5)

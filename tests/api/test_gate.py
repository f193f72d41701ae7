"""Who is let in: keys, cookies and scopes on every route, and no more requests than a key may send."""

import asyncio
import re
import threading
import time
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, update
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Send
from starlette.types import Scope as Scope_

from api.app import create_app
from api.audited import TurnedAway
from api.gate import COOKIE, ESTIMATES, WAITING, Gate, Gated
from nas_service.access import Scope, new_cookie, new_key_text
from nas_service.errors import TooManyAtOnceError
from nas_service.settings import Settings
from nas_service.storage import access_keys, audit
from nas_service.storage.models import AccessKey, BrowserSession
from nas_service.storage.session import Database
from tests.waiting import wait_until

OPEN = {("get", "/healthz"), ("get", "/readyz"), ("get", "/v1/session"), ("post", "/v1/session"), ("delete", "/v1/session")}
ANY_ID = "00000000-0000-7000-8000-000000000000"
BY_ADMINISTRATORS = ("/v1/keys", "/v1/keys/{prefix}", "/v1/audit")
ORIGIN = {"Origin": "http://localhost"}


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return the database of the service."""
    opened = Database(settings.database)
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database) -> dict[Scope, str]:
    """Make a key of every scope."""
    with database.write() as session:
        return {scope: access_keys.create_key(session, f"{scope}er", scope, timedelta(days=1))[1] for scope in Scope}


@pytest.fixture
def shut(settings: Settings) -> Iterator[TestClient]:
    """Return a client of a service that asks for keys."""
    app = create_app(settings.model_copy(update={"require_keys": True, "key_requests_per_s": 1000.0}))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as connected:
        yield connected


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _operations(client: TestClient, key: str) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json", headers=_bearer(key)).json()["paths"]
    return [(verb, path) for path, verbs in paths.items() for verb in verbs]


def test_every_route_but_health_and_the_login_needs_a_key(shut: TestClient, keys: dict[Scope, str]) -> None:
    walked = _operations(shut, keys[Scope.READ])
    assert len(walked) > 50
    unlisted = [("get", path) for path in ("/docs", "/redoc", "/openapi.json", "/v1/none", "/none")]
    for verb, path in [*walked, *unlisted]:
        reply = shut.request(verb, re.sub(r"\{[^}]*\}", ANY_ID, path))
        if (verb, path) in OPEN:
            assert reply.status_code != 401, (verb, path)
        else:
            assert (reply.status_code, reply.json()["type"]) == (401, "urn:nas:problem:no-key"), (verb, path)
            assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["", "nas_", "nas_0123456789ab_" + "a" * 43, "a" * 5000, "é", "nas_\x7f"])
def test_no_other_text_opens_a_door(shut: TestClient, keys: dict[Scope, str], key: str) -> None:
    del keys
    headers = {"Authorization": f"Bearer {key}".encode()}
    assert shut.get("/v1/searches", headers=headers).status_code == 401
    assert shut.get("/v1/searches", headers={"Cookie": f"{COOKIE}={key}".encode()}).status_code == 401


def test_a_key_does_what_its_scope_holds_and_nothing_else(shut: TestClient, keys: dict[Scope, str]) -> None:
    for verb, path in _operations(shut, keys[Scope.READ]):
        if (verb, path) in OPEN or path.endswith("/stream"):
            continue
        place = re.sub(r"\{[^}]*\}", ANY_ID, path)
        reads = verb == "get" or path.endswith("/estimate")
        need = Scope.ADMIN if path in BY_ADMINISTRATORS else Scope.READ if reads else Scope.SUBMIT
        for scope, key in keys.items():
            reply = shut.request(verb, place, headers=_bearer(key), json={} if verb != "get" else None)
            assert (reply.status_code == 403) is not scope.covers(need), (verb, path, scope, reply.text)
            assert reply.status_code < 500, (verb, path, scope)


def test_an_open_service_asks_nobody(client: TestClient) -> None:
    assert client.get("/v1/session").json() == {"keys": False, "owner": None, "scope": None, "project": None, "key": None}
    assert client.post("/v1/searches", json={"space": "tiny"}).status_code == 202


def test_a_browser_logs_in_and_out(shut: TestClient, keys: dict[Scope, str]) -> None:
    reply = shut.post("/v1/session", json={"key": keys[Scope.SUBMIT]}, headers=ORIGIN)
    assert reply.status_code == 200
    assert reply.json() == {
        "keys": True,
        "owner": "submiter",
        "scope": "submit",
        "project": "submiter",
        "key": keys[Scope.SUBMIT][4:16],
    }
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert keys[Scope.SUBMIT] not in cookie
    assert shut.get("/v1/session").json()["owner"] == "submiter"
    assert shut.get("/v1/searches").status_code == 200
    assert shut.post("/v1/searches", json={"space": "tiny"}, headers=ORIGIN).status_code == 202
    assert shut.post("/v1/searches", json={"space": "tiny"}).status_code == 403, "a cookie alone changes nothing"
    assert shut.post("/v1/keys", json={"owner": "me"}, headers=ORIGIN).status_code == 403
    stolen = shut.cookies[COOKIE]
    assert shut.delete("/v1/session", headers=ORIGIN).status_code == 204
    assert COOKIE not in shut.cookies
    assert shut.get("/v1/searches", headers={"Cookie": f"{COOKIE}={stolen}"}).status_code == 401


@pytest.mark.parametrize("others", ['seen={"a": 1}', "flag", "é=1", "a b=1", 'x="2|1:0|44:MDI=|6b"'])
def test_cookies_of_other_programs_on_the_host_are_in_nobody_s_way(shut: TestClient, keys: dict[Scope, str], others: str) -> None:
    shut.post("/v1/session", json={"key": keys[Scope.READ]}, headers=ORIGIN)
    own = f"{COOKIE}={shut.cookies[COOKIE]}"
    shut.cookies.clear()
    for sent in (f"{others}; {own}", f"{own}; {others}"):
        assert shut.get("/v1/searches", headers={"Cookie": sent.encode()}).status_code == 200, sent


def test_a_cookie_is_for_https_alone_where_the_page_is(shut: TestClient, keys: dict[Scope, str]) -> None:
    reply = shut.post("/v1/session", json={"key": keys[Scope.READ]}, headers={"Origin": "https://localhost"})
    assert "Secure" in reply.headers["set-cookie"]


def test_a_key_or_cookie_in_the_wrong_place_is_none(shut: TestClient, keys: dict[Scope, str]) -> None:
    key = keys[Scope.ADMIN]
    assert shut.get("/v1/searches", headers={"Cookie": f"{COOKIE}={key}"}).status_code == 401
    assert shut.get("/v1/searches", headers={"Authorization": f"Basic {key}"}).status_code == 401
    assert shut.get(f"/v1/searches?key={key}").status_code == 401
    shut.post("/v1/session", json={"key": key}, headers=ORIGIN)
    cookie = shut.cookies[COOKIE]
    assert shut.get("/v1/searches").status_code == 200, "it is believed now"
    shut.cookies.clear()
    assert shut.get("/v1/searches", headers=_bearer(cookie)).status_code == 401
    assert shut.get("/v1/searches", headers=_bearer(key)).status_code == 200, "so is the key"
    assert shut.get("/v1/searches", headers={"Cookie": f"{COOKIE}={key}"}).status_code == 401


def test_a_key_that_is_revoked_or_expires_lets_nobody_in_within_seconds(
    shut: TestClient, keys: dict[Scope, str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gate._BELIEVED_S", 0.0)
    first, second = keys[Scope.READ], keys[Scope.SUBMIT]
    assert shut.get("/v1/searches", headers=_bearer(first)).status_code == 200
    gone = shut.delete(f"/v1/keys/{first[4:16]}", headers=_bearer(keys[Scope.ADMIN])).json()
    assert gone["revoked_at"]
    assert shut.get("/v1/searches", headers=_bearer(first)).status_code == 401
    with database.write() as session:
        session.execute(update(AccessKey).values(expires_at=AccessKey.created_at))
    assert shut.get("/v1/searches", headers=_bearer(second)).status_code == 401


def test_administrators_make_keys_that_are_shown_once(shut: TestClient, keys: dict[Scope, str]) -> None:
    boss = _bearer(keys[Scope.ADMIN])
    made = shut.post("/v1/keys", json={"owner": "grace", "scope": "read", "days": 2}, headers=boss)
    assert made.status_code == 201
    listed = shut.get("/v1/keys", headers=boss).json()
    assert {row["owner"] for row in listed} == {"grace", "reader", "submiter", "adminer"}
    assert "text" not in listed[-1]
    assert shut.get("/v1/session", headers=_bearer(made.json()["text"])).json()["owner"] == "grace"


@pytest.mark.parametrize("owner", ["", "   ", "a" * 101, "a\nb", "\x1b[31m", "a\u2028b", "a\u202eb", "\u200b"])
def test_an_owner_is_a_word_of_people(shut: TestClient, keys: dict[Scope, str], owner: str) -> None:
    reply = shut.post("/v1/keys", json={"owner": owner}, headers=_bearer(keys[Scope.ADMIN]))
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "owner")


def test_wrong_keys_are_slowed_and_right_ones_are_not(
    shut: TestClient, keys: dict[Scope, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.guesses.SLOWED_S", 0.01)
    tried = [shut.get("/v1/searches", headers=_bearer(new_key_text())).status_code for _ in range(12)]
    assert tried == [401] * 10 + [429] * 2
    assert shut.post("/v1/session", json={"key": "wrong"}).status_code == 429
    assert shut.get("/v1/session", headers=_bearer(new_key_text())).status_code == 429
    assert shut.get("/v1/searches", headers=_bearer(keys[Scope.READ])).status_code == 200
    assert shut.get("/v1/searches").status_code == 401, "no key at all is no guess"


@pytest.mark.parametrize("place", ["key", "cookie", "question", "login", "logout"])
def test_wrong_ones_count_wherever_they_are_shown(shut: TestClient, place: str) -> None:
    def show(number: int) -> int:
        verb, path, sent = "GET", "/v1/searches", dict[str, Any](headers=_bearer(f"nas_{number}"))
        if place == "login":
            verb, path, sent = "POST", "/v1/session", {"json": {"key": f"{new_key_text()}{number}"}}
        elif place == "cookie":
            sent = {"headers": {"Cookie": f"{COOKIE}={new_cookie()[:-1]}"}}
        elif place == "question":
            path = "/v1/session"
        elif place == "logout":
            verb, path, sent = "DELETE", "/v1/session", {"headers": {"Cookie": f"{COOKIE}={new_cookie()}"}}
        return int(shut.request(verb, path, **sent).status_code)

    assert [show(number) for number in range(12)][-2:] == [429, 429]


@pytest.mark.parametrize("shape", ["too long", "another field", "no object", "NUL"])
def test_a_login_that_is_refused_repeats_no_key(shut: TestClient, shape: str) -> None:
    key = new_key_text()
    sent: dict[str, Any] = {
        "too long": {"key": key * 5},
        "another field": {key: key},
        "no object": [key],
        "NUL": {"key": f"{key}\0"},
    }
    reply = shut.post("/v1/session", json=sent[shape])
    assert (reply.status_code, reply.json()["errors"][0]["given"]) == (422, "not repeated")
    assert key[4:] not in reply.text


def test_a_cookie_that_is_none_of_ours_ends_nothing_and_writes_nothing(shut: TestClient, settings: Settings) -> None:
    assert shut.delete("/v1/session", headers={"Cookie": f"{COOKIE}={new_cookie()}"}).status_code == 204
    with Database(settings.database).read() as session:
        assert audit.list_events(session, limit=10) == []


def test_a_key_has_no_more_than_twenty_browsers(shut: TestClient, keys: dict[Scope, str]) -> None:
    """Another makes room by the oldest; those of others stay."""
    shut.post("/v1/session", json={"key": keys[Scope.ADMIN]}, headers=ORIGIN)
    others, cookies = shut.cookies[COOKIE], []
    for _ in range(access_keys.BROWSERS + 2):
        shut.post("/v1/session", json={"key": keys[Scope.READ]}, headers=ORIGIN)
        cookies.append(shut.cookies[COOKIE])
    shut.cookies.clear()
    statuses = [shut.get("/v1/methods", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code for cookie in (others, *cookies)]
    assert statuses == [200, 401, 401, *[200] * access_keys.BROWSERS]


def test_one_wrong_text_again_and_again_is_one_guess(shut: TestClient, keys: dict[Scope, str], database: Database) -> None:
    """A browser whose cookie has expired asks for many things, and can log in; each takes no time of the database."""
    shut.post("/v1/session", json={"key": keys[Scope.READ]}, headers=ORIGIN)
    stale = {"Cookie": f"{COOKIE}={shut.cookies[COOKIE]}"}
    shut.cookies.clear()
    with database.write() as session:
        session.execute(delete(BrowserSession))
    assert {shut.get("/v1/searches", headers=stale).status_code for _ in range(30)} == {401}
    assert shut.get("/v1/session", headers=stale).json()["owner"] is None
    assert shut.post("/v1/session", json={"key": keys[Scope.READ]}, headers=ORIGIN).status_code == 200


def test_who_guesses_holds_up_few_and_no_other_address(
    settings: Settings, keys: dict[Scope, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four wait at once; others get their answer now, and no lookup in the database."""
    monkeypatch.setattr("api.guesses.SLOWED_S", 0.3)
    away = TurnedAway(Database(settings.database))
    gate = Gate(Database(settings.database), 1000.0, away)

    async def show(key: str, address: str) -> tuple[str, float]:
        begun = time.monotonic()
        try:
            caller = await gate.caller_of(key, address)
        except TooManyAtOnceError:
            return "refused", time.monotonic() - begun
        return "wrong" if caller is None else caller.owner, time.monotonic() - begun

    async def try_all() -> None:
        known = await show(keys[Scope.READ], "192.0.2.1")
        assert known[0] == "reader"
        for _ in range(10):
            assert (await show(new_key_text(), "192.0.2.1"))[0] == "wrong"
        tried = await asyncio.gather(*(show(new_key_text(), "192.0.2.1") for _ in range(50)))
        assert {said for said, _ in tried} == {"refused"}
        assert sum(waited >= 0.3 for _, waited in tried) == 4
        assert (await show(keys[Scope.READ], "192.0.2.1"))[0] == "reader", "a key that was good here"
        said, waited = await show(keys[Scope.SUBMIT], "192.0.2.1")
        assert (said, waited >= 0.3) == ("submiter", True)
        assert (await show(new_key_text(), "192.0.2.2"))[0] == "wrong"

    asyncio.run(try_all())


def test_a_loop_with_one_key_leaves_others_served(settings: Settings, keys: dict[Scope, str]) -> None:
    app = create_app(settings.model_copy(update={"require_keys": True, "key_requests_per_s": 5.0}))
    with TestClient(app, base_url="http://localhost") as client:
        replies = [client.get("/v1/methods", headers=_bearer(keys[Scope.READ])) for _ in range(60)]
        refused = [reply for reply in replies if reply.status_code == 429]
        assert replies[0].status_code == 200
        assert len(refused) >= 20
        assert {reply.headers["retry-after"] for reply in refused} == {"1"}
        assert client.get("/v1/methods", headers=_bearer(keys[Scope.SUBMIT])).status_code == 200


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_loop_of_logins_is_one_of_requests(settings: Settings, keys: dict[Scope, str], verb: str) -> None:
    app = create_app(settings.model_copy(update={"require_keys": True, "key_requests_per_s": 5.0}))
    sent: dict[str, Any] = {"headers": _bearer(keys[Scope.READ])} if verb == "GET" else {"json": {"key": keys[Scope.READ]}}
    with TestClient(app, base_url="http://localhost") as client:
        statuses = [client.request(verb, "/v1/session", **sent).status_code for _ in range(60)]
    assert set(statuses) == {200, 429}


def test_only_estimates_are_asked_for_by_post_with_a_key_that_reads(shut: TestClient, keys: dict[Scope, str]) -> None:
    asked = {path for verb, path in _operations(shut, keys[Scope.READ]) if verb == "post" and path.endswith("/estimate")}
    assert asked == ESTIMATES
    for verb, path in [("DELETE", "/v1/datasets/estimate"), ("POST", "/v1/datasets/estimate"), ("DELETE", min(ESTIMATES))]:
        assert shut.request(verb, path, headers=_bearer(keys[Scope.READ])).status_code == 403, (verb, path)


def test_requests_of_one_key_take_turns_and_leave_threads_for_others(
    settings: Settings, keys: dict[Scope, str], database: Database
) -> None:
    """A hundred at once that each keep a thread busy: eight are at work, some wait, and somebody else's is answered meanwhile."""
    gate = Gate(database, 1000.0, TurnedAway(database))
    at_work, most, goes_on = 0, 0, threading.Event()
    refused: list[int] = []

    def work() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        goes_on.wait(20)
        at_work -= 1

    async def application(scope: Scope_, receive: Receive, send: Send) -> None:
        del receive, send
        if scope["path"] == "/v1/slow":
            await run_in_threadpool(work)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            refused.append(message["status"])

    def ask(scope: Scope, path: str) -> Coroutine[Any, Any, None]:
        headers = [(b"authorization", f"Bearer {keys[scope]}".encode())]
        asked = {"type": "http", "method": "GET", "path": path, "headers": headers, "client": ("192.0.2.1", 1)}
        return Gated(application, gate)(asked, receive, send)

    async def ask_all() -> None:
        flood = [asyncio.create_task(ask(Scope.READ, "/v1/slow")) for _ in range(100)]
        await asyncio.to_thread(wait_until, lambda: at_work, lambda busy: busy == 8)
        await asyncio.wait_for(asyncio.gather(*(ask(Scope.SUBMIT, "/v1/quick") for _ in range(20))), 10)
        await asyncio.wait_for(ask(Scope.READ, "/v1/stream"), 10)
        assert sum(not task.done() for task in flood) == 8 + WAITING
        assert refused == [429] * (92 - WAITING)
        goes_on.set()
        await asyncio.gather(*flood)

    asyncio.run(ask_all())
    assert most == 8


def test_whoever_takes_a_reply_slowly_holds_no_turn(keys: dict[Scope, str], database: Database) -> None:
    """Twenty downloads that go nowhere, and another request of the same key is answered."""
    gate = Gate(database, 1000.0, TurnedAway(database))
    headers = [(b"authorization", f"Bearer {keys[Scope.READ]}".encode())]

    async def application(scope: Scope_, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def ask_all() -> None:
        taken, all_begun, begun = asyncio.Event(), asyncio.Event(), 0

        async def send(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.body":
                begun += 1
                if begun == 20:
                    all_begun.set()
                await taken.wait()

        asked = {"type": "http", "method": "GET", "path": "/v1/file", "headers": headers, "client": ("192.0.2.1", 1)}
        downloads = [asyncio.create_task(Gated(application, gate)(dict(asked), receive, send)) for _ in range(20)]
        await asyncio.wait_for(all_begun.wait(), 20)
        taken.set()
        await asyncio.gather(*downloads)

    asyncio.run(ask_all())

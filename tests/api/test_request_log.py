"""Ids of requests, the line that each leaves, and what is counted of them."""

import json
import re
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from api.app import create_app
from api.request_facts import NOWHERE, PAGES, UNMATCHED, address_of
from api.request_ids import HEADER, current_request_id
from api.request_log import _refused
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.session import Database
from tests.serving import nas_serve

FOLDED = b"GET /v1/searches HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\r\n evil: yes\r\nConnection: close\r\n\r\n"
ANY_ID = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _told_anew() -> None:
    _refused._told.clear()


def test_an_id_that_is_well_formed_is_kept_and_any_other_gives_way_to_a_new_one(client: TestClient) -> None:
    assert client.get("/healthz", headers={HEADER: "trace-1.a_B"}).headers[HEADER] == "trace-1.a_B"
    made = set()
    for given in ("", "a b", "a\tb", "x" * 65, "<script>", 'a"b', "ä".encode(), "{}"):
        made.add(client.get("/healthz", headers=[(HEADER, given)]).headers[HEADER])
    made.add(client.get("/healthz", headers=[(HEADER, "one"), (HEADER, "two")]).headers[HEADER])
    made.add(client.get("/healthz").headers[HEADER])
    assert len(made) == 10
    assert all(re.fullmatch(r"[0-9a-f-]{36}", found) for found in made)


def test_every_refusal_tells_the_id(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"require_keys": True}))

    @app.get("/v1/crash")
    def crash() -> None:
        raise RuntimeError(current_request_id())

    with Database(settings.database).write() as session:
        key = access_keys.create_key(session, "ada", Scope.SUBMIT, timedelta(days=1))[1]
    bearer = {"Authorization": f"Bearer {key}"}
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client, capture_logs() as lines:
        replies = {
            401: client.get("/v1/searches", headers={HEADER: "id-401"}),
            403: client.get("/v1/keys", headers={HEADER: "id-403", **bearer}),
            404: client.get("/v1/none", headers={HEADER: "id-404", **bearer}),
            413: client.post("/v1/searches", content=b"x" * 2_000_000, headers={HEADER: "id-413", **bearer}),
            421: client.get("/v1/searches", headers={HEADER: "id-421", "Host": "evil.example"}),
            422: client.post("/v1/searches", json={"space": 3}, headers={HEADER: "id-422", **bearer}),
            500: client.get("/v1/crash", headers={HEADER: "id-500", **bearer}),
        }
    for status, reply in replies.items():
        assert (reply.status_code, reply.json()["request_id"], reply.headers[HEADER]) == (status, f"id-{status}", f"id-{status}")
    assert [line["event"] for line in lines if line.get("status") == 500] == ["request"]
    assert len([line for line in lines if line["event"] == "request.crashed"]) == 1


def test_a_request_leaves_one_line_without_secrets(settings: Settings) -> None:
    with Database(settings.database).write() as session:
        row, key = access_keys.create_key(session, "ada", Scope.READ, None)
        prefix = row.prefix
    app = create_app(settings.model_copy(update={"require_keys": True}))
    with TestClient(app, base_url="http://localhost") as client, capture_logs() as lines:
        headers = {"Authorization": f"Bearer {key}", "Cookie": "nas_session=secret", HEADER: "mine"}
        client.get(f"/v1/searches/{ANY_ID}?token=secret", headers=headers)
        for path in ("/healthz", "/readyz"):
            client.get(path)
    (line,) = lines
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request",
        "method": "GET",
        "route": "/v1/searches/{job_id}",
        "status": 422,  # there is no such parameter
        "key": prefix,
        "owner": "ada",
        "client": NOWHERE,
        "log_level": "info",
    }
    assert key not in str(lines)


def test_a_refusal_is_logged_with_its_route_and_whose_key_it_was(settings: Settings) -> None:
    """Also what was turned away before a route was sought."""
    with Database(settings.database).write() as session:
        row, key = access_keys.create_key(session, "ada", Scope.READ, None)
        prefix = row.prefix
    app = create_app(settings.model_copy(update={"require_keys": True, "key_requests_per_s": 0.25}))
    asked = f"/v1/searches/{ANY_ID}/cancel"
    with TestClient(app, base_url="http://localhost") as client, capture_logs() as lines:
        client.post(asked)
        client.post(asked, headers={"Host": "evil.example"})
        client.post(asked, headers={"Authorization": f"Bearer {key}"})
        client.post(asked, headers={"Authorization": f"Bearer {key}"})
    told = [(line["status"], line["route"], line.get("key")) for line in lines]
    route = "/v1/searches/{job_id}/cancel"
    assert told == [(401, route, None), (421, route, None), (403, route, prefix), (429, route, prefix)]
    assert all(type(line["status"]) is int for line in lines), "as text it would show as what it is called in the library"


@pytest.mark.parametrize(
    ("told", "address"),
    [("192.0.2.9", "192.0.2.9"), ("2001:db8::9", "2001:db8::9"), ("<script>", NOWHERE), ("a\nb", NOWHERE), ("", NOWHERE)],
)
def test_an_address_is_one_whatever_a_proxy_passes_on(told: str, address: str) -> None:
    assert address_of({"type": "http", "client": (told, 0)}) == address


def test_a_flood_of_refusals_is_told_seldom(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"require_keys": True}))
    with TestClient(app, base_url="http://localhost") as client, capture_logs() as lines:
        for _ in range(50):
            assert client.get("/v1/searches").status_code == 401
    assert [line["event"] for line in lines] == ["request.refused"]


@pytest.fixture
def figures(client: TestClient) -> Callable[..., float]:
    """Return a function that gives the value of a sample, as of now."""

    def value(name: str, **labels: str) -> float:
        families = text_string_to_metric_families(client.get("/metrics").text)
        found = [
            sample.value for family in families for sample in family.samples if (sample.name, sample.labels) == (name, labels)
        ]
        return found[0] if found else 0.0

    return value


def test_requests_are_counted_by_route_and_never_by_what_is_asked_for(client: TestClient, figures: Callable[..., float]) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    asked = {
        ("GET", path): re.sub(r"\{[^}]*\}", ANY_ID, path)
        for path, verbs in paths.items()
        if "get" in verbs and not path.endswith("/stream") and path != "/metrics"
    }
    asked |= {("GET", UNMATCHED): "/v1/none", ("GET", PAGES): "/searches/one"}
    assert len(asked) > 50
    names = ("nas_http_request_seconds_count",)
    text = client.get("/metrics").text
    before = {sample_key(sample): sample.value for sample in _samples(text, names)}
    replies = {route: client.get(path) for route, path in asked.items()}
    after = {sample_key(sample): sample.value for sample in _samples(client.get("/metrics").text, names)}
    for (method, route), reply in replies.items():
        key = (method, route, f"{reply.status_code // 100}xx")
        assert after[key] - before.get(key, 0.0) >= 1, key
    assert ANY_ID not in client.get("/metrics").text
    client.request("BREW", "/healthz")
    assert figures("nas_http_request_seconds_count", method="other", route="/healthz", status="4xx") >= 1


def _samples(text: str, names: tuple[str, ...]) -> list[Any]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples if sample.name in names]


def sample_key(sample: Any) -> tuple[str, str, str]:  # noqa: ANN401 - of prometheus_client, which does not name it
    """Return what tells a sample of requests from others."""
    return sample.labels["method"], sample.labels["route"], sample.labels["status"]


def test_the_log_of_a_service_is_json_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    """Lines of uvicorn and of asyncio are among them; newlines in headers reach nobody."""
    with nas_serve(tmp_path / "home", NAS_CONTROLLER="false") as served:
        with httpx.Client(base_url=served.url, timeout=60) as client:
            reply = client.get("/v1/searches", headers={HEADER: "from-outside", "X-Forwarded-For": "192.0.2.9"})
            assert reply.headers[HEADER] == "from-outside"
        address = urlsplit(served.url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as raw:
            raw.sendall(FOLDED)  # what httpx would not send
            assert b" 200 OK" in raw.recv(65_536)
        served.process.terminate()
        served.process.wait(60)
        lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    told = [line for line in lines if line["event"] == "request"]
    assert told[0]["request_id"] == "from-outside"
    assert (told[0]["route"], told[0]["status"], told[0]["client"]) == ("/v1/searches", 200, "127.0.0.1")
    assert re.fullmatch(r"[0-9a-f-]{36}", told[1]["request_id"])

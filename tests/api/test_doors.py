"""Which names the service answers to, which pages may ask, and what every reply tells a browser."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.app import create_app
from nas_service.settings import Settings

OWN = [
    "localhost",
    "localhost:8000",
    "LOCALHOST",
    "nas.localhost",
    "127.0.0.1:8123",
    "127.8.8.8",
    "[::1]:8000",
    "10.1.2.3",
    "localhost.",
]
FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "",
    "localhost:port",
    "localhost@evil.example",
    "evil.example/localhost",
    "localhost, evil.example",
    "[::1",
]
EVERYWHERE = ["/", "/healthz", "/readyz", "/metrics", "/v1/searches", "/docs", "/openapi.json", "/assets/none.js", "/v1/none"]


@contextmanager
def _service(settings: Settings, **given: str) -> Iterator[TestClient]:
    changed = settings.model_copy(update=given)
    with TestClient(create_app(changed), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("host", OWN)
def test_a_number_and_localhost_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/v1/searches", headers={"Host": host}).status_code == 200


@pytest.mark.diagonal
@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", EVERYWHERE)
def test_a_name_that_is_not_the_services_is_refused_everywhere(client: TestClient, host: str, path: str) -> None:
    reply = client.get(path, headers={"Host": host})
    assert (reply.status_code, reply.headers["content-type"]) == (421, "application/problem+json")
    assert reply.json()["detail"].startswith(f"Host: {host!a} is no name of this service")


def test_two_hosts_are_refused(client: TestClient) -> None:
    reply = client.get("/v1/searches", headers=[("Host", "localhost"), ("Host", "evil.example")])
    assert reply.status_code == 421


def test_names_of_the_settings_are_answered_and_no_others(settings: Settings) -> None:
    with _service(settings, allowed_hosts="nas.example.org,*.Lab.example", host="machine") as client:
        for host in ("nas.example.org", "NAS.example.org:443", "machine:8000", "a.lab.example", "a.b.lab.example", "127.0.0.1"):
            assert client.get("/v1/searches", headers={"Host": host}).status_code == 200, host
        for host in ("example.org", "x.nas.example.org", "lab.example", "xlab.example", "machine.example"):
            assert client.get("/v1/searches", headers={"Host": host}).status_code == 421, host


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8000", "http://localhost:8000", 202),
        ("localhost", "http://localhost:80", 202),
        ("[::1]:8000", "http://[::1]:8000", 202),
        ("localhost", "https://localhost", 202),  # behind a proxy which takes https off
        ("localhost:8000", "http://localhost:8001", 403),
        ("localhost:8000", "http://127.0.0.1:8000", 403),
        ("localhost:8000", "http://evil.example", 403),
        ("localhost:8000", "null", 403),
        ("localhost:8000", "", 403),
        ("localhost:8000", "http://localhost:8000.evil.example", 403),
        ("localhost:8000", "http://evil.example@localhost:8000", 403),
        ("localhost:8000", "file://localhost:8000", 403),
        ("localhost:8000", "http://friend.example", 202),
        ("localhost:8000", "http://friend.example:81", 403),
    ],
)
def test_only_pages_of_the_service_may_ask(settings: Settings, host: str, origin: str, status: int) -> None:
    with _service(settings, allowed_origins="http://friend.example") as client:
        reply = client.post("/v1/searches", json={"space": "tiny"}, headers={"Host": host, "Origin": origin})
        assert reply.status_code == status
        assert len(client.get("/v1/searches").json()["items"]) == int(status == 202)


@pytest.mark.parametrize("given", ["http://Friend.EXAMPLE", "http://friend.example"])
def test_a_site_is_the_same_in_capitals(settings: Settings, given: str) -> None:
    """Browsers send small letters, whatever somebody wrote into the settings."""
    with _service(settings, allowed_origins=given) as client:
        for origin in ("http://friend.example", "http://FRIEND.example"):
            assert client.get("/v1/searches", headers={"Origin": origin}).status_code == 200
        assert client.get("/v1/searches", headers={"Origin": "http://friend.example.org"}).status_code == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("allowed_hosts", "http://nas.example.org"),
        ("allowed_hosts", "a, b"),
        ("allowed_hosts", "*"),
        ("allowed_hosts", "nas.example.org:8000"),
        ("allowed_origins", "example.org"),
        ("allowed_origins", "*"),
        ("allowed_origins", "https://a/b"),
    ],
)
def test_a_setting_that_would_match_nothing_or_everything_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Settings.model_validate({field: value})


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_reply_tells_a_browser_what_it_may_do_with_it(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers

"""What no route may see: text that no database keeps. On SQLite, which would take some of it."""

import json

import pytest
from fastapi.testclient import TestClient

JSON = {"content-type": "application/json"}
BODIES = [
    ({"name": "a\0"}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"method": "\ud800"}, "method"),
    ({"strategy": {"settings": {"momentum": ["x", "\0"]}}}, "strategy.settings.momentum.1"),
    ({"space": {"settings": {"\udfff": 1}}}, "space.settings"),
    ("\0", "body"),
]


@pytest.mark.parametrize(("body", "field"), BODIES, ids=[f"{field}-{index}" for index, (_, field) in enumerate(BODIES)])
@pytest.mark.parametrize("path", ["/v1/searches", "/v1/searches/estimate", "/v1/trainings", "/v1/datasets"])
def test_a_body_with_nul_or_half_a_surrogate_pair_is_refused_by_field(
    client: TestClient, path: str, body: object, field: str
) -> None:
    reply = client.post(path, content=json.dumps(body), headers=JSON)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    (problem,) = reply.json()["errors"]
    assert (problem["field"], "without NUL" in problem["allowed"]) == (field, True)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/searches/%00", "job_id"),
        ("/v1/searches/a%00/events", "job_id"),
        ("/v1/searches?parent=%00", "parent"),
        ("/v1/searches?state=queued&state=%00&state=queued", "state"),
        ("/v1/candidates?search=a%00b", "search"),
        ("/v1/methods/%00", "name"),
    ],
)
def test_a_path_or_query_with_nul_is_refused_by_field(client: TestClient, path: str, field: str) -> None:
    reply = client.get(path)
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, field)
    assert reply.headers["content-type"] == "application/problem+json"


def test_an_idempotency_key_with_nul_is_refused(client: TestClient) -> None:
    reply = client.post("/v1/searches", json={"space": "tiny"}, headers={"Idempotency-Key": "a\0b"})
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "idempotency-key")


def test_a_whole_surrogate_pair_is_text_like_any_other(client: TestClient) -> None:
    reply = client.post("/v1/searches", content=rb'{"space": "tiny", "name": "\ud83d\ude00 \\u0000"}', headers=JSON)
    assert reply.json()["name"] == "\N{GRINNING FACE} \\u0000"


@pytest.mark.parametrize("depth", [100, 400, 900, 100_000])
def test_a_body_that_is_nested_deeply_is_refused_and_crashes_nothing(client: TestClient, depth: int) -> None:
    for path in ("/v1/searches", "/v1/searches/nowhere/cancel"):
        reply = client.post(path, content=b'{"name": ' + b"[" * depth + b"]" * depth + b"}", headers=JSON)
        assert 400 <= reply.status_code < 500

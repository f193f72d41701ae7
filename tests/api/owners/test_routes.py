"""Whose things are: a walk over every route with keys of two projects, and what one of them is told of the other's."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import _MODULES, PREFIX
from nas_service.export.formats import DownloadFormat
from nas_service.storage.models import DatasetRow, Job
from nas_service.storage.session import Database
from tests.api.owners.owning import DATASET, Owned
from tests.limits import watched

MADE_UP = "00000000-0000-7000-8000-000000000000"
# Paths with a parameter that belong to nobody: what the program knows, and keys, which are an administrator's.
OF_NOBODY = re.compile(r"/v1/(spaces|operations|templates|strategies|methods|specs|keys)/\{[a-z]+\}")
CHOICE = {"cell": "a", "edge": "0-2"}
QUERIES = {"/v1/searches/{job_id}/arms/history": CHOICE}
BODIES: dict[str, Any] = {"/v1/trainings/{job_id}/hand-made": {"network": "resnet-20"}}


FILTERS = [
    "/v1/architectures?search={search}",
    "/v1/architectures?search={search}&pareto=true",
    "/v1/candidates?training={training}",
    "/v1/candidates?search={search}",
    "/v1/candidates?architecture={architecture}",
    "/v1/trainings?parent={search}",
    "/v1/jobs?parent={search}",
    "/v1/jobs?text={search}",
    "/v1/jobs?text=secret",
    "/v1/jobs?dataset=secret-pets",
    "/v1/jobs?owner=ada",
    "/v1/jobs/counts?text={search}",
    "/v1/comparison?training={training}",
    "/v1/comparison?training={training}&format=csv",
    *(f"/v1/candidates/{{candidate}}/download?format={each}" for each in DownloadFormat),
    "/v1/trainings/{training}/curves?format=csv",
    "/v1/searches/{search}/series?format=csv",
    "/v1/searches/{search}/correlation?format=csv",
    "/v1/architectures/{architecture}/cost?format=csv",
    "/v1/searches/{search}/logs?attempt=1",
    "/v1/searches/{search}/stream?after=0&log=true",
]


def _places(owned: Owned) -> dict[str, str]:
    """Return whose id a path takes, by how the path begins; a path that begins otherwise has to be added."""
    return {
        "/v1/searches/{job_id}": owned.search,
        "/v1/trainings/{job_id}": owned.training,
        "/v1/registrations/{job_id}": owned.registration,
        "/v1/architectures/{architecture_id}": owned.architecture,
        "/v1/candidates/{candidate_id}": owned.candidate,
        "/v1/datasets/{name}": owned.dataset,
    }


def _walk(app: FastAPI) -> list[tuple[str, str]]:
    """Return verb and path of every route, what deletes last."""
    told = {(verb.upper(), path) for path, verbs in app.openapi()["paths"].items() for verb in verbs}
    routes = [route for module in _MODULES for route in module.router.routes if isinstance(route, APIRoute)]
    found = {(verb, PREFIX + route.path) for route in routes for verb in route.methods or ()}
    assert {verb for verb, _ in found - told} <= {"HEAD"}, "no other is hidden"
    return sorted(found | told, key=lambda entry: (entry[0] == "DELETE", entry))


def _with_parameter(app: FastAPI) -> list[tuple[str, str]]:
    return [(verb, path) for verb, path in _walk(app) if "{" in path and not OF_NOBODY.fullmatch(path)]


def _ask(client: TestClient, headers: dict[str, str], verb: str, path: str, key: str) -> tuple[int, str]:
    """Return status and text of the reply, the id in it written as one word."""
    place = re.sub(r"\{index\}", "0", path)
    place = re.sub(r"\{[a-z_]+\}", key, place)
    body = None if verb in {"GET", "HEAD", "DELETE"} else BODIES.get(path, {})
    reply = client.request(verb, place, params=QUERIES.get(path), json=body, headers=headers)
    return reply.status_code, reply.text.replace(key, "ID")


@pytest.mark.parametrize("settings", ["sqlite", "postgres"], indirect=True)
def test_what_is_another_projects_is_not_there_by_any_route(
    app: FastAPI, client: TestClient, owned: Owned, whole: Database
) -> None:
    places, walked = _places(owned), _with_parameter(app)
    assert len(walked) > 50
    with watched(app.state.service.database.engine) as statements:
        for verb, path in walked:
            (key,) = [key for beginning, key in places.items() if path.startswith(beginning)]
            foreign = _ask(client, owned.headers("bob"), verb, path, key)
            assert foreign[0] == 404, (verb, path, foreign)
            assert foreign == _ask(client, owned.headers("bob"), verb, path, MADE_UP), (verb, path)
    assert len(statements) > len(walked)
    with whole.read() as session:
        states = set(session.scalars(select(Job.state)))
        assert states == {"succeeded"}, "nobody was cancelled, paused or put back"
        assert session.get(DatasetRow, owned.dataset) is not None


@pytest.mark.parametrize("who", ["ada", "grace", "boss"])
def test_who_shares_a_project_and_an_administrator_finds_it_by_every_route(
    app: FastAPI, client: TestClient, owned: Owned, who: str
) -> None:
    places = _places(owned)
    with watched(app.state.service.database.engine) as statements:
        for verb, path in _with_parameter(app):
            (key,) = [key for beginning, key in places.items() if path.startswith(beginning)]
            status, told = _ask(client, owned.headers(who), verb, path, key)
            allowed = {200} if verb == "GET" else {200, 202, 204, 409}
            assert status in allowed, (verb, path, status, told)
    assert (len(statements) > 100) is (who != "boss"), "an administrator's sessions have no project"


def test_no_list_holds_anything_of_another_project(app: FastAPI, client: TestClient, owned: Owned) -> None:
    plain = [
        path for verb, path in _walk(app) if verb == "GET" and "{" not in path and path not in {"/v1/stream", "/v1/comparison"}
    ]
    assert len(plain) > 15
    for path in plain:
        reply = client.get(path, headers=owned.headers("bob"))
        assert reply.status_code < 500, path
        assert [word for word in owned.told if word in reply.text] == [], path
    for path in ("/v1/jobs", "/v1/searches", "/v1/trainings", "/v1/registrations", "/v1/architectures", "/v1/candidates"):
        assert client.get(path, headers=owned.headers("bob")).json()["items"] == [], path
        assert client.get(path, headers=owned.headers("grace")).json()["items"] != [], path
    assert client.get("/v1/jobs/counts", headers=owned.headers("bob")).json()["total"] == 0
    assert client.get("/v1/jobs/counts", headers=owned.headers("reader")).json()["total"] == 3
    assert DATASET["name"] in client.get("/v1/datasets", headers=owned.headers("ada")).text


def test_no_filter_or_format_tells_whether_an_id_of_another_project_is_one(client: TestClient, owned: Owned) -> None:
    told = {name: getattr(owned, name) for name in ("search", "training", "architecture", "candidate")}
    for query in FILTERS:
        foreign = client.get(query.format(**told), headers=owned.headers("bob"))
        made_up = client.get(query.format(**dict.fromkeys(told, MADE_UP)), headers=owned.headers("bob"))
        same = foreign.text
        for key in told.values():
            same = same.replace(key, MADE_UP)
        assert (foreign.status_code, same) == (made_up.status_code, made_up.text), query
        assert foreign.status_code == (404 if "{" in query.partition("?")[0] or "comparison" in query else 200), query
        own = client.get(query.format(**told), headers=owned.headers("grace"))
        assert own.text.replace(MADE_UP, "") != foreign.text, query

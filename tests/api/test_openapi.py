"""The OpenAPI document, and what happens to requests made up from it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.app import create_app
from api.gate import OPEN
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.specs import RegistrationSpec, SearchSpec, TrainingSpec
from nas_service.storage import access_keys
from nas_service.storage.schema import upgrade
from nas_service.storage.session import Database

Shut = tuple[schemathesis.schemas.BaseSchema, dict[Scope, str]]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.schemas.BaseSchema]:
    """Return the schema of an application on a database of its own, without a controller."""
    home: Path = tmp_path_factory.mktemp("made-up")
    made = Settings(home=home, controller=False, allowed_hosts="testserver")
    upgrade(made.database)
    app = create_app(made)
    with TestClient(app):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def test_only_searches_are_deleted_with_trainings(schema: schemathesis.schemas.BaseSchema) -> None:
    asked = {
        kind: [entry["name"] for entry in schema.raw_schema["paths"][f"/v1/{kind}/{{job_id}}"]["delete"]["parameters"]]
        for kind in ("searches", "trainings")
    }
    assert asked == {"searches": ["job_id", "trainings"], "trainings": ["job_id"]}


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shut]:
    """Return the schema of an application that asks for keys, with one of every scope."""
    home: Path = tmp_path_factory.mktemp("made-up-keys")
    made = Settings(home=home, controller=False, allowed_hosts="testserver", require_keys=True, key_requests_per_s=1e6)
    upgrade(made.database)
    database = Database(made.database)
    with database.write() as session:
        keys = {scope: access_keys.create_key(session, scope.value, scope, None)[1] for scope in Scope}
    database.close()
    app = create_app(made)
    with TestClient(app):
        headers = {"Authorization": f"Bearer {keys[Scope.READ]}"}
        yield schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers), keys


@pytest.mark.parametrize("examples", [4, pytest.param(15, marks=pytest.mark.slow)])
def test_made_up_requests_get_replies_that_the_document_describes(schema: schemathesis.schemas.BaseSchema, examples: int) -> None:
    """No request, so many of every route, ends in a server error; every reply has a documented status, type and shape."""
    _send_made_up(schema, examples)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("examples", [1, pytest.param(15, marks=pytest.mark.slow)])
def test_so_do_requests_with_a_key_of_every_scope(shut: Shut, scope: Scope, examples: int) -> None:
    schema, keys = shut
    _send_made_up(schema, examples, {"Authorization": f"Bearer {keys[scope]}"})


def _send_made_up(schema: schemathesis.schemas.BaseSchema, examples: int, headers: dict[str, str] | None = None) -> None:
    tried = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if operation.path == "/v1/stream":
            continue  # it has no end: tests of streams read it

        @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def send(case: schemathesis.Case[Any]) -> None:
            # A schema cannot say which names exist and what the cluster has: what fits it may still be refused.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        send()
        tried += 1
    assert tried > 25


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_documentation_loads_nothing_from_the_network(client: TestClient, page: str) -> None:
    loaded = re.findall(r'(?:src|href)="([^"]*)"', client.get(page).text)
    assert loaded
    for path in loaded:
        assert path.startswith("/"), path
        assert not path.startswith("//"), path
        assert client.get(path).status_code == 200


BODIES: dict[str, type[BaseModel]] = {
    "/v1/searches": SearchSpec,
    "/v1/searches/estimate": SearchSpec,
    "/v1/trainings": TrainingSpec,
    "/v1/datasets": RegistrationSpec,
}


def test_bodies_are_described_in_full(client: TestClient) -> None:
    """Though the catalogue reads them, not FastAPI."""
    document = client.get("/openapi.json").json()
    for path, model in BODIES.items():
        body = document["paths"][path]["post"]["requestBody"]
        described = body["content"]["application/json"]["schema"]
        if "$ref" in described:
            described = document["components"]["schemas"][described["$ref"].rpartition("/")[2]]
        assert (body["required"], described["additionalProperties"]) == (True, False)
        assert list(described["properties"]) == list(model.model_fields)
        assert all("description" in field or "$ref" in field for field in described["properties"].values()), described


def test_every_route_describes_keys_and_how_they_are_refused(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {name: entry["type"] for name, entry in schemes.items()} == {"key": "http", "browser": "apiKey"}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert {"401", "403", "429"} <= set(operation["responses"]), (verb, path)
            shown: list[dict[str, list[str]]] = [] if path in OPEN else [{"key": []}, {"browser": []}, {}]
            assert operation["security"] == shown, (verb, path)


def test_where_keys_are_asked_for_the_document_says_so(shut: Shut) -> None:
    paths = shut[0].raw_schema["paths"]
    said = {str(operation["security"]) for path, verbs in paths.items() if path not in OPEN for operation in verbs.values()}
    assert said == {str([{"key": []}, {"browser": []}])}


def test_every_route_has_a_summary_and_describes_its_refusals(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert operation["summary"], (verb, path)
            if "requestBody" in operation:
                assert "application/problem+json" in operation["responses"]["422"]["content"], (verb, path)

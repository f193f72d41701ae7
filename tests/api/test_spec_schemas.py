"""The schemas of specs, from which forms are made."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from nas_service.specs import RegistrationSpec, SearchSpec, TrainingSpec

GIVEN = Path(__file__).parents[2] / "api" / "dashboard" / "unit" / "given" / "search-spec.json"


@pytest.mark.parametrize(
    ("kind", "model"), [("search", SearchSpec), ("training", TrainingSpec), ("registration", RegistrationSpec)]
)
def test_the_schema_of_a_spec_is_its_models(
    client: TestClient, kind: str, model: type[SearchSpec | TrainingSpec | RegistrationSpec]
) -> None:
    reply = client.get(f"/v1/specs/{kind}")
    assert reply.status_code == 200
    assert reply.json() == model.model_json_schema()


def test_what_can_be_submitted_is_told_where_something_else_is_asked_for(client: TestClient) -> None:
    reply = client.get("/v1/specs/model")
    assert reply.status_code == 422
    assert "'search', 'training' or 'registration'" in reply.json()["errors"][0]["allowed"]


def test_the_pages_unit_tests_know_todays_schema() -> None:
    assert json.loads(GIVEN.read_text()) == json.loads(json.dumps(SearchSpec.model_json_schema()))

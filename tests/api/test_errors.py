"""Errors over HTTP: one table, problem+json everywhere, every bad input named."""

import inspect
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import nas_service.errors
import search_spaces.errors
from api.errors import TABLE, map_error
from api.refusals import ApiError
from api.views import Problem
from nas_service.settings import Settings

DOMAIN_ERRORS = [
    kind
    for module in (nas_service.errors, search_spaces.errors)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Exception)
    and kind.__module__ == module.__name__
    and kind is not search_spaces.errors.PortableError  # the base of all
]


@pytest.mark.parametrize("kind", DOMAIN_ERRORS, ids=lambda kind: kind.__name__)
def test_every_domain_error_has_its_line_in_the_table(kind: type[Exception]) -> None:
    assert kind in TABLE


def test_a_subclass_takes_the_line_of_its_nearest_base() -> None:
    class Special(nas_service.errors.ConflictError):
        pass

    assert map_error(Special()) == TABLE[nas_service.errors.ConflictError]
    assert map_error(RuntimeError()).status == 500


BAD_SPECS = [
    ({"space": "abandit-generall"}, "space.name", "did you mean abandit-general,"),
    (
        {"space": {"name": "tiny", "settings": {"operations": ["skip", "conv-9x9"]}}},
        "space.settings.operations.1",
        "max-pool-3x3",
    ),
    ({"method": "xnor"}, "method.name", "xnor-net"),
    ({"strategy": "abandid"}, "strategy.name", "did you mean abandit,"),
    ({"dataset": "digitz"}, "dataset.name", "did you mean digits?"),
    ({"strategy": {"name": "random", "settings": {"samples": -3}}}, "strategy.settings.samples", "greater than or equal to 1"),
    ({"strategy": {"name": "abandit", "settings": {"samples_per_arm": -1}}}, "strategy.settings.samples_per_arm", "greater"),
    ({"resources": {"workers": 0}}, "resources.workers", "greater than or equal to 1"),
    ({"wave": 0}, "wave", "greater than or equal to 1"),
    ({"resources": {"workers": 1, "gpus_per_worker": 16}}, "resources.gpus_per_worker", "no more than the cluster has"),
    ({"training": {"methods": ["bnn"], "resources": {"gpus_per_trial": 9}}}, "training.resources.gpus_per_trial", "no more than"),
    ({"dataset": "cifar10"}, "dataset.settings.path", "cifar-10-batches-py"),
    (
        {"dataset": {"name": "image-folder", "settings": {"path": "gone"}}},
        "dataset.settings.path",
        "exists under the data root (NAS_DATA_ROOT)",
    ),
    ({"dataset": {"name": "image-folder", "settings": {}}}, "dataset.settings.path", "a value: this field is required"),
    ({"dataset": {"settings": {"split_seed": 2**32}}}, "dataset.settings.split_seed", "less than or equal to 4294967295"),
    ({"dataset": {"name": "image-folder", "settings": {"path": "x" * 5000}}}, "dataset.settings.path", "File name too long"),
    ({"dataset": {"name": "cifar10", "settings": {"path": "x/" * 2040}}}, "dataset.settings.path", "File name too long"),
    ({"training": {"methods": ["bnn"], "seeds": [1, 1]}}, "training.seeds", "entry 1 repeats entry 0"),
    ({"training": {"methods": ["bnn"], "seeds": [0, -1]}}, "training.seeds.1", "greater than or equal to 0"),
    ({"training": {"methods": ["bnn", "xnor-net", "bnn"]}}, "training.methods", "entry 2 repeats entry 0"),
    ({"training": {"methods": ["bnn"], "top_k": 9}}, "training.top_k", "no more than keep, which is 5"),
    ({"resources": {"gpus_per_worker": 1.5}}, "resources.gpus_per_worker", "above 1 only whole numbers"),
    (
        {"training": {"methods": ["bnn"], "resources": {"gpus_per_trial": 2.5}}},
        "training.resources.gpus_per_trial",
        "whole numbers",
    ),
    ({"colour": "red"}, "colour", "nothing: there is no such field"),
    ([1, 2], "body", "an object"),
    ({"space": 3}, "space", "a name, or an object with a `name`"),
    ({"training": {"methods": [3]}}, "training.methods.0", "a name, or an object with a `name`"),
    ({"from_search": ["x"]}, "from_search", "the id of a search, or an object with it as `search`"),
    ({"objectives": "ops"}, "objectives", "a list"),
    ({"objectives": ["ops", "parameters", "packed_bytes"]}, "objectives", "at most 2 entries, not 3"),
    ({"name": "x" * 201}, "name", "at most 200 characters"),
    ({"wave": 1.5}, "wave", "a whole number"),
    ({"constraints": 3}, "constraints", "an object"),
    ({"training": {"methods": []}}, "training.methods", "at least 1 entry, not 0"),
]


@pytest.mark.parametrize(("spec", "field", "allowed"), BAD_SPECS, ids=[entry[1] for entry in BAD_SPECS])
@pytest.mark.parametrize("path", ["/v1/searches", "/v1/searches/estimate"])
def test_a_bad_spec_is_refused_with_field_given_and_allowed(
    client: TestClient, path: str, spec: object, field: str, allowed: str
) -> None:
    reply = client.post(path, json=spec)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["type"] == "urn:nas:problem:invalid-input"
    found = {entry["field"]: entry for entry in problem["errors"]}
    assert allowed in found[field]["allowed"]
    assert client.get("/v1/searches").json()["items"] == []


def test_a_body_that_is_not_json_is_refused(client: TestClient) -> None:
    reply = client.post("/v1/searches", content=b'{"space": ', headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["type"]) == (400, "urn:nas:problem:invalid-json")


NUMBERS = [
    (b'{"seed": NaN}', "seed", "nan"),
    (b'{"evaluation": {"learning_rate": 1e999}}', "evaluation.learning_rate", "inf"),
    (b'{"evaluation": {"learning_rate": -Infinity}}', "evaluation.learning_rate", "-inf"),
    (b'{"strategy": {"settings": {"momentum": [NaN, 1]}}}', "strategy.settings.momentum", "[nan, 1]"),
]


@pytest.mark.parametrize(("body", "field", "given"), NUMBERS, ids=[given for _, _, given in NUMBERS])
def test_a_number_that_json_does_not_have_is_refused_and_shown_as_text(
    client: TestClient, body: bytes, field: str, given: str
) -> None:
    reply = client.post("/v1/searches", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 422
    (problem,) = reply.json()["errors"]
    assert (problem["field"], problem["given"]) == (field, given)


def test_bytes_that_are_no_text_are_refused_and_shown_as_text(client: TestClient) -> None:
    reply = client.post("/v1/searches", content=b"\xff", headers={"content-type": "text/plain"})
    assert (reply.status_code, reply.json()["errors"][0]["given"]) == (422, r"b'\xff'")


def test_a_spec_of_10_mb_is_refused_before_it_is_read(client: TestClient) -> None:
    body = json.dumps({"name": "x" * 10_000_000}).encode()
    reply = client.post("/v1/searches", content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["type"]) == (413, "urn:nas:problem:body-too-large")
    assert "1000000 bytes" in reply.json()["detail"]


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    """Chunked, so no length is announced."""
    chunks = (b"x" * 100_000 for _ in range(100))
    reply = client.post("/v1/searches", content=chunks, headers={"content-type": "application/json"})
    assert reply.status_code == 413


def test_a_long_value_is_shortened_in_the_reply(client: TestClient) -> None:
    reply = client.post("/v1/searches", json={"method": {"name": "x" * 99, "settings": {"a": "y" * 5000}}, "seed": "z" * 5000})
    assert len(reply.content) < 3000


ROUTES = ["/v1/searches", "/v1/searches/estimate", "/v1/trainings", "/v1/datasets"]


@pytest.mark.parametrize("path", ROUTES)
def test_a_reply_lists_so_many_faults_and_counts_the_others(client: TestClient, path: str) -> None:
    reply = client.post(path, json={f"field_{index}": index for index in range(300)})
    problem = reply.json()
    assert (reply.status_code, len(problem["errors"])) == (422, 50)
    assert problem["more"] >= 250
    assert problem["detail"].endswith(f"(and {problem['more']} more)")
    with pytest.raises(ApiError, match=f"and {problem['more']} more$"):
        raise ApiError(Problem.model_validate(problem))


@pytest.mark.parametrize("path", ROUTES)
def test_tens_of_thousands_of_unknown_fields_are_one_fault(client: TestClient, path: str) -> None:
    reply = client.post(path, json={f"f{index}": 1 for index in range(60_000)})
    (problem,) = reply.json()["errors"]
    assert (reply.status_code, problem["field"], problem["given"]) == (422, "body", "more than 10,000 entries")
    assert len(reply.content) < 1000


def test_a_long_name_of_a_field_is_shortened_in_the_reply(client: TestClient) -> None:
    assert len(client.post("/v1/searches", json={"x" * 900_000: 1}).content) < 4000


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_that_is_missing_or_no_object_is_refused(client: TestClient, path: str) -> None:
    for body in (b"", b"3", b"null", b'"tiny"', b"[{}]"):
        reply = client.post(path, content=body, headers={"content-type": "application/json"})
        assert reply.status_code == 422
        assert [problem["field"] for problem in reply.json()["errors"]] == ["body"]


def test_whole_numbers_are_no_booleans_texts_or_fractions(client: TestClient) -> None:
    body = {"seed": True, "wave": "1", "keep": 5.0, "evaluation": {"learning_rate": False, "epochs": "2"}}
    reply = client.post("/v1/searches", json=body)
    fields = [problem["field"] for problem in reply.json()["errors"]]
    assert fields == ["seed", "wave", "evaluation.epochs", "evaluation.learning_rate", "keep"]
    assert client.post("/v1/searches", json={"evaluation": {"learning_rate": 1}}).status_code == 202


def test_unknown_paths_and_verbs_are_problems_too(client: TestClient) -> None:
    for reply, status in ((client.get("/v1/nothing"), 404), (client.delete("/v1/searches"), 405)):
        assert (reply.status_code, reply.json()["status"]) == (status, status)
        assert reply.headers["content-type"] == "application/problem+json"


def test_a_data_root_that_is_not_there_is_named_by_its_setting(client: TestClient, settings: Settings) -> None:
    assert not Path(settings.data).exists()
    reply = client.post("/v1/datasets", json={"name": "mine", "kind": "parquet", "settings": {"path": "x.parquet"}})
    (problem,) = reply.json()["errors"]
    assert "under the data root (NAS_DATA_ROOT)" in problem["allowed"]


def test_an_unknown_kind_of_dataset_is_refused_with_near_matches(client: TestClient) -> None:
    reply = client.post("/v1/datasets", json={"name": "mine", "kind": "imagefolder"})
    (problem,) = reply.json()["errors"]
    assert "did you mean image-folder?" in problem["allowed"]

"""Query parameters that a route does not have are refused, on every route that the document names."""

import re

import pytest
from fastapi.testclient import TestClient

ANY_ID = "00000000-0000-7000-8000-000000000000"


def test_every_route_refuses_a_query_parameter_that_it_does_not_have(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    walked = 0
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            place = re.sub(r"\{[^}]*\}", ANY_ID, path)
            reply = client.request(verb, place, params={"no_such_thing": "given"}, json={})
            assert reply.status_code == 422, (verb, path, reply.text)
            (problem,) = reply.json()["errors"]
            is_login = (verb, path) == ("post", "/v1/session")  # whatever came with it may be a key
            named = ("request", "not repeated") if is_login else ("no_such_thing", "given")
            assert (problem["field"], problem["given"]) == named, (verb, path)
            own = sorted(entry["name"] for entry in operation.get("parameters", ()) if entry["in"] == "query")
            expected = f"the query parameters {', '.join(own)}" if own else "no query parameter: this route has none"
            assert problem["allowed"].endswith(expected), (verb, path)
            walked += 1
    assert walked > 45


def test_no_parameter_that_the_document_names_is_called_unknown(client: TestClient) -> None:
    """Its value may be refused, its name is not."""
    document = client.get("/openapi.json").json()
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            for entry in operation.get("parameters", ()):
                if entry["in"] == "query":
                    place = re.sub(r"\{[^}]*\}", ANY_ID, path)
                    with client.stream(verb, place, params={entry["name"]: "1"}, json={}) as reply:
                        if reply.is_error:  # what is not may never end: the stream of all jobs does not
                            said = reply.read().decode()
                            assert "query parameter" not in said, (verb, path, entry["name"], said)


@pytest.mark.parametrize(("given", "meant"), [("statee", "state"), ("kinds", "kind"), ("curser", "cursor")])
def test_a_misspelt_parameter_is_refused_with_what_it_may_mean(client: TestClient, given: str, meant: str) -> None:
    reply = client.get("/v1/jobs", params={given: "queued"})
    assert reply.status_code == 422
    assert f"did you mean {meant}" in reply.json()["errors"][0]["allowed"]


def test_all_unknown_parameters_are_told_at_once(client: TestClient) -> None:
    reply = client.get("/v1/jobs?one=1&state=queued&two=2")
    assert [entry["field"] for entry in reply.json()["errors"]] == ["one", "two"]

"""A search that begins from another one, over the API: what is kept in its spec, told of it, and protected."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

from nas_service.settings import Settings
from nas_service.storage.models import SampleRow
from nas_service.storage.session import Database
from tests.live_searches import search_live


@pytest.fixture
def earlier(settings: Settings) -> Iterator[str]:
    """Return the id of a search of 18 samples that is over."""
    database = Database(settings.database)
    yield search_live(database, {"name": "random", "settings": {"samples": 18}}).job_id
    database.close()


def test_a_search_begins_from_another_one(client: TestClient, earlier: str) -> None:
    body = {"space": "tiny", "method": "bnn", "strategy": "abandit-plus", "from_search": earlier}
    job = client.post("/v1/searches", json=body).json()
    assert job["spec"]["from_search"] == {"search": earlier, "samples": 18}
    told = client.get(f"/v1/searches/{job['id']}/beliefs").json()
    assert told == {"at": 0, "prior": {"search": earlier, "samples": 18, "told": 18, "fidelity": 1.0}, "beliefs": []}
    again = client.post(f"/v1/searches/{job['id']}/clone").json()
    assert again["spec"]["from_search"] == {"search": earlier, "samples": 18}
    refused = client.delete(f"/v1/searches/{earlier}")
    assert refused.status_code == 409
    assert job["id"] in refused.json()["detail"]


def test_an_estimate_looks_the_other_search_up_too(client: TestClient, earlier: str) -> None:
    body = {"space": "tiny", "method": "bnn", "strategy": "abandit-plus", "from_search": earlier}
    assert client.post("/v1/searches/estimate", json=body).status_code == 200
    reply = client.post("/v1/searches/estimate", json={**body, "from_search": "nobody"})
    assert reply.status_code == 422
    (error,) = reply.json()["errors"]
    assert (error["field"], error["given"]) == ("from_search.search", "nobody")


def test_what_screen_and_train_believes_is_told_after_any_number_of_samples(client: TestClient, settings: Settings) -> None:
    database = Database(settings.database)
    live = search_live(database, {"name": "screen-and-train", "settings": {"trainings": 5}})
    database.close()
    told = client.get(f"/v1/searches/{live.job_id}/beliefs").json()
    assert [(row["model"], row["covariate"], row["expected"]) for row in told["beliefs"]] == [
        ("short trainings", "size", 0.0),
        ("whole trainings", "size", 0.5),
        ("whole trainings", "screening", 0.7),
    ]
    assert told["prior"] is None
    early = client.get(f"/v1/searches/{live.job_id}/beliefs", params={"at": 6}).json()
    assert [row["covariate"] for row in early["beliefs"]] == ["size"]
    assert client.get(f"/v1/searches/{live.job_id}/beliefs", params={"at": 99}).status_code == 422


def test_a_request_that_is_sent_again_is_the_same_whatever_the_other_search_did_meanwhile(
    client: TestClient, settings: Settings, earlier: str
) -> None:
    """The number of its samples is filled in, and no part of what was asked for; one that is given is."""
    body = {"space": "tiny", "method": "bnn", "strategy": "abandit-plus", "from_search": earlier}
    headers = {"Idempotency-Key": "lost reply"}
    first = client.post("/v1/searches", json=body, headers=headers).json()
    with Database(settings.database).write() as session:
        session.execute(delete(SampleRow).where(SampleRow.job_id == earlier, SampleRow.index == 17))
    again = client.post("/v1/searches", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert again.json()["spec"]["from_search"]["samples"] == 18
    other = {**body, "from_search": {"search": earlier, "samples": 17}}
    refused = client.post("/v1/searches", json=other, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Idempotency-Key")

"""What may be named, taken and thrown away where several projects share a service."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.models import Artifact, DatasetRow, Job
from nas_service.storage.session import Database
from tests.api.owners.owning import DATASET, MARK, Owned
from tests.api.whole_training import write_training

MADE_UP = "00000000-0000-7000-8000-000000000000"
SEARCH = {"space": "tiny", "method": "bnn", "dataset": "digits"}
TRAINING = {"space": "tiny", "dataset": "digits", "methods": ["bnn"]}


def _named(owned: Owned) -> dict[str, tuple[str, dict[str, Any], str]]:
    """Return specs that name something of Ada's: the path, the spec, and what it names."""
    warm = {**SEARCH, "strategy": "abandit-plus", "from_search": owned.search}
    return {
        "a dataset": ("/v1/searches", {**SEARCH, "dataset": owned.dataset}, owned.dataset),
        "a dataset to train on": (
            "/v1/trainings",
            {**TRAINING, "dataset": owned.dataset, "architectures": [MADE_UP]},
            owned.dataset,
        ),
        "an earlier search": ("/v1/searches", warm, owned.search),
        "an architecture": ("/v1/trainings", {**TRAINING, "architectures": [owned.architecture]}, owned.architecture),
        "a teacher": (
            "/v1/trainings",
            {**TRAINING, "architectures": [MADE_UP], "teacher": owned.candidate},
            owned.candidate,
        ),
    }


def _replaced(value: Any, old: str, new: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _replaced(entry, old, new) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, old, new) for entry in value]
    return new if value == old else value


def test_a_spec_cannot_name_what_is_another_projects(client: TestClient, owned: Owned) -> None:
    for what, (path, spec, named) in _named(owned).items():
        nobodys = f"no-{DATASET['name']}" if named == owned.dataset else f"{MADE_UP[:-1]}1"
        for place in (path, f"{path}/estimate"):
            reply = client.post(place, json=spec, headers=owned.headers("bob"))
            assert reply.status_code == 422, (what, reply.text)
            other = client.post(place, json=_replaced(spec, named, nobodys), headers=owned.headers("bob"))
            told, other_told = reply.text.replace(named, "ID"), other.text.replace(nobodys, "ID")
            assert (reply.status_code, told) == (other.status_code, other_told), what
            own = client.post(f"{path}/estimate", json=spec, headers=owned.headers("grace"))
            assert own.text.replace(named, "ID") != told, "whose it is may name it"


def test_what_is_submitted_is_its_callers_and_its_projects(client: TestClient, owned: Owned, whole: Database) -> None:
    made = client.post("/v1/searches", json=SEARCH, headers=owned.headers("grace")).json()
    assert (made["owner"], made["project"]) == ("grace", "vision")
    path = f"/v1/searches/{made['id']}"
    assert client.get(path, headers=owned.headers("ada")).json()["owner"] == "grace"
    assert client.get(path, headers=owned.headers("bob")).status_code == 404
    assert client.post(f"{path}/cancel", headers=owned.headers("reader")).status_code == 403
    assert client.post(f"{path}/cancel", headers=owned.headers("ada")).status_code == 202
    rows = client.get("/v1/jobs", params={"owner": "grace"}, headers=owned.headers("ada")).json()["items"]
    assert [(row["id"], row["owner"], row["project"]) for row in rows] == [(made["id"], "grace", "vision")]
    with whole.write() as session:
        child = jobs.create_job(session, jobs.TRAINING, "", {}, parent_id=made["id"])
        assert (child.owner, child.project) == ("grace", "vision")
    ordered = client.post("/v1/searches", json=SEARCH, headers=owned.headers("boss")).json()
    assert (ordered["owner"], ordered["project"]) == ("boss", "operations")
    assert client.get(f"/v1/searches/{ordered['id']}", headers=owned.headers("ada")).status_code == 404


def test_the_same_idempotency_key_of_another_owner_is_another_key(client: TestClient, owned: Owned) -> None:
    def sent(who: str, **more: object) -> Any:  # noqa: ANN401 - a reply
        headers = {**owned.headers(who), "Idempotency-Key": "tuesday"}
        return client.post("/v1/searches", json={**SEARCH, **more}, headers=headers)

    made = {who: sent(who).json()["id"] for who in ("ada", "grace", "bob", "boss")}
    assert len(set(made.values())) == 4
    assert {who: sent(who).json()["id"] for who in made} == made
    refused = sent("bob", name="other")
    assert refused.status_code == 422
    assert (refused.json()["errors"][0]["field"], refused.json()["errors"][0]["given"]) == ("Idempotency-Key", "tuesday")


def test_a_name_that_another_project_took_is_refused_in_plain_words(client: TestClient, owned: Owned, settings: Settings) -> None:
    reply = client.post("/v1/datasets", json=DATASET, headers=owned.headers("bob"))
    assert reply.status_code == 409
    assert "taken in another project" in reply.json()["detail"]
    assert "unique in a service" in reply.json()["detail"]
    own = client.post("/v1/datasets", json=DATASET, headers=owned.headers("grace"))
    assert (own.status_code, own.json()["detail"]) == (409, f"a dataset {DATASET['name']!r} is registered already")
    assert settings.data.is_dir()
    waiting = {**DATASET, "name": "birds"}
    queued = client.post("/v1/datasets", json=waiting, headers=owned.headers("ada")).json()["id"]
    refused = client.post("/v1/datasets", json=waiting, headers=owned.headers("bob")).json()["detail"]
    assert "taken in another project" in refused
    assert queued not in refused
    assert queued in client.post("/v1/datasets", json=waiting, headers=owned.headers("grace")).json()["detail"]


def test_what_was_made_while_nobody_was_asked_is_everybodys(client: TestClient, owned: Owned, whole: Database) -> None:
    with whole.write() as session:
        session.execute(update(Job).values(owner=None, project=None))
        session.execute(update(DatasetRow).values(owner=None, project=None))
    for who in ("ada", "bob", "boss"):
        assert len(client.get("/v1/jobs", headers=owned.headers(who)).json()["items"]) == 3
        assert client.get(f"/v1/candidates/{owned.candidate}/download", headers=owned.headers(who)).status_code == 200
        assert client.get(f"/v1/datasets/{owned.dataset}", headers=owned.headers(who)).status_code == 200
    assert client.patch(f"/v1/searches/{owned.search}", json={"note": "bob's"}, headers=owned.headers("bob")).status_code == 200


def test_a_dataset_outlives_its_registration_and_takes_its_sheet_along(client: TestClient, owned: Owned, whole: Database) -> None:
    ada, sheet = owned.headers("ada"), f"/v1/datasets/{owned.dataset}/sheet.png"
    assert client.delete(f"/v1/registrations/{owned.registration}", headers=ada).status_code == 204
    assert client.get(sheet, headers=owned.headers("bob")).status_code == 404
    assert client.get(sheet, headers=ada).status_code == 200
    assert client.delete(f"/v1/datasets/{owned.dataset}", headers=ada).status_code == 204
    with whole.read() as session:
        assert session.scalars(select(Artifact).where(Artifact.kind == "sheet")).all() == []


@pytest.mark.parametrize("needs", ["trains", "begins", "teaches"])
def test_what_another_project_needs_stays_and_is_not_named(client: TestClient, owned: Owned, whole: Database, needs: str) -> None:
    """As where an administrator trained what others found, or a key moved to another project."""
    gone, wanted = ("trainings", owned.training) if needs == "teaches" else ("searches", owned.search)
    with whole.write() as session:
        if needs == "trains":
            other = write_training(session, [owned.architecture], methods=["bnn"], seeds=[0])
        elif needs == "begins":
            other = jobs.create_job(session, jobs.SEARCH, "", {"from_search": {"search": owned.search, "samples": 3}}).id
        else:
            other = jobs.create_job(session, jobs.TRAINING, "", {"architectures": [], "teacher": owned.candidate}).id
        session.execute(update(Job).where(Job.id == other).values(owner="boss", project="operations"))
    if needs == "begins":
        assert client.delete(f"/v1/trainings/{owned.training}", headers=owned.headers("ada")).status_code == 204
    refused = client.delete(
        f"/v1/{gone}/{wanted}", params={"trainings": "true"} if gone == "searches" else {}, headers=owned.headers("ada")
    )
    assert refused.status_code == 409, refused.text
    assert "another project" in refused.json()["detail"]
    assert other not in refused.text
    with whole.read() as session:
        assert session.get(Job, wanted) is not None
    assert MARK in client.get(f"/v1/{gone}/{wanted}", headers=owned.headers("boss")).text

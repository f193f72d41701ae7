"""/datasets and /registrations: what is asked, refused, shown and forgotten; nobody carries anything out but the tests."""

import io
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.models import DatasetRow
from nas_service.storage.session import Database, utc_now
from tests.nas_service.data.files import write_folder, write_parquet
from tests.workers.conftest import carried_out

PETS = {"name": "pets", "kind": "image-folder", "settings": {"path": "pictures"}}


@pytest.fixture
def pictures(settings: Settings) -> Path:
    """Write 24 pictures of three classes under the data root."""
    settings.data.mkdir()
    write_folder(settings.data)
    return settings.data / "pictures"


def test_a_registration_is_accepted_and_the_dataset_known_when_it_has_succeeded(
    client: TestClient, settings: Settings, pictures: Path
) -> None:
    reply = client.post("/v1/datasets", json=PETS)
    job = reply.json()
    assert (reply.status_code, job["kind"], job["name"], job["state"], job["spec"]) == (
        202,
        "registration",
        "pets",
        "queued",
        PETS,
    )
    assert reply.headers["Location"] == f"/v1/registrations/{job['id']}"
    assert int(reply.headers["Retry-After"]) > 0
    assert client.get(reply.headers["Location"]).json() == job
    assert client.get("/v1/datasets/pets").status_code == 404
    assert carried_out(settings) == 0
    told = client.get(reply.headers["Location"]).json()
    assert (told["state"], told["progress"]) == (
        "succeeded",
        {"kind": "registration", "phase": "concluding", "images": 24, "total": 24},
    )
    moves = client.get(f"{job_path(job)}/events", params={"kind": "state"}).json()["items"]
    assert moves[-1]["data"]["state"] == "succeeded"
    view = client.get("/v1/datasets/pets").json()
    assert (view["kind"], view["settings"], view["registration_id"]) == ("image-folder", {"path": "pictures"}, job["id"])
    assert (view["facts"]["class_names"], view["facts"]["skipped"]) == (["cat", "dog", "eel"], {})
    assert sum(map(sum, view["facts"]["by_class"].values())) == 24
    assert view["registered_at"] is not None
    (listed,) = [entry for entry in client.get("/v1/datasets").json()["items"] if entry["name"] == "pets"]
    assert (listed["summary"], listed["facts"]) == ("image-folder: pictures", view["facts"])


def job_path(job: dict[str, object]) -> str:
    """Return where a registration is told."""
    return f"/v1/registrations/{job['id']}"


def test_the_sheet_is_a_picture_with_an_etag_and_goes_with_the_name(
    client: TestClient, settings: Settings, pictures: Path
) -> None:
    client.post("/v1/datasets", json=PETS)
    carried_out(settings)
    path = client.get("/v1/datasets/pets").json()["sheet"]
    sheet = client.get(path)
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(sheet.content)).format == "PNG"
    assert client.get(path, headers={"If-None-Match": sheet.headers["ETag"]}).status_code == 304
    assert client.delete("/v1/datasets/pets").status_code == 204
    for gone in (path, "/v1/datasets/pets"):
        assert client.get(gone).status_code == 404
    again = client.post("/v1/datasets", json=PETS)
    assert again.status_code == 202


def test_without_a_sheet_a_sentence_says_why(client: TestClient, settings: Settings) -> None:
    database = Database(settings.database)
    with database.write() as session:
        session.add(DatasetRow(name="old", kind="parquet", settings={}, facts={}, created_at=utc_now()))
    database.close()
    for name, why in (("digits", "built-in"), ("old", "an earlier version"), ("nowhere", "registered dataset")):
        reply = client.get(f"/v1/datasets/{name}/sheet.png")
        assert (reply.status_code, why in reply.json()["detail"], name in reply.json()["detail"]) == (404, True, True)
        assert reply.headers["content-type"] == "application/problem+json"
    assert client.get("/v1/datasets/old").json()["sheet"] is None


def test_a_built_in_dataset_is_shown_with_its_settings_and_keeps_its_name(client: TestClient) -> None:
    view = client.get("/v1/datasets/digits").json()
    assert (view["kind"], view["facts"], view["sheet"]) == ("digits", None, None)
    assert "split_seed" in view["settings_schema"]["properties"]
    assert client.delete("/v1/datasets/digits").status_code == 409
    reply = client.post("/v1/datasets", json={**PETS, "name": "digits", "kind": "digits", "settings": {}})
    assert (reply.status_code, "built in" in reply.json()["detail"]) == (409, True)


def test_a_taken_name_is_refused_with_who_has_it(client: TestClient, settings: Settings, pictures: Path) -> None:
    first = client.post("/v1/datasets", json=PETS).json()
    refused = client.post("/v1/datasets", json=PETS)
    assert (refused.status_code, first["id"] in refused.json()["detail"]) == (409, True)
    carried_out(settings)
    refused = client.post("/v1/datasets", json=PETS)
    assert (refused.status_code, refused.json()["detail"]) == (409, "a dataset 'pets' is registered already")
    assert len(client.get("/v1/registrations").json()["items"]) == 1


def test_the_same_request_sent_twice_is_one_registration(client: TestClient, pictures: Path) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/datasets", json=PETS, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code, first.json()) == (202, 202, second.json())
    assert client.post("/v1/datasets", json={**PETS, "name": "other"}, headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({**PETS, "name": "My Pets"}, ["name"]),
        ({**PETS, "kind": "imagefolder"}, ["kind"]),
        ({**PETS, "settings": {"path": "gone"}}, ["settings.path"]),
        ({**PETS, "settings": {"path": "../.."}}, ["settings.path"]),
        ({**PETS, "settings": {"path": "pictures", "image_size": 3}}, ["settings.image_size"]),
        ({**PETS, "settings": {"path": "pictures", "colour": 3}}, ["settings.colour"]),
        ({"name": "a b", "kind": "image-folder", "settings": {"path": "gone"}}, ["name", "settings.path"]),
    ],
)
def test_what_can_be_known_at_once_is_refused_by_field(
    client: TestClient, pictures: Path, body: dict[str, object], fields: list[str]
) -> None:
    reply = client.post("/v1/datasets", json=body)
    assert reply.status_code == 422
    assert [problem["field"] for problem in reply.json()["errors"]] == fields
    assert client.get("/v1/registrations").json()["items"] == []


@pytest.mark.parametrize(
    ("kind", "given", "field", "named"),
    [
        ("digits", {"test_fraction": 0.9999}, "settings.test_fraction", "0.9999"),
        ("parquet", {"path": "pictures.parquet"}, "settings.", "label 7"),
    ],
)
def test_what_only_reading_tells_fails_the_registration_with_the_same_words(
    client: TestClient, settings: Settings, kind: str, given: dict[str, object], field: str, named: str
) -> None:
    settings.data.mkdir()
    write_parquet(settings.data, [0, 1, 7])
    job = client.post("/v1/datasets", json={"name": "mine", "kind": kind, "settings": given}).json()
    assert carried_out(settings) == 1
    told = client.get(job_path(job)).json()
    assert (told["state"], told["error"].startswith(field), named in told["error"]) == ("failed", True, True), told["error"]
    assert client.get("/v1/datasets/mine").status_code == 404


def test_registrations_rest_go_on_and_end_like_other_jobs(client: TestClient, pictures: Path) -> None:
    job = client.post("/v1/datasets", json=PETS).json()
    for action, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelling")):
        reply = client.post(f"{job_path(job)}/{action}")
        assert (reply.status_code, reply.json()["state"]) == (202, state)
    assert client.delete(job_path(job)).status_code == 409
    assert client.post(f"/v1/searches/{job['id']}/cancel").status_code == 404
    assert client.get(f"{job_path(job)}/best").status_code == 404


def test_a_registration_that_is_over_can_be_deleted_and_its_dataset_stays(
    client: TestClient, settings: Settings, pictures: Path
) -> None:
    job = client.post("/v1/datasets", json=PETS).json()
    carried_out(settings)
    assert client.delete(job_path(job)).status_code == 204
    assert client.get(job_path(job)).status_code == 404
    view = client.get("/v1/datasets/pets").json()
    assert client.get(view["sheet"]).status_code == 200


def test_rows_of_earlier_versions_are_shown_as_far_as_they_can_be(client: TestClient, settings: Settings) -> None:
    """Names of files that are no text, facts that were counted otherwise, and none at all."""
    database = Database(settings.database)
    stored: dict[str, dict[str, object]] = {
        "bytes": {"class_names": ["caf\udce9", "dog"], "height": 8, "train": 3},
        "wrong": {"class_names": "cat", "by_class": [1], "height": 8},
        "less": {},
    }
    with database.write() as session:
        for name, facts in stored.items():
            given = {"path": "a\udcff"}
            session.add(DatasetRow(name=name, kind="image-folder", settings=given, facts=facts, created_at=utc_now()))
    database.close()
    listed = {entry["name"]: entry for entry in client.get("/v1/datasets").json()["items"]}
    assert stored.keys() <= listed.keys()
    assert listed["bytes"]["facts"]["class_names"] == ["caf\\xe9", "dog"]
    views = {name: client.get(f"/v1/datasets/{name}").json() for name in stored}
    assert views["bytes"]["facts"]["class_names"] == ["caf\\xe9", "dog"]
    assert (views["wrong"]["facts"]["class_names"], views["wrong"]["facts"]["height"]) == (None, 8)
    assert set(views["less"]["facts"].values()) == {None}


def test_the_searches_of_a_registered_folder_name_what_it_stands_for(
    client: TestClient, settings: Settings, pictures: Path
) -> None:
    client.post("/v1/datasets", json=PETS)
    asked = {"space": "tiny", "dataset": "pets"}
    assert client.post("/v1/searches", json=asked).status_code == 422
    carried_out(settings)
    spec = client.post("/v1/searches", json=asked).json()["spec"]
    assert spec["dataset"] == {"name": "image-folder", "settings": {"path": "pictures"}}
    shutil.rmtree(pictures)
    assert client.post("/v1/searches", json=asked).status_code == 422


def test_jobs_are_counted_by_kind(client: TestClient, pictures: Path) -> None:
    client.post("/v1/datasets", json=PETS)
    assert 'nas_jobs{kind="registration",state="queued"} 1.0' in client.get("/metrics").text
    assert jobs.REGISTRATION in jobs.KINDS


def test_a_registration_that_was_renamed_is_submitted_again_for_the_same_dataset(client: TestClient, pictures: Path) -> None:
    assert pictures.is_dir()
    path = job_path(client.post("/v1/datasets", json=PETS).json())
    assert client.patch(path, json={"name": "the first try"}).status_code == 200
    assert client.post(f"{path}/cancel").status_code == 202
    again = client.post(f"{path}/clone").json()
    assert (again["name"], again["spec"]) == ("pets", PETS)
    other = client.post(f"{path}/clone", json={"name": "cats"}).json()
    assert (other["name"], other["spec"]) == ("cats", PETS | {"name": "cats"})

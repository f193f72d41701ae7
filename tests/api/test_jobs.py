"""/jobs, and what people do to jobs beside running them."""

import gzip

import pytest
from fastapi.testclient import TestClient

from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.api.conftest import write_trained
from tests.holds import held
from tests.nas_service.data.files import write_folder
from workers.launcher import log_path


def _search(client: TestClient, **spec: object) -> str:
    made = client.post("/v1/searches", json={"space": "tiny"} | spec)
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


def test_one_list_holds_jobs_of_every_kind_without_their_specs(
    client: TestClient, finished_search: str, settings: Settings
) -> None:
    settings.data.mkdir()
    write_folder(settings.data)
    body = {"name": "mine", "kind": "image-folder", "settings": {"path": "pictures"}}
    registration = client.post("/v1/datasets", json=body).json()["id"]
    rows = client.get("/v1/jobs").json()["items"]
    assert [(row["id"], row["kind"], row["dataset"]) for row in rows] == [
        (registration, "registration", "mine"),
        (finished_search, "search", "digits"),
    ]
    assert "spec" not in rows[0]
    assert rows[0]["queue_position"] == 1
    assert rows[0]["waiting_for"].startswith("a controller")
    assert (rows[1]["space"], rows[1]["strategy"], rows[1]["progress"]["samples"]) == ("tiny", "abandit", 3)


def test_filters_are_taken_together_and_counted(client: TestClient, finished_search: str) -> None:
    _search(client, name="Night one")
    paused = _search(client, name="night two", strategy="random")
    client.post(f"/v1/searches/{paused}/pause")
    asked = {"text": "NIGHT", "strategy": "random", "state": ["paused", "failed"]}
    assert [row["id"] for row in client.get("/v1/jobs", params=asked).json()["items"]] == [paused]
    counts = client.get("/v1/jobs/counts", params={"text": "night"}).json()
    assert counts["total"] == 2
    assert {state: count for state, count in counts["by_state"].items() if count} == {"queued": 1, "paused": 1}
    assert client.get("/v1/jobs/counts").json()["total"] == 3
    assert finished_search in {row["id"] for row in client.get("/v1/jobs", params={"state": "succeeded"}).json()["items"]}


def test_pages_of_the_list_follow_one_another(client: TestClient) -> None:
    made = [_search(client) for _ in range(5)]
    first = client.get("/v1/jobs", params={"limit": 3, "space": "tiny"}).json()
    second = client.get("/v1/jobs", params={"limit": 3, "space": "tiny", "cursor": first["next"]}).json()
    assert [row["id"] for row in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None


def test_a_page_of_fifty_is_small_though_names_errors_and_specs_are_long(client: TestClient, settings: Settings) -> None:
    database = Database(settings.database)
    spec = client.get(f"/v1/searches/{_search(client)}").json()["spec"]
    with database.write() as session:
        for _ in range(50):
            job = jobs.create_job(session, jobs.SEARCH, "n" * 60, spec)
            jobs.move(session, job.id, JobState.STARTING)
            jobs.move(session, job.id, JobState.FAILED, error="e" * 5000)
    database.close()
    reply = client.get("/v1/jobs")
    assert len(reply.json()["items"]) == 50
    assert reply.json()["items"][0]["error"] == "e" * 200
    assert len(reply.content) <= 60_000


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/counts", "/v1/searches", "/v1/searches/{id}"])
def test_a_reader_that_has_the_current_version_gets_304_until_something_changes(client: TestClient, path: str) -> None:
    job = _search(client)
    asked = path.format(id=job)
    tag = client.get(asked).headers["ETag"]
    unchanged = client.get(asked, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    client.post(f"/v1/searches/{job}/pause")
    changed = client.get(asked, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["ETag"] != tag) == (200, True)


def test_long_replies_are_compressed_and_their_tag_is_weak_and_still_known(client: TestClient) -> None:
    for _ in range(5):
        _search(client)
    with client.stream("GET", "/v1/jobs", headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    plain = client.get("/v1/jobs", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert (packed.headers["ETag"], "Content-Encoding" in plain.headers) == (f"W/{plain.headers['ETag']}", False)
    assert client.get("/v1/jobs", headers={"If-None-Match": packed.headers["ETag"]}).status_code == 304


def test_short_replies_and_packed_downloads_are_not_compressed(client: TestClient, finished_search: str) -> None:
    (architecture, *_) = client.get("/v1/architectures", params={"search": finished_search}).json()["items"]
    paths = ("/healthz", f"/v1/architectures/{architecture['id']}/download")
    short, packed = (client.get(path, headers={"Accept-Encoding": "gzip"}) for path in paths)
    assert "Content-Encoding" not in short.headers
    assert "Content-Encoding" not in packed.headers
    assert packed.content[:2] == b"PK"
    assert packed.headers["ETag"].startswith('"')


def test_a_job_is_renamed_noted_and_tagged_in_any_state(client: TestClient, finished_search: str) -> None:
    path = f"/v1/searches/{finished_search}"
    before = client.get(path).json()
    view = client.patch(path, json={"name": "<b>n</b> 🙂", "note": "why", "tags": ["b", " a ", "b"]}).json()
    assert (view["name"], view["note"], view["tags"]) == ("<b>n</b> 🙂", "why", ["a", "b"])
    assert view == client.get(path).json()
    assert {key for key in view if view[key] != before[key]} == {"name", "note", "tags"}
    assert client.patch(path, json={"note": ""}).json()["tags"] == ["a", "b"]
    assert client.patch(path, json={}).json()["name"] == "<b>n</b> 🙂"
    (row,) = client.get("/v1/jobs", params={"tag": "a"}).json()["items"]
    assert (row["id"], row["tags"]) == (finished_search, ["a", "b"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "n" * 201}, "name"),
        ({"note": None}, "note"),
        ({"tags": ["t"] * 21}, "tags"),
        ({"tags": ["ok", "t" * 51]}, "tags.1"),
        ({"tags": [" "]}, "tags.0"),
        ({"nmae": "x"}, "nmae"),
    ],
)
def test_a_change_that_is_not_allowed_is_refused_by_its_field(
    client: TestClient, finished_search: str, body: dict[str, object], field: str
) -> None:
    reply = client.patch(f"/v1/searches/{finished_search}", json=body)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == field


def test_only_a_job_of_the_kind_can_be_changed_cloned_or_read(client: TestClient, finished_search: str) -> None:
    path = f"/v1/trainings/{finished_search}"
    replies = [client.patch(path, json={"note": "x"}), client.post(f"{path}/clone"), client.get(f"{path}/logs")]
    assert [reply.status_code for reply in replies] == [404, 404, 404]


def test_a_clone_is_a_new_job_with_the_same_spec_but_for_what_changes(client: TestClient) -> None:
    job = _search(client, name="old", seed=3)
    client.patch(f"/v1/searches/{job}", json={"name": "new", "note": "n", "tags": ["t"]})
    reply = client.post(f"/v1/searches/{job}/clone")
    same = reply.json()
    assert (reply.status_code, reply.headers["Location"]) == (202, f"/v1/searches/{same['id']}")
    spec = client.get(f"/v1/searches/{job}").json()["spec"]
    assert same["spec"] == spec | {"name": "new"}
    assert (same["id"] != job, same["name"], same["state"], same["note"], same["tags"]) == (True, "new", "queued", "", [])
    other = client.post(f"/v1/searches/{job}/clone", json={"seed": 4, "strategy": "random"}).json()
    assert other["spec"] == spec | {"name": "new", "seed": 4, "strategy": {"name": "random", "settings": {}}}


def test_a_clone_is_checked_as_what_is_submitted_and_a_key_makes_one(client: TestClient) -> None:
    job = _search(client)
    refused = client.post(f"/v1/searches/{job}/clone", json={"space": "tini", "sede": 1})
    assert refused.status_code == 422
    assert {entry["field"] for entry in refused.json()["errors"]} == {"space.name", "sede"}
    headers = {"Idempotency-Key": "once"}
    twice = [client.post(f"/v1/searches/{job}/clone", json={"seed": 1}, headers=headers).json()["id"] for _ in range(2)]
    assert twice[0] == twice[1]
    assert len(client.get("/v1/jobs").json()["items"]) == 2


def test_trainings_and_registrations_are_cloned_too(client: TestClient, finished_search: str, settings: Settings) -> None:
    (found, *_) = client.get("/v1/architectures", params={"search": finished_search}).json()["items"]
    body = {"space": "tiny", "dataset": "digits", "architectures": [found["id"]], "methods": ["bnn"]}
    training = client.post("/v1/trainings", json=body).json()
    clone = client.post(f"/v1/trainings/{training['id']}/clone", json={"seeds": [1, 2]}).json()
    assert clone["spec"] == training["spec"] | {"seeds": [1, 2]}
    settings.data.mkdir()
    write_folder(settings.data)
    made = {"name": "mine", "kind": "image-folder", "settings": {"path": "pictures"}}
    registration = client.post("/v1/datasets", json=made).json()
    assert client.post(f"/v1/registrations/{registration['id']}/clone").status_code == 409
    again = client.post(f"/v1/registrations/{registration['id']}/clone", json={"name": "other"})
    assert (again.status_code, again.json()["spec"]["name"]) == (202, "other")


def _held(settings: Settings, *, attempts: int = 1) -> None:
    database = Database(settings.database)
    with database.write() as session:
        for attempt in range(attempts):
            job, _ = held(session)
            if attempt + 1 < attempts:
                jobs.move(session, job.id, JobState.LOST)
                jobs.move(session, job.id, JobState.QUEUED)
    database.close()


def test_a_log_is_read_by_attempt_and_followed(client: TestClient, settings: Settings) -> None:
    job = _search(client)
    path = f"/v1/searches/{job}/logs"
    none = client.get(path).json()
    assert (none["attempt"], none["attempts"], none["lines"], none["missing"]) == (None, [], [], "no driver has begun yet")
    _held(settings, attempts=2)
    log_path(settings, job, 1).write_text("first\n")
    log = log_path(settings, job, 2)
    log.write_text("one\n\x1b[1mtwo\x1b[0m\nthr")
    assert client.get(path, params={"attempt": 1}).json()["lines"] == ["first"]
    part = client.get(path).json()
    assert (part["attempt"], part["attempts"], part["lines"], part["missing"]) == (2, [1, 2], ["one", "\x1b[1mtwo\x1b[0m"], None)
    assert client.get(path, params={"tail": 1}).json()["lines"] == ["\x1b[1mtwo\x1b[0m"]
    with log.open("a") as output:
        output.write("ee\n")
    more = client.get(path, params={"after": part["next"]}).json()
    assert (more["lines"], more["next"], more["size"]) == (["three"], log.stat().st_size, log.stat().st_size)


def test_a_log_that_is_not_here_says_where_it_is_and_no_path_of_this_machine_is_told(
    client: TestClient, settings: Settings
) -> None:
    job = _search(client)
    _held(settings)
    reply = client.get(f"/v1/searches/{job}/logs")
    assert f"logs/{job}-1.log below its home" in reply.json()["missing"]
    assert str(settings.home) not in reply.text


@pytest.mark.parametrize(
    ("params", "field"),
    [({"attempt": 2}, "attempt"), ({"attempt": 0}, "attempt"), ({"after": 1, "tail": 1}, "tail"), ({"tail": 0}, "tail")],
)
def test_a_part_of_a_log_that_cannot_be_is_refused(
    client: TestClient, settings: Settings, params: dict[str, int], field: str
) -> None:
    job = _search(client)
    _held(settings)
    reply = client.get(f"/v1/searches/{job}/logs", params=params)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == field


def test_the_system_tells_versions_queue_sizes_and_who_works(
    client: TestClient, finished_search: str, settings: Settings
) -> None:
    (found, *_) = client.get("/v1/architectures", params={"search": finished_search}).json()["items"]
    body = {"space": "tiny", "dataset": "digits", "architectures": [found["id"]], "methods": ["bnn"], "name": "t"}
    training = client.post("/v1/trainings", json=body).json()["id"]
    _search(client)
    _held(settings)
    write_trained(settings, training, [found["id"]])
    told = client.get("/v1/system").json()
    assert {"nas", "python", "torch", "ray"} <= set(told["versions"])
    assert told["launcher"]["kind"] == "child-process"
    assert told["launcher"]["capacity"]["cpus"] >= 1
    assert (told["queue"]["queued"], told["queue"]["running"], told["queue"]["succeeded"]) == (1, 1, 1)
    assert (told["database"]["kind"], told["database"]["bytes"] > 0, told["disk"]["home_free_bytes"] > 0) == (
        "sqlite",
        True,
        True,
    )
    (driver,) = told["workers"]
    assert (driver["job"], driver["job_kind"], driver["job_name"], driver["host"]) == (training, "training", "t", None)
    assert driver["doing"].startswith("running, attempt 1")
    assert driver["since"] is not None
    assert told["readiness"]["status"] == client.get("/readyz").json()["status"]

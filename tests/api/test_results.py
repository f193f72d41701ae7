"""/architectures, /candidates, /trainings, the catalogue and health."""

import csv
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient

from nas_service.export.bundle_archive import C_FILES, pack
from nas_service.export.palette import look_of
from nas_service.hand_made import reference_names
from nas_service.settings import Settings
from nas_service.storage import architectures, candidates, jobs
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.models import Architecture
from nas_service.storage.schema import alembic_config
from nas_service.storage.session import Database, new_id
from search_spaces.cost import FULL_PRECISION
from search_spaces.network import network_cost
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES
from tests.api.conftest import write_bundled, write_trained
from tests.samples import GREY_8, random_genotype

OLD_BUNDLE = Path(__file__).parents[1] / "nas_service" / "export" / "given" / "bundle-before-offsets.zip"


def _architectures(client: TestClient, search_id: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.get("/v1/architectures", params={"search": search_id}).json()["items"]
    return found


def test_architectures_of_a_search_come_by_rank(client: TestClient, finished_search: str) -> None:
    found = _architectures(client, finished_search)
    assert [entry["rank"] for entry in found] == [1, 2]
    assert found[0] == client.get(f"/v1/architectures/{found[0]['id']}").json()
    assert found[0]["search_id"] == finished_search


def test_the_pareto_set_is_what_no_other_architecture_of_the_search_beats(
    client: TestClient, settings: Settings, finished_search: str
) -> None:
    """In OPs and packed bytes, since this search trades nothing; a page at a time like all of them."""
    with Database(settings.database).write() as session:
        rows = architectures.list_architectures(session, limit=2, job_id=finished_search)
        genotypes = [random_genotype(SPACES.get("tiny"), seed) for seed in range(40)]
        costs = [network_cost(SPACES.get("tiny"), genotype, GREY_8, FULL_PRECISION).to_dict() for genotype in genotypes]
        scores = [rows[0].score + random.Random(seed).random() / 10 for seed in range(40)]
        session.add_all(
            Architecture(
                id=new_id(),
                job_id=finished_search,
                rank=rank,
                genotype=genotype.to_dict(),
                digest=genotype.digest,
                score=score,
                cost=cost,
                created_at=rows[0].created_at,
            )
            for rank, (genotype, cost, score) in enumerate(zip(genotypes, costs, scores, strict=True), start=3)
        )
    everything = client.get("/v1/architectures", params={"search": finished_search, "limit": 100}).json()["items"]
    points = [(one["score"], -one["cost"]["ops"], -one["cost"]["packed_bytes"]) for one in everything]
    expected = [
        one["rank"]
        for one, point in zip(everything, points, strict=True)
        if not any(other != point and all(a >= b for a, b in zip(other, point, strict=True)) for other in points)
    ]
    asked: dict[str, Any] = {"search": finished_search, "pareto": "true", "limit": 2}
    told = []
    while asked.get("cursor", "") is not None:
        page = client.get("/v1/architectures", params=asked).json()
        told += [one["rank"] for one in page["items"]]
        asked["cursor"] = page["next"]
    assert told == expected
    assert 2 < len(told) < len(everything)
    assert client.get("/v1/architectures", params={"search": "nowhere", "pareto": "true"}).json()["items"] == []
    with Database(settings.database).write() as session:
        job = jobs.get_job(session, finished_search)
        job.spec = {**job.spec, "objectives": ["ops"]}
    kept = client.get("/v1/architectures", params={"search": finished_search, "pareto": "true", "limit": 100}).json()["items"]
    assert kept == everything  # what a search that trades keeps is the set
    refused = client.get("/v1/architectures", params={"pareto": "true"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "pareto")


def test_an_architecture_has_a_picture_and_a_bundle(client: TestClient, finished_search: str) -> None:
    (first, _) = _architectures(client, finished_search)
    picture = client.get(f"/v1/architectures/{first['id']}/diagram.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.startswith("<svg")
    reply = client.get(f"/v1/architectures/{first['id']}/download")
    assert reply.headers["Content-Disposition"] == f'attachment; filename="architecture-{first["id"]}.zip"'
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert "genotype.json" in archive.namelist()


def test_a_picture_has_a_theme_and_may_be_compared(client: TestClient, finished_search: str) -> None:
    first, second = (entry["id"] for entry in _architectures(client, finished_search))
    path = f"/v1/architectures/{first}/diagram.svg"
    light, dark, auto = (client.get(path, params={"theme": theme}).text for theme in ("light", "dark", "auto"))
    assert client.get(path).text == light
    assert ("prefers-color-scheme" in auto, "prefers-color-scheme" in light, '"#0f1216"' in dark) == (True, False, True)
    assert f"<title>Architecture {first}</title>" in light
    compared = client.get(path, params={"compare": second}).text
    assert f"<title>Architecture {first} compared with {second}</title>" in compared
    assert "edges differ" in compared
    wrong = client.get(path, params={"theme": "sepia"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "theme")
    gone = client.get(path, params={"compare": "gone"})
    assert (gone.status_code, gone.json()["errors"][0]) == (
        422,
        {"field": "compare", "given": "gone", "allowed": "the id of an architecture of space tiny"},
    )


def test_the_catalogue_tells_how_operations_look(client: TestClient) -> None:
    entries = client.get("/v1/operations").json()["items"]
    assert {entry["name"]: entry["facts"]["colour"] for entry in entries} == {
        name: look_of(name).to_dict() for name in OPERATIONS.names()
    }


def test_a_search_is_told_on_one_page(client: TestClient, settings: Settings, finished_search: str) -> None:
    path = f"/v1/searches/{finished_search}/report.html"
    first = client.get(path)
    assert first.headers["content-type"].startswith("text/html")
    assert first.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "Nothing was trained" in first.text
    for entry in _architectures(client, finished_search):
        assert f"Architecture {entry['id']}, rank {entry['rank']}" in first.text
    assert client.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    write_bundled(settings, str(_architectures(client, finished_search)[0]["id"]))
    assert client.get("/v1/searches/gone/report.html").status_code == 404


def test_a_training_is_compared_as_json_and_as_csv(client: TestClient, settings: Settings, finished_search: str) -> None:
    keys = [str(entry["id"]) for entry in _architectures(client, finished_search)]
    spec = {"space": "tiny", "dataset": "digits", "architectures": keys, "methods": ["bnn", "rebnn"]}
    training = client.post("/v1/trainings", json=spec).json()["id"]
    path = f"/v1/trainings/{training}/comparison"
    assert client.get(path).json() == {
        "pairs": [],
        "methods": [],
        "controls": [],
        "hand_made": [],
        "under_way": [],
        "networks": reference_names(),
        "pareto": [],
    }
    write_trained(settings, training, keys)
    found = client.get(path)
    assert [(pair["method"], pair["rank"]) for pair in found.json()["pairs"]] == [("rebnn", 1), ("bnn", 2)] * 2
    assert [entry["method"] for entry in found.json()["methods"]] == ["rebnn", "bnn"]
    assert client.get(path, headers={"If-None-Match": found.headers["ETag"]}).status_code == 304
    table = client.get(path, params={"format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert len(table.text.splitlines()) == 5
    first = found.json()["pairs"][0]
    assert (first["balanced_mean"], first["balanced_spread"]) == (pytest.approx(0.9), None)
    assert (first["worst_class"], first["worst_class_mean"]) == ("cat", pytest.approx(0.9))
    assert found.json()["methods"][1]["balanced_mean"] == pytest.approx(0.8)
    row = next(csv.DictReader(io.StringIO(table.text)))
    assert (float(row["balanced_mean"]), row["worst_class"]) == (first["balanced_mean"], "cat")
    assert client.get("/v1/trainings/gone/comparison").status_code == 404


@pytest.mark.parametrize("suffix", ["", "/diagram.svg", "/download"])
def test_a_reader_that_has_the_current_version_gets_304(client: TestClient, finished_search: str, suffix: str) -> None:
    path = f"/v1/architectures/{_architectures(client, finished_search)[0]['id']}{suffix}"
    tag = client.get(path).headers["ETag"]
    strong = tag.removeprefix("W/")  # a reply that was compressed on its way has a weak one
    for asked in (tag, strong, f'"other", W/{strong}', "*"):
        again = client.get(path, headers={"If-None-Match": asked})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_candidate_has_curves_and_files(client: TestClient, settings: Settings, finished_search: str) -> None:
    architecture = str(_architectures(client, finished_search)[0]["id"])
    candidate = write_bundled(settings, architecture)
    (found,) = client.get("/v1/candidates", params={"search": finished_search}).json()["items"]
    assert (found["id"], found["test_accuracy"]) == (candidate, 0.8)
    assert found["metrics"]["test_balanced_accuracy"] == pytest.approx(0.8)
    assert found["metrics"]["test_classes"] is None
    whole = client.get(f"/v1/candidates/{candidate}").json()
    assert whole["metrics"]["test_classes"]["confusion"] == [[400, 100], [100, 400]]
    assert whole | {"metrics": whole["metrics"] | {"test_classes": None}} == found
    curves = client.get(f"/v1/candidates/{candidate}/curves", params={"limit": 2}).json()
    assert [entry["epoch"] for entry in curves["items"]] == [0, 1]
    reply = client.get(f"/v1/candidates/{candidate}/download")
    assert reply.content == b"the bundle"
    assert reply.headers["content-type"] == "application/zip"
    missing = client.get(f"/v1/candidates/{candidate}/download", params={"format": "safetensors"})
    assert missing.status_code == 404
    unknown = client.get(f"/v1/candidates/{candidate}/download", params={"format": "exe"})
    assert unknown.status_code == 422
    assert "bundle" in unknown.json()["errors"][0]["allowed"]


def test_parts_of_a_bundle_are_downloaded_alone(client: TestClient, settings: Settings, finished_search: str) -> None:
    files = {name: name.encode() for name in C_FILES} | {"model.py": b"", "README.md": b"card"}
    stated = {"onnx": {"written": False, "reason": "a layer has no form"}, "files": {"weights.safetensors": {"sha256": "0" * 64}}}
    content = pack({"manifest.json": json.dumps(stated).encode(), **files})
    candidate = write_bundled(settings, str(_architectures(client, finished_search)[0]["id"]), content)
    path = f"/v1/candidates/{candidate}/download"
    whole, c = client.get(path), client.get(path, params={"format": "c"})
    assert (whole.content, c.headers["content-type"]) == (content, "application/zip")
    assert c.headers["content-disposition"] == f'attachment; filename="candidate-{candidate}-c.zip"'
    with zipfile.ZipFile(io.BytesIO(c.content)) as archive:
        assert set(archive.namelist()) == {*C_FILES, "README.md", "manifest.json"}
    tag = c.headers["etag"]
    assert tag != whole.headers["etag"]
    assert client.get(path, params={"format": "c"}, headers={"If-None-Match": tag}).status_code == 304
    onnx = client.get(path, params={"format": "onnx"})
    assert onnx.status_code == 409
    assert onnx.json()["detail"] == "this candidate has no onnx: a layer has no form"


def test_a_bundle_of_before_says_that_it_has_no_c(client: TestClient, settings: Settings, finished_search: str) -> None:
    candidate = write_bundled(settings, str(_architectures(client, finished_search)[0]["id"]), OLD_BUNDLE.read_bytes())
    reply = client.get(f"/v1/candidates/{candidate}/download", params={"format": "c"})
    assert reply.status_code == 409
    assert "was made before bundles had c" in reply.json()["detail"]


def test_a_candidate_that_is_not_trained_has_no_files_yet(client: TestClient, settings: Settings, finished_search: str) -> None:
    database = Database(settings.database)
    with database.write() as session:
        training = jobs.create_job(session, jobs.TRAINING, "", {})
        plan = PlannedCandidate(str(_architectures(client, finished_search)[0]["id"]), {"name": "bnn"}, 0)
        (row,) = candidates.plan_candidates(session, training.id, [plan])
    database.close()
    reply = client.get(f"/v1/candidates/{row.id}/download")
    assert reply.status_code == 409
    assert "is waiting: it has no files" in reply.json()["detail"]


def test_the_best_candidate_is_told_of_a_training_and_of_the_search_it_comes_from(
    client: TestClient, settings: Settings, finished_search: str
) -> None:
    keys = [str(entry["id"]) for entry in _architectures(client, finished_search)]
    spec = {"space": "tiny", "dataset": "digits", "architectures": keys, "methods": ["bnn", "rebnn"]}
    training = client.post("/v1/trainings", json=spec).json()["id"]
    for path in (f"/v1/trainings/{training}/best", f"/v1/searches/{finished_search}/best"):
        assert client.get(path).status_code == 404
    write_trained(settings, training, keys)
    for path in (f"/v1/trainings/{training}/best", f"/v1/searches/{finished_search}/best"):
        found = client.get(path).json()
        assert (found["quantity"], found["value"]) == ("validation_accuracy", 0.9)
        assert (found["candidate"]["method"]["name"], found["candidate"]["state"]) == ("rebnn", "succeeded")
        assert found["candidate"] == client.get(f"/v1/candidates/{found['candidate']['id']}").json()
    assert client.get("/v1/trainings/gone/best").status_code == 404


def test_a_training_of_found_architectures_is_accepted(client: TestClient, finished_search: str) -> None:
    architecture = _architectures(client, finished_search)[0]["id"]
    spec = {"architectures": [architecture], "space": "tiny", "dataset": "digits", "methods": ["bnn"], "seeds": [0, 1]}
    reply = client.post("/v1/trainings", json=spec)
    assert reply.status_code == 202
    assert client.get(reply.headers["Location"]).json()["kind"] == "training"
    wrong = client.post("/v1/trainings", json={**spec, "methods": ["bn"], "seeds": []})
    assert [problem["field"] for problem in wrong.json()["errors"]] == ["methods.0.name", "seeds"]


def _refused(client: TestClient, **spec: object) -> list[tuple[object, object, str]]:
    reply = client.post("/v1/trainings", json={"space": "tiny", "dataset": "digits", "methods": ["bnn"], **spec})
    assert reply.status_code == 422
    assert client.get("/v1/trainings").json()["items"] == []
    return [(problem["field"], problem["given"], problem["allowed"]) for problem in reply.json()["errors"]]


def test_a_training_of_an_architecture_that_nobody_found_is_refused_by_field(client: TestClient, finished_search: str) -> None:
    architecture = _architectures(client, finished_search)[0]["id"]
    ((field, given, allowed),) = _refused(client, architectures=[architecture, "nowhere"])
    assert (field, given, "GET /v1/architectures" in allowed) == ("architectures.1", "nowhere", True)


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ("abandit-general", "genotype.space: 'tiny' is not allowed; allowed: abandit-general"),
        ({"name": "tiny", "settings": {"operations": ["skip"]}}, "allowed: one of: skip"),
    ],
)
def test_a_training_of_an_architecture_of_another_space_is_refused_by_field(
    client: TestClient, finished_search: str, space: object, reason: str
) -> None:
    architecture = _architectures(client, finished_search)[0]["id"]
    ((field, given, allowed),) = _refused(client, architectures=[architecture], space=space)
    assert (field, given, reason in allowed) == ("architectures.0", architecture, True)


def test_a_training_names_everything_once(client: TestClient, finished_search: str) -> None:
    architecture = _architectures(client, finished_search)[0]["id"]
    refused = _refused(client, architectures=[architecture, architecture], methods=["bnn", {"name": "bnn"}], seeds=[3, 3])
    assert sorted(str(field) for field, _, _ in refused) == ["architectures", "methods", "seeds"]
    spec = {"architectures": [architecture], "space": "tiny", "dataset": "digits"}
    other = ["xnor-net", {"name": "xnor-net", "settings": {"input_scale": "kmap"}}]
    assert client.post("/v1/trainings", json={**spec, "methods": other}).status_code == 202


@pytest.mark.parametrize("shelf", ["spaces", "operations", "templates", "strategies", "methods", "datasets"])
def test_the_catalogue_lists_what_is_there_with_summaries(client: TestClient, shelf: str) -> None:
    entries = client.get(f"/v1/{shelf}").json()["items"]
    assert entries
    assert all(entry["summary"] for entry in entries)
    if shelf not in {"operations", "templates"}:
        assert all(entry["settings_schema"]["properties"] is not None for entry in entries)


def test_the_catalogue_tells_the_published_recipes_of_a_method(client: TestClient) -> None:
    presets = {entry["name"]: entry["facts"]["presets"] for entry in client.get("/v1/methods").json()["items"]}
    assert presets["rbcn"] == {}
    assert set(presets["bnn"]) == {"paper"}
    assert {name: fields["epochs"] for name, fields in presets["react-net"].items()} == {"paper": 256, "adambnn": 512}


def test_an_entry_of_the_catalogue_is_found_or_near_matches_are_named(client: TestClient) -> None:
    assert client.get("/v1/methods/bnn").json()["reference"].startswith("Courbariaux")
    reply = client.get("/v1/methods/bnnn")
    assert reply.status_code == 404
    assert "did you mean bnn" in reply.json()["detail"]


def test_a_store_that_is_away_is_503_and_works_again_when_it_is_back(
    client: TestClient, settings: Settings, finished_search: str
) -> None:
    candidate_id = write_bundled(settings, str(_architectures(client, finished_search)[0]["id"]))
    path = f"/v1/candidates/{candidate_id}/download"
    folder = settings.home / "artifacts"
    folder.rename(settings.home / "away")
    folder.touch()
    reply = client.get(path)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
    assert reply.json()["type"] == "urn:nas:problem:store-away"
    assert reply.json()["detail"] == "the artifact store cannot be used now (Not a directory)"
    folder.unlink()
    (settings.home / "away").rename(folder)
    assert client.get(path).content == b"the bundle"


def test_health_readiness_and_metrics(client: TestClient, finished_search: str) -> None:
    del finished_search
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert (ready["status"], set(ready["checks"].values())) == ("ready", {"ok"})
    client.post("/v1/searches", json={"space": "tiny"})
    assert client.get("/readyz").json()["queued"] == 1
    assert 'nas_jobs{kind="search",state="succeeded"} 1.0' in client.get("/metrics").text


def test_a_database_that_lost_its_tables_is_not_ready(client: TestClient, settings: Settings) -> None:
    command.downgrade(alembic_config(settings.database), "base")
    reply = client.get("/readyz")
    assert reply.status_code == 503
    assert "run `nas migrate`" in reply.json()["checks"]["migrations"]

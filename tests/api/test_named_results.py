"""Architectures and teachers that a training names: what is wrong with them comes with everything else."""

import pytest
from fastapi.testclient import TestClient

from nas_service.settings import Settings
from nas_service.specs import TrainingSpec
from nas_service.storage import candidates, jobs
from nas_service.storage.artifacts import ArtifactStore, StoredFile, record_artifact
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.session import Database
from tests.nas_service.data.files import write_folder
from tests.reports import metrics

KEY = "candidates/teacher/latent.safetensors"


def _architecture(client: TestClient, search_id: str) -> str:
    return str(client.get("/v1/architectures", params={"search": search_id}).json()["items"][0]["id"])


def _teacher(settings: Settings, architecture: str, *, file: bool = True, **own: object) -> str:
    """Write a trained candidate, with or without a row for its weights, and return its id."""
    database = Database(settings.database)
    spec = {"space": "tiny", "dataset": "digits", "architectures": [architecture], "methods": ["bnn"], **own}
    with database.write() as session:
        stored = TrainingSpec.model_validate(spec).model_dump(mode="json")
        training = jobs.create_job(session, jobs.TRAINING, "", stored)
        plan = PlannedCandidate(architecture, {"name": "bnn", "settings": {}, "recipe": {}}, 0)
        (row,) = candidates.plan_candidates(session, training.id, [plan])
        candidates.begin(session, row.id, "host:1", "cpu", 0)
        candidates.succeed(session, row.id, metrics(), {})
        if file:
            record_artifact(session, row.id, "safetensors", StoredFile.of(KEY, b"weights"))
        found = row.id
    database.close()
    ArtifactStore(settings.artifacts).put(KEY, b"weights")
    return found


def _allowed(client: TestClient, architecture: str, teacher: str, **more: object) -> str:
    body = {"space": "tiny", "dataset": "digits", "architectures": [architecture], "methods": ["bnn"], "teacher": teacher, **more}
    reply = client.post("/v1/trainings", json=body)
    if reply.status_code == 202:
        return ""
    (problem,) = reply.json()["errors"]
    assert (problem["field"], problem["given"]) == ("teacher", teacher)
    return str(problem["allowed"])


def test_a_teacher_that_fits_is_accepted(client: TestClient, settings: Settings, finished_search: str) -> None:
    architecture = _architecture(client, finished_search)
    assert _allowed(client, architecture, _teacher(settings, architecture)) == ""


def test_a_teacher_is_a_trained_candidate_with_its_weights(client: TestClient, settings: Settings, finished_search: str) -> None:
    """A row for them, and the file that it stands for."""
    architecture = _architecture(client, finished_search)
    assert _allowed(client, architecture, "gone") == "the id of a trained candidate"
    missing = "a candidate whose weights are still in the artifact store"
    assert _allowed(client, architecture, _teacher(settings, architecture, file=False)) == missing
    teacher = _teacher(settings, architecture)
    ArtifactStore(settings.artifacts).delete(KEY)
    assert _allowed(client, architecture, teacher) == missing


def test_a_teacher_knows_the_space_and_the_images(client: TestClient, settings: Settings, finished_search: str) -> None:
    architecture = _architecture(client, finished_search)
    other_space = _teacher(settings, architecture, space={"name": "tiny", "settings": {"channels": 4}})
    assert _allowed(client, architecture, other_space).startswith("a candidate of the same space")
    settings.data.mkdir()
    write_folder(settings.data)
    colours = _teacher(settings, architecture, dataset={"name": "image-folder", "settings": {"path": "pictures"}})
    assert _allowed(client, architecture, colours) == "a candidate that was trained on images of 1 channel(s) and 10 classes"
    lost = _teacher(settings, architecture, dataset={"name": "image-folder", "settings": {"path": "lost"}})
    assert _allowed(client, architecture, lost).startswith("a candidate whose dataset can still be read (path: 'lost' is not")


def test_architectures_teacher_names_and_types_are_complained_about_together(
    client: TestClient, settings: Settings, finished_search: str
) -> None:
    architecture = _architecture(client, finished_search)
    body = {
        "architectures": [architecture, "gone", 7],
        "space": "tiny",
        "dataset": "digitz",
        "methods": ["bn", {"name": "rbcn", "settings": {"prune": 2}}],
        "teacher": _teacher(settings, architecture, file=False),
        "resources": {"gpus_per_trial": 1},
        "seeds": [True],
        "colour": "red",
    }
    fields = [problem["field"] for problem in client.post("/v1/trainings", json=body).json()["errors"]]
    assert fields == [
        "methods.0.name",
        "methods.1.settings.prune",
        "seeds.0",
        "resources.gpus_per_trial",
        "architectures.2",
        "architectures.1",
        "teacher",
        "dataset.name",
        "colour",
    ]
    assert client.get("/v1/trainings", params={"state": "queued"}).json()["items"][:-1] == []


@pytest.mark.parametrize("path", ["/v1/trainings", "/v1/trainings/estimate"])
def test_a_training_has_a_thousand_candidates_at_most(client: TestClient, finished_search: str, path: str) -> None:
    architecture = _architecture(client, finished_search)
    spec = {"architectures": [architecture], "space": "tiny", "dataset": "digits"}
    methods = [{"name": "rbcn", "settings": {"adversarial_weight": weight}} for weight in range(1, 21)]
    full = {**spec, "methods": methods, "seeds": list(range(50))}
    assert client.post(path, json=full).status_code < 300
    (problem,) = client.post(path, json={**full, "seeds": list(range(51))}).json()["errors"]
    assert problem["field"] == "methods"
    assert problem["given"] == "20 methods x 51 seeds x 1 architectures = 1,020 candidates"
    assert problem["allowed"] == "methods x seeds x architectures of at most 1,000 candidates a training"


def test_the_training_of_a_search_has_a_thousand_candidates_at_most(client: TestClient) -> None:
    training = {"methods": ["bnn", "recu"], "seeds": list(range(100)), "top_k": 6}
    (problem,) = client.post("/v1/searches", json={"keep": 6, "training": training}).json()["errors"]
    assert (problem["field"], problem["given"]) == (
        "training.methods",
        "2 methods x 100 seeds x 6 architectures = 1,200 candidates",
    )
    assert "methods x seeds x top_k" in problem["allowed"]


def test_a_template_is_not_left_to_a_default_that_the_search_did_not_have(
    client: TestClient, settings: Settings, finished_search: str
) -> None:
    """As after the default has changed; by name any template is accepted."""
    architecture = _architecture(client, finished_search)
    database = Database(settings.database)
    with database.write() as session:
        job = jobs.get_job(session, finished_search)
        job.spec = job.spec | {"space": {"name": "tiny", "settings": {"template": "shortcut"}}}
    database.close()
    body = {"space": "tiny", "dataset": "digits", "architectures": [architecture], "methods": ["bnn"]}
    (problem,) = client.post("/v1/trainings", json=body).json()["errors"]
    assert (problem["field"], problem["given"]) == ("space.settings.template", None)
    assert problem["allowed"].startswith("shortcut, as it was searched")
    for template in ("shortcut", "double-norm"):
        named = {"name": "tiny", "settings": {"template": template}}
        assert client.post("/v1/trainings", json=body | {"space": named}).status_code == 202

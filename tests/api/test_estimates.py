"""Estimates over REST, and in words for people."""

import pytest
from fastapi.testclient import TestClient

from api.estimates import EstimateView, TrainingEstimateView, bytes_in_words, search_rows, time_in_words, training_rows
from nas_service.settings import Settings
from nas_service.storage.models import DatasetRow
from nas_service.storage.session import Database
from tests.nas_service.data.files import write_folder
from tests.workers.conftest import carried_out


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (203_456, "203 kB"),
        (999_600, "1 MB"),
        (3_746_010, "3.75 MB"),
        (10**13, "10 TB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(count: int, words: str) -> None:
    assert bytes_in_words(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (240, "4 min"),
        (3590, "1 h"),
        (3600, "1 h"),
        (9000, "2 h 30 min"),
        (86_399, "1 day(s)"),
        (3 * 86_400 + 4 * 3600, "3 day(s) 4 h"),
    ],
)
def test_times_have_one_or_two_units(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words


def _training(client: TestClient, search_id: str, **more: object) -> dict[str, object]:
    keys = [entry["id"] for entry in client.get("/v1/architectures", params={"search": search_id}).json()["items"]]
    return {"space": "tiny", "dataset": "digits", "architectures": keys, "methods": ["bnn", "rbcn"], **more}


def test_a_training_is_estimated_and_nothing_is_started(client: TestClient, finished_search: str) -> None:
    spec = _training(client, finished_search, recipe={"epochs": 3}, robustness={})
    reply = client.post("/v1/trainings/estimate", json=spec)
    estimate = TrainingEstimateView.model_validate(reply.json())
    assert (estimate.candidates, estimate.epochs, estimate.full_precision_networks) == (4, 12, 2)
    assert (estimate.seconds, estimate.seconds_from) == (None, 0)
    assert client.get("/v1/trainings").json()["items"] == []
    shown = dict(training_rows(estimate))
    assert shown["candidates"] == "4, 12 epochs of 1,078 images"
    assert shown["full precision first"] == "2, 6 epochs"
    assert shown["time"] == "not known: nothing like it ran here yet"
    assert shown["disk"].count("kB") == 3


def test_an_estimate_of_a_training_is_refused_like_the_training(client: TestClient, finished_search: str) -> None:
    body = _training(client, finished_search, architectures=["gone"], seeds=[True])
    same = {"X-Request-ID": "compared"}
    replies = [client.post(path, json=body, headers=same).json() for path in ("/v1/trainings", "/v1/trainings/estimate")]
    assert replies[0] == replies[1]
    assert [entry["field"] for entry in replies[0]["errors"]] == ["seeds.0", "architectures.0"]


def test_a_search_is_estimated_with_its_training(client: TestClient, finished_search: str) -> None:
    body = {"space": "tiny", "evaluation": {"adversarial": {}}, "training": {"methods": ["bnn"], "recipe": {"epochs": 2}}}
    estimate = EstimateView.model_validate(client.post("/v1/searches/estimate", json=body).json())
    shown = dict(search_rows(estimate))
    assert shown["training: candidates"] == "1, 2 epochs of 1,078 images"
    assert shown["attacks"].endswith("gradient steps, each on one image")
    assert shown["arms"] == "18; 729 genotypes"
    known = EstimateView.model_validate(client.post("/v1/searches/estimate", json={"space": "tiny"}).json())
    assert dict(search_rows(known))["time"] == "about 36 s, from 3 sample(s) that ran here"
    large = EstimateView.model_validate(client.post("/v1/searches/estimate", json={"space": "abandit"}).json())
    assert "about 10^" in dict(search_rows(large))["arms"]


def test_an_estimate_says_method_objectives_and_controls(client: TestClient) -> None:
    training = {"methods": ["bnn"], "controls": 4, "recipe": {"epochs": 12}}
    body = {"space": "tiny", "strategy": "screen-and-train", "objectives": ["ops", "packed_bytes"], "training": training}
    estimate = EstimateView.model_validate(client.post("/v1/searches/estimate", json=body).json())
    shown = dict(search_rows(estimate))
    assert shown["method of the samples"] == "bnn", "the first that is trained with"
    assert shown["objectives"] == "a Pareto set of reward and ops and packed bytes"
    assert shown["training: controls"] == "4 random architectures among those that are trained"
    plain = EstimateView.model_validate(client.post("/v1/searches/estimate", json={"space": "tiny"}).json())
    assert dict(search_rows(plain))["objectives"] == "the reward alone"
    assert "training: controls" not in dict(search_rows(plain))


def test_an_estimate_says_which_methods_networks_have_no_c(client: TestClient, finished_search: str) -> None:
    real = {"name": "xnor-net", "settings": {"binary_activations": False}}
    more = {"name": "mcn", "settings": {"planes": 2}}
    body = {"space": "tiny", "method": "mcn", "training": {"methods": ["bnn", real, "mcn", more]}}
    estimate = EstimateView.model_validate(client.post("/v1/searches/estimate", json=body).json())
    assert estimate.training is not None
    assert (estimate.without_c, estimate.training.without_c) == (["mcn"], ["xnor-net", "mcn"])
    told = "of networks of xnor-net, mcn, which multiply with real numbers"
    assert dict(search_rows(estimate))["training: no C and no ONNX"] == told
    reply = client.post("/v1/trainings/estimate", json=_training(client, finished_search, methods=["bnn"]))
    estimate_of_bits = TrainingEstimateView.model_validate(reply.json())
    assert estimate_of_bits.without_c == []
    assert "no C and no ONNX" not in dict(training_rows(estimate_of_bits))


def _shares(client: TestClient, **constraints: float) -> dict[str, str]:
    body = {"space": "tiny", "strategy": "random", "constraints": constraints, "training": {"methods": ["react-net"]}}
    return dict(search_rows(EstimateView.model_validate(client.post("/v1/searches/estimate", json=body).json())))


def test_limits_are_told_as_given_and_shares_as_they_are(client: TestClient) -> None:
    sizes = _shares(client, packed_bytes=5001)
    assert sizes["architectures: packed bytes"].endswith("; at most 5,001")
    assert _shares(client, packed_bytes=10**6)["within the limits"] == "100 % of 729 architectures"
    span = sizes["architectures: packed bytes"]
    assert _shares(client, parameters=10_250)["within the limits"] == "99.8 % of 729 architectures", span
    assert "above the limit of 5,001" in sizes["trained with react-net"]
    assert "within the limits" not in _shares(client)


def test_every_figure_is_described() -> None:
    for view in (EstimateView, TrainingEstimateView):
        assert all(field.description for field in view.model_fields.values())


def test_a_registered_dataset_is_estimated_by_its_facts_and_one_of_an_earlier_version_by_its_files(
    client: TestClient, settings: Settings
) -> None:
    """The images are broken after they were registered: nobody looks at them."""
    settings.data.mkdir()
    write_folder(settings.data)
    client.post("/v1/datasets", json={"name": "pets", "kind": "image-folder", "settings": {"path": "pictures"}})
    assert carried_out(settings) == 0
    facts = client.get("/v1/datasets/pets").json()["facts"]
    for file in (settings.data / "pictures" / "dog").iterdir():
        file.write_bytes(b"broken")
    asked = {"space": "tiny", "dataset": "pets"}
    assert client.post("/v1/searches/estimate", json=asked).json()["training_images"] == facts["train"]
    split = {"name": "pets", "settings": {"validation_fraction": 0.5}}
    assert client.post("/v1/searches/estimate", json={**asked, "dataset": split}).json()["training_images"] < facts["train"]
    database = Database(settings.database)
    with database.write() as session:
        row = session.get(DatasetRow, "pets")
        assert row is not None
        row.facts = {key: value for key, value in row.facts.items() if key not in {"by_class", "train"}}
    database.close()
    assert client.post("/v1/searches/estimate", json=asked).json()["training_images"] == facts["train"]

"""Networks of the literature beside a training: asked for over REST, and told in its comparison."""

import pytest
from fastapi.testclient import TestClient

from api.client import NasClient
from nas_service.catalogue import build_method, build_space
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.session import Database
from search_spaces.network import network_cost
from tests.api.whole_training import METHODS, SEEDS, Written, write_hand_made
from tests.samples import digits


def test_a_comparison_tells_what_a_network_made_by_hand_reaches(nas: NasClient, settings: Settings, whole: Written) -> None:
    assert nas.comparison(whole.training).hand_made == []
    key, training = write_hand_made(settings)
    compared = nas.comparison(whole.training)
    assert len(compared.pairs) == len(METHODS) * len(whole.architectures)  # what was found, and nothing else
    assert {(line.network, line.hand_made, line.training) for line in compared.hand_made} == {("resnet-20", key, training)}
    assert len(compared.hand_made) == len(compared.pairs)
    gains = {(line.method, line.architecture): line.gain for line in compared.hand_made}
    assert gains["bnn", whole.architectures[4]] == pytest.approx(0.08)  # the k-th is 2 points better than the one before
    assert {line.seeds for line in compared.hand_made} == {len(SEEDS)}


@pytest.mark.parametrize(
    "spec", [{"recipe": {"epochs": 2}}, {"digest": "other"}, {"dataset": {"name": "digits", "settings": {"split_seed": 3}}}]
)
def test_a_network_that_was_not_trained_alike_is_not_shown(
    nas: NasClient, settings: Settings, whole: Written, spec: dict[str, object]
) -> None:
    write_hand_made(settings, **({"digest": "another"} if "dataset" in spec else {}), **spec)
    assert nas.comparison(whole.training).hand_made == []


def test_trainings_that_are_compared_with_one_have_the_line_too(nas: NasClient, settings: Settings, whole: Written) -> None:
    _, training = write_hand_made(settings)
    together = nas.comparison(whole.training, training)
    assert together.hand_made == nas.comparison(whole.training).hand_made
    assert len(together.pairs) == len(METHODS) * (len(whole.architectures) + 1)
    alone = nas.comparison(training)
    assert (alone.hand_made, alone.networks) == ([], [])


def test_one_is_trained_as_the_training_trains_what_was_found(nas: NasClient, whole: Written) -> None:
    assert "vgg-small" in nas.comparison(whole.training).networks
    job = nas.train_hand_made(whole.training, "resnet-20")
    assert (job.kind, job.state) == ("search", "queued")
    spec = SearchSpec.model_validate(job.spec)
    assert spec.training is not None
    assert [method.name for method in spec.training.methods] == list(METHODS)
    assert spec.training.seeds == list(SEEDS)
    space = build_space(spec.space)
    precision = build_method(spec.method).facts.precision
    made = network_cost(space, space.only_genotype(), digits().image_format, precision).ops
    assert 1 / 1.5 < nas.architecture(whole.architectures[0]).cost["ops"] / made < 1.5


def test_one_that_is_asked_for_is_told_until_it_is_over_and_not_queued_again(nas: NasClient, whole: Written) -> None:
    assert nas.comparison(whole.training).under_way == []
    job = nas.train_hand_made(whole.training, "resnet-20")
    (live,) = nas.comparison(whole.training).under_way
    width = job.spec["space"]["settings"]["channels"]
    assert (live.job, live.kind, live.state, live.network) == (job.id, "search", "queued", f"resnet-20(channels={width})")
    assert live.methods == list(METHODS)
    assert nas.train_hand_made(whole.training, "resnet-20").id == job.id
    assert nas.train_hand_made(whole.training, "resnet-20", methods=["bnn"]).id != job.id
    nas.cancel_search(job.id)
    assert nas.train_hand_made(whole.training, "resnet-20").id not in {job.id, None}


def test_a_training_that_follows_its_search_counts_as_the_same_request(
    nas: NasClient, settings: Settings, whole: Written
) -> None:
    job = nas.train_hand_made(whole.training, "resnet-20")
    section = {name: value for name, value in job.spec["training"].items() if name != "top_k"}
    spec = {**section, "space": job.spec["space"], "dataset": job.spec["dataset"], "architectures": ["one"]}
    database = Database(settings.database)
    with database.write() as session:
        for state in (JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED):
            jobs.move(session, job.id, state)
        training = jobs.create_job(session, jobs.TRAINING, "", spec, parent_id=job.id).id
    database.close()
    assert [(live.job, live.kind) for live in nas.comparison(whole.training).under_way] == [(training, "training")]
    assert nas.train_hand_made(whole.training, "resnet-20").id == job.id


def test_what_is_being_trained_otherwise_is_not_on_the_way(nas: NasClient, whole: Written) -> None:
    spec = nas.train_hand_made(whole.training, "resnet-20").spec
    nas.cancel_search(nas.comparison(whole.training).under_way[0].job)
    nas.submit_search(spec | {"training": spec["training"] | {"recipe": {"epochs": 77}}})
    nas.submit_search(spec | {"training": None})
    assert nas.comparison(whole.training).under_way == []


def test_what_is_no_such_network_is_refused_by_field(client: TestClient, whole: Written) -> None:
    path = f"/v1/trainings/{whole.training}/hand-made"
    for body, field in (({"network": "tiny"}, "network"), ({"channels": 1}, "channels"), ({"depth": 3}, "depth")):
        reply = client.post(path, json=body)
        assert reply.status_code == 422
        assert [problem["field"] for problem in reply.json()["errors"]] == [field]
    assert client.post("/v1/trainings/none/hand-made", json={}).status_code == 404
    of_a_search = client.post(f"/v1/trainings/{whole.search}/hand-made", json={})
    assert of_a_search.json()["detail"] == f"there is no training '{whole.search}': it is a search"

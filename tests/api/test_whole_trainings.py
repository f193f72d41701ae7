"""Trainings as a whole: comparison, curves, correlation and cost by layer, from a real database."""

import csv
import io
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.client import NasClient
from api.refusals import ApiError
from nas_service.settings import Settings
from nas_service.storage import candidates
from nas_service.storage.session import Database
from tests.api.whole_training import EPOCHS, METHODS, Written, write_training


def _more(settings: Settings, keys: list[str], **given: Any) -> str:  # noqa: ANN401 - fields of a spec
    database = Database(settings.database)
    with database.write() as session:
        training = write_training(session, keys, **given)
    database.close()
    return training


def _allowed(client: TestClient, path: str, field: str) -> str:
    reply = client.get(path)
    assert reply.status_code == 422, reply.text
    (problem,) = reply.json()["errors"]
    assert problem["field"] == field
    return str(problem["allowed"])


def test_five_requests_tell_all_of_three_methods_five_architectures_and_three_seeds(nas: NasClient, whole: Written) -> None:
    job = nas.training(whole.training)
    compared = nas.comparison(whole.training)
    curves = nas.training_curves(whole.training)
    correlation = nas.correlation(whole.search)
    listed = list(nas.candidates(training=whole.training))
    assert job.state == "succeeded"
    assert (len(compared.pairs), len(compared.methods), len(correlation.points)) == (15, 3, 15)
    assert {pair.seeds for pair in compared.pairs} == {3}
    assert [len(curve.epoch) for curve in curves.candidates] == [EPOCHS] * 45
    assert len(listed) == 45


def test_pairs_tell_cost_origin_seeds_and_what_stands_attacks(nas: NasClient, whole: Written) -> None:
    pair = next(row for row in nas.comparison(whole.training).pairs if row.method == "bnn")
    assert (pair.architecture, pair.search_id) == (whole.architectures[0], whole.search)
    assert (pair.architecture_rank, pair.architecture_score) == (1, 0.9)
    assert [run.seed for run in pair.runs] == [0, 1, 2]
    assert [run.test_accuracy for run in pair.runs] == pytest.approx([0.7, 0.71, 0.72])
    assert [run.attacked for run in pair.runs] == pytest.approx([0.35, 0.355, 0.36])
    assert [pair.test_mean, pair.test_spread] == pytest.approx([0.71, 0.01])
    assert [pair.attacked_mean, pair.attacked_spread, pair.eps] == pytest.approx([0.355, 0.005, 0.1])
    assert pair.attack is not None
    assert (pair.attack.images, pair.attack.attacks) == (50, ("clean", "pgd-20"))
    assert pair.ops == pytest.approx(200 + 710)
    assert (pair.cost["ops"], pair.cost["binary_parameters"]) == (pair.ops, 800)


def test_fronts_name_what_is_accurate_for_its_cost(nas: NasClient, whole: Written) -> None:
    """Cost grows with accuracy here, so over OPs none is beaten; bytes are all the same, so the most accurate is alone."""
    fronts = {(front.accuracy, front.cost): front for front in nas.comparison(whole.training).pareto}
    assert {(str(accuracy), str(cost)) for accuracy, cost in fronts} == {
        (accuracy, cost) for accuracy in ("clean", "attacked") for cost in ("ops", "packed_bytes")
    }
    for (accuracy, cost), front in fronts.items():
        assert (front.attack is None, front.left_out) == (accuracy == "clean", [])
        assert len(front.members) == (15 if cost == "ops" else 1)
        assert front.members[-1] == ("rebnn", whole.architectures[-1])


def test_a_pair_is_one_line_of_csv(client: TestClient, whole: Written) -> None:
    text = client.get(f"/v1/trainings/{whole.training}/comparison", params={"format": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 15
    assert rows[0].keys() >= {"ops", "attacked_mean", "eps", "architecture_rank", "search_id", "worst_class", "test_spread"}


def test_several_trainings_on_the_same_data_are_compared(nas: NasClient, settings: Settings, whole: Written) -> None:
    key = whole.architectures[0]
    longer = _more(settings, [key], methods=["bnn"], recipe={"epochs": 30})
    alike = _more(settings, [key], methods=["rebnn"], seeds=[2, 7], eps=0.1)
    found = nas.comparison(whole.training, longer, alike)
    assert len(nas.comparison_csv(whole.training, longer, alike).splitlines()) == 1 + len(found.pairs)
    here = {pair.method: pair for pair in found.pairs if pair.architecture == key}
    assert here.keys() == {"bnn(recipe.epochs=12)", "bnn(recipe.epochs=30)", "xnor-net", "rebnn"}
    assert [run.seed for run in here["rebnn"].runs] == [0, 1, 2, 7]
    assert [run.training for run in here["rebnn"].runs] == [whole.training] * 2 + [alike] * 2
    assert here["bnn(recipe.epochs=30)"].attacked_mean is None
    attacked = next(front for front in found.pareto if front.accuracy == "attacked")
    assert ("bnn(recipe.epochs=30)", key) in attacked.left_out


def test_trainings_on_other_data_are_refused(client: TestClient, settings: Settings, whole: Written) -> None:
    other = _more(settings, whole.architectures[:1], digest="other")
    path = f"/v1/comparison?training={whole.training}&training={other}"
    assert "the same images, classes and split" in _allowed(client, path, "training")
    assert client.get(f"/v1/comparison?training={whole.training}&training=gone").status_code == 404
    _allowed(client, "/v1/comparison", "training")


def test_scores_and_accuracies_of_a_search_are_told_by_method_and_data(
    nas: NasClient, client: TestClient, settings: Settings, whole: Written
) -> None:
    """The search thought less of every architecture that turned out better."""
    found = nas.correlation(whole.search)
    assert sorted((row.method, row.dataset, row.n) for row in found.methods) == [(name, "digits", 5) for name in sorted(METHODS)]
    assert [row.rho for row in found.methods] == pytest.approx([-1, -1, -1])
    first = next(point for point in found.points if point.method == "bnn")
    assert [first.rank, first.score, first.test_mean, first.seeds] == pytest.approx([1, 0.9, 0.71, 3])
    _more(settings, whole.architectures[:2], digest="other", methods=["bnn"])
    apart = nas.correlation(whole.search)
    assert sorted(row.n for row in apart.methods) == [2, 5, 5, 5]
    assert len({row.dataset for row in apart.methods}) == 2
    lines = client.get(f"/v1/searches/{whole.search}/correlation?format=csv").text.splitlines()
    assert len(lines) == 1 + 15 + 2
    assert client.get("/v1/searches/gone/correlation").status_code == 404


def test_curves_are_those_of_each_candidate(nas: NasClient, whole: Written) -> None:
    found = nas.training_curves(whole.training, ["train_loss", "validation_accuracy", "extra"])
    assert (found.thinned, found.fields) == (False, ["train_loss", "validation_accuracy", "extra"])
    assert [row.candidate for row in found.candidates] == sorted(row.id for row in nas.candidates(training=whole.training))
    one = found.candidates[4]
    epochs = list(nas.curves(one.candidate))
    assert one.epoch == [epoch.epoch for epoch in epochs]
    assert one.columns == {
        "train_loss": [epoch.train_loss for epoch in epochs],
        "validation_accuracy": [epoch.validation_accuracy for epoch in epochs],
        "extra.gamma": [epoch.extra["gamma"] for epoch in epochs],
    }
    assert (one.method, one.seed, one.state, one.epochs_total, one.epochs_done) == ("xnor-net", 1, "succeeded", EPOCHS, EPOCHS)


def test_thinned_curves_say_so_and_keep_their_ends(nas: NasClient, client: TestClient, whole: Written) -> None:
    found = nas.training_curves(whole.training, ["train_loss"], 4)
    assert found.thinned
    assert {tuple(row.epoch) for row in found.candidates} == {(0, EPOCHS - 1)}
    path = f"/v1/trainings/{whole.training}/curves"
    one = client.get(path, params={"candidate": found.candidates[7].candidate, "format": "csv"})
    assert len(one.text.splitlines()) == 1 + EPOCHS
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("query", "field", "allowed"),
    [
        ("fields=validation_acuracy", "fields", "did you mean validation_accuracy"),
        ("fields=", "fields", "train_loss"),
        ("fields=extra.", "fields", "extra.NAME"),
        ("points=3", "points", "4"),
        ("fields=train_loss,seconds&points=5", "points", "6 or more for 2 fields"),
        ("candidate=gone", "candidate", "GET /v1/candidates"),
    ],
)
def test_what_no_curve_has_is_refused_by_name(client: TestClient, whole: Written, query: str, field: str, allowed: str) -> None:
    assert allowed in _allowed(client, f"/v1/trainings/{whole.training}/curves?{query}", field)


def test_too_many_epochs_at_once_are_refused(client: TestClient, settings: Settings, whole: Written) -> None:
    database = Database(settings.database)
    with database.write() as session:
        row = candidates.candidates_of(session, whole.training)[0]
        row.epochs_done = 10**6
    database.close()
    assert "at most 200,000" in _allowed(client, f"/v1/trainings/{whole.training}/curves", "candidate")


def test_a_training_that_has_not_begun_has_no_curves_and_no_fronts(nas: NasClient, settings: Settings, whole: Written) -> None:
    del settings
    spec = {"space": "tiny", "dataset": "digits", "architectures": whole.architectures[:1], "methods": ["bnn"]}
    training = nas.submit_training(spec).id
    assert nas.training_curves(training).candidates == []
    assert nas.comparison(training).pareto == []
    with pytest.raises(ApiError, match="no training 'gone'"):
        nas.training_curves("gone")


def test_the_cost_of_an_architecture_is_told_part_by_part(nas: NasClient, client: TestClient, whole: Written) -> None:
    for key in whole.architectures:
        found, stored = nas.architecture_cost(key), nas.architecture(key).cost
        assert found.totals == pytest.approx(stored)
        assert sum(row.bytes for row in found.rows) == stored["packed_bytes"]
        assert sum(row.ops for row in found.rows) == pytest.approx(stored["ops"])
        assert sum(row.parameters for row in found.rows if row.weight_bits == 1) == stored["binary_parameters"]
        assert found.method["name"] == "bnn"
        assert found.c is not None
        assert found.c_refused is None
        assert found.c.flash_bytes == found.c.constant_bytes + found.c.record_bytes + found.c.code_bytes
        assert found.c.arena_bytes > 8 * 8 * 4
        lines = client.get(f"/v1/architectures/{key}/cost?format=csv").text.splitlines()
        assert len(lines) == 1 + len(found.rows)
    assert client.get("/v1/architectures/gone/cost").status_code == 404


def test_candidates_tell_how_long_they_train_and_how_long_they_were_attacked(
    nas: NasClient, settings: Settings, whole: Written
) -> None:
    for row in nas.candidates(training=whole.training):
        assert (row.epochs_total, row.attack_seconds, row.method_label) == (EPOCHS, 1.5, row.method["name"])
    assert nas.best_of_training(whole.training).candidate.epochs_total == EPOCHS
    own = {"name": "bnn", "recipe": {"epochs": 3}}
    other = _more(settings, whole.architectures[:1], methods=[own], seeds=[0])
    (row,) = nas.candidates(training=other)
    assert (row.epochs_total, row.attack_seconds, row.method_label) == (3, None, "bnn(recipe.epochs=3)")
    assert nas.candidate(row.id) == row.model_copy(update={"metrics": nas.candidate(row.id).metrics})

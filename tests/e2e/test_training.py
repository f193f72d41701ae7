"""Trainings through REST, Ray Tune and the database: teachers, comparison, early stopping, trials that die."""

import csv
import io
import json
import os
import re
import signal
import zipfile
from typing import Any

import pytest

from api.refusals import ApiError
from nas_service.lifecycle import CANDIDATE_FINISHED, FINISHED, CandidateState
from nas_service.reports import TrainingProgress
from tests.e2e.conftest import Running, epochs_of
from tests.processes import trial_pids
from tests.waiting import wait_until

pytestmark = pytest.mark.ray

SHORT = {"epochs": 2, "max_steps_per_epoch": 2}


@pytest.fixture(scope="module")
def architectures(service: Running) -> list[str]:
    """Return two architectures of `tiny`."""
    quick = {"max_steps": 1, "validation_images": 50, "calibration_batches": 1}
    search = service.search(space="tiny", strategy={"name": "random", "settings": {"samples": 2}}, evaluation=quick)
    return [row.id for row in service.client.architectures(search=search.id)]


@pytest.fixture
def base(architectures: list[str]) -> dict[str, Any]:
    """Return what every training here shares."""
    return {"space": "tiny", "dataset": "digits", "architectures": architectures[:1], "recipe": SHORT}


def _told(service: Running, training_id: str) -> list[dict[str, Any]]:
    """Return what was told of the candidates of a training, in order."""
    return [event.data.to_data() for event in service.client.training_events(training_id) if event.kind == "candidate"]


def _teachers(service: Running) -> list[str]:
    return sorted(path.name for path in (service.settings.home / "artifacts" / "teachers").glob("*"))


@pytest.mark.slow
def test_methods_are_compared_over_seeds_and_architectures(
    service: Running, base: dict[str, Any], architectures: list[str]
) -> None:
    """RBCN and a recipe with distillation share one teacher an architecture; a second training uses the same ones."""
    distilled = {"name": "react-net", "recipe": {"distillation": 0.5}}
    given = {**base, "architectures": architectures, "methods": ["bnn", "rbcn", distilled]}
    job = service.train(**given, seeds=[0, 1])
    assert job.state == "succeeded", job.error
    found = service.client.comparison(job.id)
    assert len(found.pairs) == 6
    assert all(pair.seeds == 2 and pair.test_spread is not None for pair in found.pairs)
    assert {pair.method for pair in found.pairs} == {"bnn", "rbcn", "react-net(recipe.distillation=0.5)"}
    for architecture in architectures:
        ranked = [pair for pair in found.pairs if pair.architecture == architecture]
        assert sum(pair.rank for pair in ranked) == 6
        assert [pair.test_mean for pair in ranked] == sorted((pair.test_mean for pair in ranked), reverse=True)
    rows = list(csv.DictReader(io.StringIO(service.client.comparison_csv(job.id))))
    assert [float(row["test_mean"]) for row in rows] == [pair.test_mean for pair in found.pairs]
    teachers = _teachers(service)
    assert len(teachers) == 2
    told = [event.data.architecture for event in service.client.training_events(job.id) if event.kind == "full-precision.trained"]
    assert sorted(told) == sorted(architectures)
    assert service.train(**{**base, "methods": ["rbcn"]}).state == "succeeded"
    assert _teachers(service) == teachers


@pytest.mark.slow
def test_a_trial_that_is_killed_goes_on_from_its_checkpoint_and_is_counted_once(service: Running, base: dict[str, Any]) -> None:
    """Curves and accuracy are those of the training that nobody disturbed."""
    given = {**base, "methods": ["xnor-net"], "recipe": {"epochs": 24}}
    undisturbed = service.train(**given)
    disturbed = service.client.submit_training({**given, "name": "disturbed"})
    (candidate,) = wait_until(
        lambda: list(service.client.candidates(training=disturbed.id)),
        lambda rows: bool(rows) and rows[0].epochs_done >= 6,
    )
    (pid,) = trial_pids(service.settings.home)
    os.kill(pid, signal.SIGKILL)
    job = wait_until(lambda: service.client.training(disturbed.id), lambda seen: seen.state in FINISHED)
    assert (job.state, job.attempt) == ("succeeded", 1)
    (expected,) = service.client.candidates(training=undisturbed.id)
    (actual,) = service.client.candidates(training=disturbed.id)
    assert actual.test_accuracy == expected.test_accuracy
    curves = [
        [(entry.epoch, entry.train_loss, entry.validation_accuracy) for entry in service.client.curves(key)]
        for key in (expected.id, actual.id)
    ]
    assert [epoch for epoch, _, _ in curves[1]] == list(range(24))
    assert curves[0] == curves[1]
    told = _told(service, disturbed.id)
    assert [(entry["candidate"], entry["state"]) for entry in told] == [
        (candidate.id, state) for state in ("training", "training", "succeeded")
    ]
    assert 1 <= told[1]["resumed_from"] < 24
    assert told[0]["worker"] != told[1]["worker"] == actual.worker


@pytest.mark.slow
def test_weak_candidates_are_ended_early_if_asked_for(service: Running, base: dict[str, Any]) -> None:
    """Two train well; two with a vanishing learning rate come after them and are ended at a rung, without files."""
    weak = {"name": "xnor-net", "recipe": {"learning_rate": 1e-9}}
    given = {**base, "methods": ["bnn", weak], "seeds": [0, 1], "recipe": {"epochs": 8, "max_steps_per_epoch": 8}}
    job = service.train(**given, early_stopping={"grace_epochs": 1, "reduction_factor": 2}, resources={"max_concurrent": 1})
    assert job.state == "succeeded", job.error
    rows = list(service.client.candidates(training=job.id))
    states = {name: sorted(row.state for row in rows if row.method["name"] == name) for name in ("bnn", "xnor-net")}
    assert states["xnor-net"] == ["stopped", "stopped"]
    assert "succeeded" in states["bnn"]
    stopped = next(row for row in rows if row.state == "stopped")
    assert 1 <= stopped.epochs_done < 8
    with pytest.raises(ApiError, match="stopped: it has no files"):
        service.client.download("candidates", stopped.id)
    assert wait_until(lambda: _left(service, job.id), lambda left: not left, 30) == []


def _left(service: Running, training_id: str) -> list[str]:
    """Return what a training that is over left open or unowned: candidates, and files that only one under way needs."""
    rows = list(service.client.candidates(training=training_id))
    found = [f"{row.id} is {row.state}" for row in rows if row.state not in CANDIDATE_FINISHED or row.finished_at is None]
    store = service.settings.home / "artifacts"
    return found + [str(path) for row in rows for path in (store / "candidates" / row.id).glob("checkpoint*")]


@pytest.mark.slow
def test_a_cancelled_training_leaves_no_candidate_open_and_no_checkpoint(service: Running, base: dict[str, Any]) -> None:
    """Cancelled in the middle: two are at work, two wait."""
    client = service.client
    job = client.submit_training({**base, "methods": ["bnn", "xnor-net"], "seeds": [0, 1], "recipe": {"epochs": 2000}})
    wait_until(lambda: client.training(job.id), lambda seen: epochs_of(seen) >= 4)
    client.cancel_training(job.id)
    ended = wait_until(lambda: client.training(job.id), lambda seen: seen.state in FINISHED)
    assert ended.state == "cancelled"
    assert {row.state for row in client.candidates(training=job.id)} == {"cancelled"}
    assert wait_until(lambda: _left(service, job.id), lambda left: not left, 30) == []


@pytest.mark.slow
def test_a_training_of_which_one_candidate_fails_ends_the_others_and_says_why(service: Running, base: dict[str, Any]) -> None:
    """The weights of the teacher are gone when its turn comes; the other method needs none."""
    client = service.client
    (teacher,) = client.candidates(training=service.train(**{**base, "methods": ["bi-real"]}).id)
    first = client.submit_training({**base, "methods": ["bnn"], "recipe": {"epochs": 20}})
    taught = {"name": "xnor-net", "recipe": {"distillation": 1.0}}
    job = client.submit_training({**base, "methods": ["bnn", taught], "teacher": teacher.id})
    (service.settings.home / "artifacts" / "candidates" / teacher.id / "latent.safetensors").unlink()
    wait_until(lambda: client.training(first.id), lambda seen: seen.state in FINISHED)
    ended = wait_until(lambda: client.training(job.id), lambda seen: seen.state in FINISHED)
    assert ended.state == "failed"
    assert ended.error is not None
    assert ended.error.startswith("1 of 2 candidates failed; the first: the artifact store has lost the network")
    states = {row.method["name"]: row.state for row in client.candidates(training=job.id)}
    assert states == {"bnn": CandidateState.SUCCEEDED, "xnor-net": CandidateState.FAILED}
    assert wait_until(lambda: _left(service, job.id), lambda left: not left, 30) == []


@pytest.mark.slow
def test_a_candidate_may_teach(service: Running, base: dict[str, Any]) -> None:
    given = {**base, "methods": ["bnn"], "recipe": {**SHORT, "distillation": 1.0}}
    (teacher,) = service.client.candidates(training=service.train(**{**base, "methods": ["bi-real"]}).id)
    before = _teachers(service)
    job = service.train(**given, teacher=teacher.id)
    assert job.state == "succeeded", job.error
    assert _teachers(service) == before


@pytest.mark.slow
def test_a_teacher_that_does_not_fit_is_refused(service: Running, base: dict[str, Any]) -> None:
    """Of another space; of other images; not there."""
    (other,) = service.client.candidates(training=service.train(**{**base, "dataset": "cifar10", "methods": ["bnn"]}).id)
    taught = {**base, "methods": ["bnn"], "recipe": {**SHORT, "distillation": 1.0}}
    for teacher, allowed in ((other.id, "images of 1 channel\\(s\\) and 10 classes"), ("gone", "the id of a trained candidate")):
        with pytest.raises(ApiError, match=f"teacher: '{teacher}' is not allowed; allowed: .*{allowed}"):
            service.client.submit_training({**taught, "teacher": teacher})


@pytest.mark.slow
def test_a_robust_candidate_shows_what_it_stands_everywhere(service: Running, base: dict[str, Any]) -> None:
    """Trained against PGD, attacked when it is trained; the transfer attack follows a full-precision network trained for it."""
    recipe = {"epochs": 3, "adversarial": {"attack": "pgd", "eps": 0.1, "steps": 2}}
    job = service.train(**{**base, "methods": ["bnn"], "recipe": recipe, "robustness": {"eps": 0.1, "images": 50}})
    assert job.state == "succeeded", job.error
    (candidate,) = service.client.candidates(training=job.id)
    assert [entry["state"] for entry in _told(service, job.id)] == ["training", "attacking", "succeeded"]
    assert isinstance(job.progress, TrainingProgress)
    assert (job.progress.epochs, job.progress.under_attack) == (3, 0)
    assert candidate.metrics is not None
    measured = candidate.metrics.robustness
    assert measured is not None
    assert measured.images == 50
    assert {"clean", "fgsm", "pgd-7", "pgd-20", "transfer-pgd-20"} <= set(measured.accuracies)
    assert measured.worst < measured.accuracies["clean"]
    _, content = service.client.download("candidates", candidate.id)
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
        card = bundle.read("README.md").decode()
    assert manifest["metrics"]["robustness"] == measured.model_dump(mode="json")
    assert manifest["recipe"]["adversarial"]["attack"] == "pgd"
    assert f"| transfer-pgd-20 | {measured.accuracies['transfer-pgd-20']:.4f} |" in card


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"robustness": {"eps": 1.5}}, "robustness.eps"),
        ({"robustness": {"eps": -0.1}}, "robustness.eps"),
        ({"recipe": {"adversarial": {"eps": 0.1, "attack": "pgd", "steps": 0}}}, "recipe.adversarial.steps"),
    ],
)
def test_attacks_that_make_no_sense_are_refused_by_field(
    service: Running, base: dict[str, Any], given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ApiError, match=re.escape(f"{field}: ")):
        service.client.submit_training({**base, "methods": ["bnn"], **given})

"""One search through REST, Ray and the database: the same as the bare engine, twice the same, and the same after a crash."""

import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from api.views import JobView
from nas_service.binarization.method import METHODS
from nas_service.data.loader import ResidentPart
from nas_service.export.bundle_reading import read_bundle, read_test_images
from nas_service.export.rebuilding import network_of
from nas_service.export.runtime import count_correct
from nas_service.recipes.recipe import Recipe
from nas_service.reports import SearchPhase, SearchProgress
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES
from tests.e2e.conftest import Bare, Running, arm_table, bare_table, epochs_of, sample_rows, samples_of
from tests.nas_service.data.files import write_folder
from tests.processes import driver_pids
from tests.samples import digits
from tests.waiting import wait_until

pytestmark = pytest.mark.ray

QUICK = {"max_steps": 3, "train_fraction": 0.2, "validation_images": 150}
SPEC: dict[str, Any] = {"space": "tiny", "seed": 5, "evaluation": QUICK}
TRAINING = {"methods": ["bnn", "xnor-net"], "seeds": [0], "recipe": {"epochs": 2}}


@pytest.fixture(scope="module")
def finished(service: Running) -> JobView:
    """Return a search that trained its winner with both methods."""
    return service.search(**SPEC, training=TRAINING)


@pytest.fixture(scope="module")
def expected(bare: Callable[..., Bare]) -> Bare:
    """Return what the bare engine finds for the same spec."""
    return bare(**SPEC)


def test_waves_of_one_equal_the_engine_without_ray(service: Running, finished: JobView, expected: Bare) -> None:
    assert finished.state == "succeeded"
    rows = sample_rows(service.client.samples(finished.id))
    assert [(index, digest, reward) for index, digest, reward, _ in rows] == [
        (sample.index, sample.genotype.digest, sample.reward) for sample in expected.history
    ]
    assert arm_table(service.client.arms(finished.id)) == bare_table(expected.arms)
    found = list(service.client.architectures(search=finished.id))
    assert [(row.digest, row.score) for row in found] == [(r.genotype.digest, r.score) for r in expected.ranked]


def test_the_job_row_carries_its_own_progress(finished: JobView) -> None:
    progress = finished.progress
    assert isinstance(progress, SearchProgress)
    assert (progress.samples, progress.total, progress.arms, progress.arms_left) == (18, 18, 18, 6)
    assert progress.phase is SearchPhase.CONCLUDING
    assert finished.attempt == 1
    assert finished.finished_at is not None


def test_candidates_equal_those_trained_without_ray(service: Running, finished: JobView) -> None:
    candidates = list(service.client.candidates(search=finished.id))
    assert sorted(candidate.method["name"] for candidate in candidates) == ["bnn", "xnor-net"]
    architecture = service.client.architecture(candidates[0].architecture_id)
    assert architecture.rank == 1
    dataset = digits()
    assert dataset.test is not None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for candidate in candidates:
        method = METHODS.get(candidate.method["name"]).from_settings({})
        genotype = Genotype.from_dict(architecture.genotype)
        plan = CandidatePlan(SPACES.get("tiny"), genotype, method, Recipe(epochs=2), candidate.seed)
        trainer = CandidateTrainer(plan, dataset, torch.device("cpu"))
        reports = list(trainer.fit())
        curves = list(service.client.curves(candidate.id))
        assert [entry.train_loss for entry in curves] == [report.train_loss for report in reports]
        assert candidate.validation_accuracy == reports[-1].validation_accuracy
        assert candidate.test_accuracy == accuracy(trainer.network, ResidentPart.of(dataset.test, torch.device("cpu")))
    torch.set_num_threads(threads)


def test_a_bundle_reaches_the_accuracy_that_it_states(service: Running, finished: JobView, tmp_path: Path) -> None:
    for candidate in service.client.candidates(search=finished.id):
        name, content = service.client.download("candidates", candidate.id)
        path = tmp_path / name
        path.write_bytes(content)
        bundle = read_bundle(path)
        images, labels = read_test_images(bundle.files["test.safetensors"], bundle.candidate.image)
        correct = count_correct(network_of(bundle), images, labels)
        stated = bundle.manifest["metrics"]["test_accuracy"]
        assert correct / len(labels) == stated == candidate.test_accuracy
        assert bundle.manifest["search"]["search_id"] == finished.id
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None


def test_trainable_weights_can_be_downloaded(service: Running, finished: JobView) -> None:
    (candidate, _) = service.client.candidates(search=finished.id)
    name, content = service.client.download("candidates", candidate.id, "safetensors")
    assert name == f"candidate-{candidate.id}.safetensors"
    assert len(content) > 10_000


def test_no_checkpoint_of_the_supernet_is_left(service: Running, finished: JobView) -> None:
    left = wait_until(
        lambda: [path for path in service.settings.home.rglob("*.safetensors") if finished.id in str(path)], lambda seen: not seen
    )
    assert left == []


@pytest.mark.slow
def test_the_same_seed_gives_the_same_arm_table_genotype_and_accuracies(service: Running, finished: JobView) -> None:
    again = service.search(**SPEC, training=TRAINING)
    client = service.client
    assert arm_table(client.arms(again.id)) == arm_table(client.arms(finished.id))
    assert sample_rows(client.samples(again.id)) == sample_rows(client.samples(finished.id))
    first, second = (
        [(row.rank, row.digest, row.score) for row in client.architectures(search=job.id)] for job in (finished, again)
    )
    assert first == second
    first_results, second_results = (
        [(row.method, row.validation_accuracy, row.test_accuracy) for row in client.candidates(search=job.id)]
        for job in (finished, again)
    )
    assert first_results == second_results


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_waves_of_two_equal_the_engine_without_ray_on_any_number_of_actors(
    service: Running, bare: Callable[..., Bare], workers: int
) -> None:
    spec = {**SPEC, "wave": 2, "resources": {"workers": workers}}
    job = service.search(**spec)
    assert arm_table(service.client.arms(job.id)) == bare_table(bare(**spec).arms)
    used = {sample.worker for sample in service.client.samples(job.id)}
    assert len(used) == workers


@pytest.mark.slow
def test_a_search_whose_driver_is_killed_ends_as_the_uninterrupted_one(
    service: Running, finished: JobView, expected: Bare
) -> None:
    """SIGKILL in mid-search, twice; no sample is counted twice, and none is lost."""
    client = service.client
    job = client.submit_search(SPEC)
    for samples in (4, 11):
        wait_until(lambda: client.search(job.id), lambda seen, least=samples: samples_of(seen) >= least)  # type: ignore[misc]  # mypy cannot infer a lambda's default
        for pid in driver_pids(job.id):
            os.kill(pid, signal.SIGKILL)
    ended = service.finish(job.id)
    assert (ended.state, ended.attempt) == ("succeeded", 3)
    rows = list(client.samples(job.id))
    assert [row.index for row in rows] == list(range(18))
    assert {row.attempt for row in rows} == {1, 2, 3}
    assert sample_rows(iter(rows)) == sample_rows(client.samples(finished.id))
    assert arm_table(client.arms(job.id)) == bare_table(expected.arms)
    assert [row.digest for row in client.architectures(search=job.id)] == [r.genotype.digest for r in expected.ranked]


@pytest.mark.slow
def test_a_training_whose_driver_is_killed_gives_the_same_candidates(service: Running, finished: JobView) -> None:
    client = service.client
    (architecture, *_) = client.architectures(search=finished.id)
    spec = {**TRAINING, "architectures": [architecture.id], "space": "tiny", "dataset": "digits"}
    job = client.submit_training(spec)
    wait_until(lambda: client.training(job.id), lambda seen: epochs_of(seen) >= 1)
    for pid in driver_pids(job.id):
        os.kill(pid, signal.SIGKILL)
    ended = wait_until(lambda: client.training(job.id), lambda seen: seen.state in {"succeeded", "failed"})
    assert (ended.state, ended.error) == ("succeeded", None)
    first, second = (
        sorted((row.method["name"], row.test_accuracy, row.epochs_done) for row in client.candidates(**filters))
        for filters in ({"training": job.id}, {"training": next(iter(client.trainings(parent=finished.id))).id})
    )
    assert first == second


def test_a_search_that_is_cancelled_keeps_its_best_so_far(service: Running, expected: Bare) -> None:
    client = service.client
    job = client.submit_search({**SPEC, "strategy": {"name": "abandit", "settings": {"samples_per_arm": 200}}})
    wait_until(lambda: client.search(job.id), lambda seen: samples_of(seen) >= 5)
    client.cancel_search(job.id)
    ended = service.finish(job.id)
    assert (ended.state, ended.error) == ("cancelled", None)
    samples = list(client.samples(job.id))
    assert 5 <= len(samples) < 100
    assert [sample.digest for sample in samples[:3]] == [sample.genotype.digest for sample in expected.history[:3]]
    best = next(iter(client.architectures(search=job.id)))
    assert best.score == max(sample.reward for sample in samples)
    assert wait_until(lambda: driver_pids(job.id), lambda pids: not pids) == []


@pytest.mark.slow
def test_cifar10_goes_through_the_same_path(service: Running) -> None:
    """Made-up pictures in CIFAR-10's parquet layout; few steps, no accuracy asked."""
    job = service.search(
        space="tiny",
        dataset="cifar10",
        strategy={"name": "random", "settings": {"samples": 2}},
        evaluation={"max_steps": 1, "batch_size": 16, "calibration_batches": 1},
        training={"methods": ["bnn"], "recipe": {"epochs": 1, "max_steps_per_epoch": 1, "batch_size": 16}},
    )
    assert job.state == "succeeded"
    (candidate,) = service.client.candidates(search=job.id)
    assert candidate.state == "succeeded"
    assert candidate.metrics is not None
    assert candidate.metrics.test_images == 20


@pytest.mark.slow
def test_a_robust_search_by_child_and_parent_equals_the_engine_without_ray(service: Running, bare: Callable[..., Bare]) -> None:
    """Three accuracies a sample reach the database: clean, attacked, and the full-precision parent's."""
    strategy = {"name": "cp-nas", "settings": {"samples_per_arm": 1}}
    spec = {**SPEC, "strategy": strategy, "evaluation": {**QUICK, "adversarial": {"eps": 0.1}}, "wave": 2}
    job, expected = service.search(**spec), bare(**spec)
    assert job.state == "succeeded", job.error
    samples = list(service.client.samples(job.id))
    assert [(row.digest, row.reward, row.parent_reward) for row in samples] == [
        (sample.genotype.digest, sample.reward, sample.parent_reward) for sample in expected.history
    ]
    for row in samples:
        assert row.clean_accuracy is not None
        assert row.attacked_accuracy is not None
        assert row.reward == pytest.approx((row.clean_accuracy + row.attacked_accuracy) / 2, abs=1e-12)
    assert arm_table(service.client.arms(job.id)) == bare_table(expected.arms)


@pytest.mark.slow
def test_trainings_of_their_own_equal_the_engine_without_ray(service: Running, bare: Callable[..., Bare]) -> None:
    """Short ones and whole ones, two at once; what the spec leaves open is stated in what is kept, and steps are told."""
    own = {"recipe": {"epochs": 4, "max_steps_per_epoch": 2}}
    strategy = {"name": "screen-and-train", "settings": {"trainings": 5, "fidelity": 0.25}}
    spec = {"space": "tiny", "seed": 5, "strategy": strategy, "evaluation": {"own": own}, "wave": 2, "resources": {"workers": 2}}
    job, expected = service.search(**spec), bare(**spec)
    assert job.state == "succeeded", job.error
    samples = list(service.client.samples(job.id))
    assert [(row.digest, row.reward, row.fidelity) for row in samples] == [
        (sample.genotype.digest, sample.reward, sample.fidelity) for sample in expected.history
    ]
    assert [(row.fidelity, row.steps) for row in samples] == [(0.25, 2)] * 4 + [(1.0, 8)] * 4
    assert arm_table(service.client.arms(job.id)) == bare_table(expected.arms)
    found = list(service.client.architectures(search=job.id))
    assert [row.digest for row in found] == [entry.genotype.digest for entry in expected.ranked]
    assert {row.digest for row in found[:4]} == {row.digest for row in samples[4:]}
    progress = job.progress
    assert isinstance(progress, SearchProgress)
    assert progress.best_reward == max(row.reward for row in samples[4:])


def test_a_search_that_cannot_run_says_why(service: Running) -> None:
    """No request decodes images: that all but the first are none is found by the driver."""
    write_folder(service.settings.data)
    for file in (service.settings.data / "pictures" / "cat").iterdir():
        if file.name != "0.png":
            file.write_bytes(b"no picture")
    job = service.search(space="tiny", dataset={"name": "image-folder", "settings": {"path": "pictures"}})
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.startswith("dataset.settings.path: '7 of 24 pictures' is not allowed; allowed: pictures that can be read")
    assert all(f"pictures/cat/{number}.png" in job.error for number in range(1, 8))


@pytest.mark.slow
def test_a_search_that_abandons_all_but_one_architecture_ends_early_and_says_so(
    service: Running, bare: Callable[..., Bare]
) -> None:
    spec = {**SPEC, "strategy": {"name": "abandit-plus", "settings": {"samples": 40, "abandon_below": 0.5}}}
    job, expected = service.search(**spec), bare(**spec)
    taken = len(expected.history)
    assert taken < 40
    assert job.state == "succeeded"
    assert isinstance(job.progress, SearchProgress)
    assert (job.progress.samples, job.progress.total, job.progress.seconds_left) == (taken, taken, 0)
    assert job.progress.arms_left == 6
    told = [event.data.to_data() for event in service.client.events(job.id) if event.kind == "search.ended_early"]
    assert told == [{"samples": taken, "of": 40}]
    assert arm_table(service.client.arms(job.id)) == bare_table(expected.arms)

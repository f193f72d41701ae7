"""Pause and resume: processes go within seconds, everything is kept, and the end is that of a job that did not rest."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from nas_service.lifecycle import FINISHED
from tests.e2e.conftest import Bare, Running, arm_table, bare_table, epochs_of, samples_of
from tests.e2e.test_search import SPEC
from tests.processes import driver_pids, session_pids
from tests.waiting import wait_until

pytestmark = pytest.mark.ray

GONE_S = 10.0


def _all_gone(job_id: str, sessions: list[int]) -> bool:
    return not driver_pids(job_id) and not session_pids(sessions)


def test_a_search_rests_without_processes_and_ends_as_if_it_had_not(service: Running, bare: Callable[..., Bare]) -> None:
    client = service.client
    job = client.submit_search(SPEC)
    wait_until(lambda: client.search(job.id), lambda seen: samples_of(seen) >= 4)
    sessions = driver_pids(job.id)
    client.pause_search(job.id)
    wait_until(lambda: _all_gone(job.id, sessions), bool, GONE_S)
    resting = wait_until(lambda: client.search(job.id), lambda seen: seen.state == "paused", GONE_S)
    assert (resting.waiting_for, resting.finished_at) == ("somebody to resume it", None)
    kept = samples_of(resting)
    time.sleep(1)
    assert samples_of(client.search(job.id)) == kept >= 4
    assert client.resume_search(job.id).state == "queued"
    ended = service.finish(job.id)
    assert (ended.state, ended.attempt) == ("succeeded", 2)
    assert arm_table(client.arms(job.id)) == bare_table(bare(**SPEC).arms)
    states = [event.data.state for event in client.events(job.id) if event.kind == "state"]
    assert states == ["queued", "starting", "running", "pausing", "paused", "queued", "starting", "running", "succeeded"]


@pytest.mark.slow
def test_a_training_rests_with_its_candidates_and_ends_as_if_it_had_not(service: Running) -> None:
    client = service.client
    quick = {"max_steps": 1, "validation_images": 50, "calibration_batches": 1}
    search = service.search(space="tiny", strategy={"name": "random", "settings": {"samples": 1}}, evaluation=quick)
    (architecture,) = client.architectures(search=search.id)
    spec: dict[str, Any] = {"space": "tiny", "dataset": "digits", "architectures": [architecture.id]}
    spec |= {"methods": ["bnn", "xnor-net"], "recipe": {"epochs": 12}}
    undisturbed = service.train(**spec)
    job = client.submit_training(spec)
    wait_until(lambda: client.training(job.id), lambda seen: epochs_of(seen) >= 6)
    sessions = driver_pids(job.id)
    client.pause_training(job.id)
    wait_until(lambda: _all_gone(job.id, sessions), bool, GONE_S)
    wait_until(lambda: client.training(job.id), lambda seen: seen.state == "paused", GONE_S)
    assert {row.state for row in client.candidates(training=job.id)} <= {"waiting", "succeeded"}
    client.resume_training(job.id)
    ended = wait_until(lambda: client.training(job.id), lambda seen: seen.state in FINISHED)
    assert (ended.state, ended.attempt, ended.error) == ("succeeded", 2, None)
    assert _figures(service, job.id) == _figures(service, undisturbed.id)


def _figures(service: Running, training_id: str) -> list[tuple[object, ...]]:
    """Return accuracies and curves of a training's candidates."""
    client = service.client
    return sorted(
        (
            row.method["name"],
            row.test_accuracy,
            [(entry.epoch, entry.train_loss, entry.validation_accuracy) for entry in client.curves(row.id)],
        )
        for row in client.candidates(training=training_id)
    )

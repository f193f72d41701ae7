"""The controller: it starts drivers, and finishes what dead ones left."""

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta

from nas_service.lifecycle import JobState
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import events, jobs
from nas_service.storage.architectures import Discovery, add_architectures, list_architectures
from nas_service.storage.models import Job
from nas_service.storage.samples import WaveRecord, commit_wave
from nas_service.storage.session import Database, utc_now
from search_spaces.space import SPACES
from tests.processes import driver_pids
from workers.controller import Controller
from workers.launcher import log_path
from workers.launchers import ChildProcessLauncher

LEASE = timedelta(seconds=30)
PAST = timedelta(seconds=-1)


def _submit(database: Database, **spec: object) -> Job:
    with database.write() as session:
        body = SearchSpec.model_validate({"space": "tiny", **spec}).model_dump(mode="json")
        return jobs.create_job(session, jobs.SEARCH, "", body)


def _job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get_job(session, job_id)


def _step_until(controller: Controller, database: Database, job_id: str, reached: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + 60
    while True:
        controller.step()
        job = _job(database, job_id)
        if reached(job):
            return job
        assert time.monotonic() < deadline, f"still {job.state} in attempt {job.attempt}"
        time.sleep(0.1)


MISSING = {"dataset": {"name": "image-folder", "settings": {"path": "gone"}}}


def test_a_job_whose_driver_fails_says_why(controller: Controller, opened: Database) -> None:
    """A real driver process that finds no data: the message is the one a user would have got from the API."""
    job = _submit(opened, **MISSING)
    failed = _step_until(controller, opened, job.id, lambda job: job.state == "failed")
    assert failed.error is not None
    assert failed.error.startswith("path: 'gone' is not allowed; allowed: a file or folder that exists under the data root")
    with opened.read() as session:
        states = [event.data["state"] for event in events.list_events(session, job.id, limit=9)]
    assert states == ["queued", "starting", "running", "failed"]


def test_no_more_jobs_are_started_than_may_run_at_once(controller: Controller, opened: Database) -> None:
    first, second = _submit(opened), _submit(opened)
    controller.step()
    controller.step()
    assert (_job(opened, first.id).state, _job(opened, second.id).state) == ("starting", "queued")


def test_a_queued_job_is_cancelled_without_a_driver(controller: Controller, opened: Database) -> None:
    job = _submit(opened)
    with opened.write() as session:
        jobs.request_cancel(session, job.id, jobs.SEARCH)
    controller.step()
    assert _job(opened, job.id).state == "cancelled"


def test_what_a_dead_driver_sampled_is_kept_when_its_search_is_cancelled(controller: Controller, opened: Database) -> None:
    job = _submit(opened)
    strategy = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0)
    samples = tuple(Sample(index, genotype, index / 4) for index, genotype in enumerate(strategy.suggest((), 3)))
    evaluations = tuple(Evaluation(sample.reward, 1.0, diverged=False, seconds=1.0) for sample in samples)
    record = WaveRecord(Wave(samples, evaluations, samples), ({"ops": 7},) * 3, strategy.arms(samples), {})
    with opened.write() as session:
        jobs.claim(session, LEASE, utc_now())
        jobs.start(session, job.id, 1, LEASE)
        commit_wave(session, job.id, 1, PAST, record)
        jobs.request_cancel(session, job.id, jobs.SEARCH)
    controller.step()
    assert _job(opened, job.id).state == "cancelled"
    with opened.read() as session:
        found = list_architectures(session, limit=9, job_id=job.id)
    assert [(row.score, row.cost) for row in found] == [(0.5, {"ops": 7}), (0.25, {"ops": 7}), (0.0, {"ops": 7})]


def test_a_job_whose_lease_ran_out_is_started_again(controller: Controller, opened: Database) -> None:
    """As after a machine went away together with controller and driver."""
    job = _submit(opened)
    with opened.write() as session:
        jobs.claim(session, PAST, utc_now())
        jobs.start(session, job.id, 1, PAST)
    controller.step()
    again = _job(opened, job.id)
    assert (again.state, again.attempt, again.stalls) == ("starting", 2, 1)
    with opened.read() as session:
        recorded = [(event.kind, event.data.get("state")) for event in events.list_events(session, job.id, limit=9)]
    assert recorded[3:] == [("state", "lost"), ("lost", None), ("state", "queued"), ("state", "starting")]


def test_a_job_whose_lease_runs_is_left_alone(controller: Controller, opened: Database) -> None:
    """Another controller's driver may hold it: this one must not touch it."""
    job = _submit(opened)
    with opened.write() as session:
        jobs.claim(session, LEASE, utc_now())
        jobs.start(session, job.id, 1, LEASE)
    controller.step()
    assert (_job(opened, job.id).state, _job(opened, job.id).attempt) == ("running", 1)


def test_a_driver_that_was_killed_is_replaced_at_once(controller: Controller, opened: Database) -> None:
    """Its parent sees it end, so nobody waits for the lease."""
    job = _submit(opened)
    controller.step()
    (pid,) = driver_pids(job.id)
    os.kill(pid, signal.SIGKILL)
    again = _step_until(controller, opened, job.id, lambda job: job.attempt == 2)
    assert again.state in {"starting", "running"}


class _Broken(ChildProcessLauncher):
    def launch(self, job_id: str, attempt: int) -> None:
        raise RuntimeError(f"no place for attempt {attempt} of {job_id}")


def test_a_launcher_that_is_away_costs_no_job_anything(opened: Database, settings: Settings) -> None:
    """They wait on, the launcher is left alone for a while, and the first one's history says why."""
    first, second = _submit(opened), _submit(opened)
    controller = Controller(settings, opened, _Broken(settings))
    controller.step()
    controller.step()
    assert [(_job(opened, job.id).state, _job(opened, job.id).stalls) for job in (first, second)] == [("queued", 0)] * 2
    with opened.read() as session:
        reasons = [event.data for event in events.list_events(session, first.id, limit=9) if event.kind == "released"]
    assert reasons == [{"attempt": 1, "reason": f"the driver did not start: no place for attempt 1 of {first.id}"}]


def test_being_asked_to_end_does_not_count_as_a_fruitless_attempt(opened: Database) -> None:
    job = _submit(opened)
    for attempt in range(1, 6):
        with opened.write() as session:
            jobs.claim(session, LEASE, utc_now())
            jobs.start(session, job.id, attempt, LEASE)
            assert jobs.requeue(session, job.id, attempt, "the service restarts")
    assert (_job(opened, job.id).state, _job(opened, job.id).stalls) == ("queued", 0)


def test_one_job_that_cannot_be_released_does_not_keep_others_waiting(controller: Controller, opened: Database) -> None:
    """Its architectures are there already, so that keeping its best fails: as after a bug, or by another's hand."""
    broken, waiting = _submit(opened), _submit(opened)
    strategy = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0)
    (genotype,) = strategy.suggest((), 1)
    samples = (Sample(0, genotype, 0.5),)
    record = WaveRecord(
        Wave(samples, (Evaluation(0.5, 1.0, diverged=False, seconds=1.0),), samples), ({},), strategy.arms(samples), {}
    )
    with opened.write() as session:
        jobs.claim(session, LEASE, utc_now())
        jobs.start(session, broken.id, 1, LEASE)
        commit_wave(session, broken.id, 1, PAST, record)
        add_architectures(session, broken.id, [Discovery(genotype, 0.5, {})])
        jobs.request_cancel(session, broken.id, jobs.SEARCH)
    controller._settings = controller._settings.model_copy(update={"max_concurrent_jobs": 2})
    controller.step()
    assert _job(opened, broken.id).state == "cancelling"
    assert _job(opened, waiting.id).state == "starting"


def test_a_job_that_loses_every_driver_fails_with_the_last_reason(controller: Controller, opened: Database) -> None:
    job = _submit(opened)
    for _ in range(3):
        with opened.write() as session:
            claimed = jobs.claim(session, PAST, utc_now())
            assert claimed is not None
        with opened.read() as session:
            (held,) = jobs.held(session)
        controller._release(held, "its lease ran out")
    failed = _job(opened, job.id)
    assert (failed.state, failed.error) == (
        JobState.FAILED.value,
        "lost 3 drivers in a row without progress; the last: its lease ran out",
    )


def test_closing_the_launcher_ends_its_drivers(controller: Controller, opened: Database, launcher: ChildProcessLauncher) -> None:
    job = _submit(opened)
    controller.step()
    assert len(driver_pids(job.id)) == 1
    launcher.close(grace_s=10)
    assert driver_pids(job.id) == []


def test_what_a_driver_prints_is_kept(controller: Controller, opened: Database) -> None:
    job = _submit(opened, **MISSING)
    _step_until(controller, opened, job.id, lambda job: job.state == "failed")
    log = log_path(controller._settings, job.id, 1).read_text()
    assert '"event": "driver.failed"' in log
    assert "Traceback" in log

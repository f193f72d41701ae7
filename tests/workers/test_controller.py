"""The controller: it starts drivers, and finishes what dead ones left."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from nas_service.fair_share import Rules
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import attempts, events, jobs
from nas_service.storage.architectures import list_architectures
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from tests.holds import claimed, held, let_lapse
from tests.processes import driver_pids
from tests.statements import asked
from tests.waiting import wait_until
from tests.workers.conftest import job_of, running, sampled, submitted
from workers.child_processes import ChildProcessLauncher
from workers.controller import Controller
from workers.launcher import log_path

MISSING = {"dataset": {"name": "image-folder", "settings": {"path": "gone"}}}


def _step_until(controller: Controller, database: Database, job_id: str, reached: Callable[[Job], bool]) -> Job:
    def look() -> Job:
        controller.step()
        return job_of(database, job_id)

    return wait_until(look, reached, 60)


def _quick(settings: Settings, database: Database, **changes: object) -> Controller:
    """Return a controller that watches a lease for a moment only."""
    changed = settings.model_copy(update={"lease_s": 0.4, "start_limit_s": 0.4, "leave_s": 0.1, **changes})
    return Controller(changed, database, ChildProcessLauncher(changed))


def test_a_job_whose_driver_fails_says_why_and_what_it_printed_is_kept(controller: Controller, opened: Database) -> None:
    """A real driver process that finds no data: the message is the one a user would have got from the API."""
    job = submitted(opened, **MISSING)
    failed = _step_until(controller, opened, job.id, lambda job: job.state == "failed")
    assert failed.error is not None
    assert failed.error.startswith("dataset.settings.path: 'gone' is not allowed; allowed: a file or folder that exists")
    with opened.read() as session:
        states = [event.data["state"] for event in events.list_events(session, job.id, limit=9, kinds=["state"])]
    assert states == ["queued", "starting", "running", "failed"]
    log = log_path(controller._settings, job.id, 1).read_text()
    assert '"event": "driver.failed"' in log
    assert "Traceback" in log


def test_no_more_jobs_are_started_than_may_run_at_once(controller: Controller, opened: Database) -> None:
    first, second = submitted(opened), submitted(opened)
    controller.step()
    controller.step()
    assert (job_of(opened, first.id).state, job_of(opened, second.id).state) == ("starting", "queued")


def test_a_registration_starts_beside_a_search_and_before_the_next_one(controller: Controller, opened: Database) -> None:
    search, second = submitted(opened), submitted(opened)
    with opened.write() as session:
        spec = {"name": "mine", "kind": "digits", "settings": {}}
        registrations = [jobs.create_job(session, jobs.REGISTRATION, "mine", spec) for _ in range(2)]
    controller.step()
    states = [job_of(opened, job.id).state for job in (search, second, *registrations)]
    assert states == ["starting", "queued", "starting", "queued"]


def test_a_queued_job_is_cancelled_without_a_driver(controller: Controller, opened: Database) -> None:
    job = submitted(opened)
    with opened.write() as session:
        jobs.request_cancel(session, job.id, jobs.SEARCH)
    controller.step()
    assert job_of(opened, job.id).state == "cancelled"


def test_what_a_dead_driver_sampled_is_kept_when_its_search_is_cancelled(settings: Settings, opened: Database) -> None:
    job = sampled(opened, 3)
    with opened.write() as session:
        jobs.request_cancel(session, job.id, jobs.SEARCH)
    let_lapse(opened, job.id)
    _step_until(_quick(settings, opened), opened, job.id, lambda seen: seen.state == "cancelled")
    with opened.read() as session:
        found = list_architectures(session, limit=9, job_id=job.id)
    assert [(row.score, row.cost) for row in found] == [(0.5, {"ops": 7}), (0.25, {"ops": 7}), (0.0, {"ops": 7})]


def test_a_job_whose_lease_ran_out_is_started_again(settings: Settings, opened: Database) -> None:
    """As after a machine went away together with controller and driver."""
    job = submitted(opened)
    running(opened)
    let_lapse(opened, job.id)
    controller = _quick(settings, opened)
    again = _step_until(controller, opened, job.id, lambda seen: seen.attempt == 2)
    assert (again.state, again.stalls) == ("starting", 1)
    with opened.read() as session:
        recorded = [(event.kind, event.data.get("state")) for event in events.list_events(session, job.id, limit=9)]
    assert recorded[3:] == [("state", "lost"), ("lost", None), ("state", "queued"), ("state", "starting")]
    controller._launcher.close(grace_s=0)


def test_a_job_whose_lease_runs_is_left_alone(controller: Controller, opened: Database) -> None:
    """Another controller's driver may hold it: this one must not touch it."""
    job = submitted(opened)
    running(opened)
    controller.step()
    assert (job_of(opened, job.id).state, job_of(opened, job.id).attempt) == ("running", 1)


def test_a_lease_that_is_renewed_is_never_taken_whatever_the_clock_says(settings: Settings, opened: Database) -> None:
    """Of a controller whose clock is ahead every lease looks as if it had run out; it has to stand still, too."""
    job = submitted(opened)
    with opened.write() as session:
        _, hold = held(session)
    controller = _quick(settings, opened)
    for ago_s in range(120, 110, -1):
        with opened.write() as session:
            attempts.renew(session, hold)
            past = Job.lease_expires_at, job_of(opened, job.id).lease_expires_at
            assert past[1] is not None
            session.execute(update(Job).values(lease_expires_at=past[1] - timedelta(seconds=ago_s)))
        with opened.read() as session:
            assert attempts.lapsed(session, [jobs.get_job(session, job.id)])
        controller.step()
    assert (job_of(opened, job.id).state, job_of(opened, job.id).attempt) == ("running", 1)


def test_a_driver_that_takes_its_time_to_start_is_not_lost(settings: Settings, opened: Database) -> None:
    """Its claim leaves it more than a lease; when even that is over, the job waits again and is not to blame."""
    job = submitted(opened)
    with opened.write() as session:
        claimed(session)  # by a controller whose child still imports
    controller = _quick(settings, opened, max_concurrent_jobs=1)
    controller.step()
    assert job_of(opened, job.id).state == "starting"
    let_lapse(opened, job.id)
    waiting = _step_until(controller, opened, job.id, lambda seen: seen.state == "queued")
    assert (waiting.stalls, waiting.waiting_for) == (0, "its driver to start: its driver did not start in time")


def test_a_driver_that_was_killed_is_replaced_at_once(controller: Controller, opened: Database) -> None:
    """Its parent sees it end, so nobody waits for the lease."""
    job = submitted(opened)
    controller.step()
    wait_until(lambda: job_of(opened, job.id).state, lambda state: state == "running", 60)
    (pid,) = driver_pids(job.id)
    os.kill(pid, signal.SIGKILL)
    again = _step_until(controller, opened, job.id, lambda job: job.attempt == 2)
    assert (again.state in {"starting", "running"}, again.stalls) == (True, 1)


def test_a_driver_that_dies_before_it_begins_costs_nothing_and_the_next_one_waits_a_while(
    controller: Controller, opened: Database
) -> None:
    job = submitted(opened)
    controller.step()
    (pid,) = wait_until(lambda: driver_pids(job.id), bool)  # a process that was just forked has its parent's words
    os.kill(pid, signal.SIGKILL)
    waiting = _step_until(controller, opened, job.id, lambda job: job.state == "queued")
    assert (waiting.attempt, waiting.stalls) == (1, 0)
    assert waiting.waiting_for is not None
    assert waiting.waiting_for.startswith("its driver to start: the driver ended with signal 9")
    controller.step()
    assert job_of(opened, job.id).state == "queued"


class _Broken(ChildProcessLauncher):
    def launch(self, job_id: str, attempt: int) -> None:
        raise RuntimeError(f"no place for attempt {attempt} of {job_id}")


class _Away(ChildProcessLauncher):
    def trouble(self) -> str | None:
        return "the cluster has no living worker node"


def test_a_launcher_that_is_away_costs_no_job_anything(opened: Database, settings: Settings) -> None:
    """They wait on, the launcher is left alone for a while, and the first one's history says why."""
    first, second = submitted(opened), submitted(opened)
    controller = Controller(settings, opened, _Broken(settings))
    controller.step()
    controller.step()
    rows = [job_of(opened, job.id) for job in (first, second)]
    assert [(row.state, row.stalls) for row in rows] == [("queued", 0)] * 2
    assert rows[0].waiting_for == f"its driver to start: no place for attempt 1 of {first.id}"
    with opened.read() as session:
        reasons = [event.data for event in events.list_events(session, first.id, limit=9) if event.kind == "released"]
    assert reasons == [{"attempt": 1, "reason": f"the driver did not start: no place for attempt 1 of {first.id}"}]


def test_nothing_is_claimed_while_a_launcher_says_that_nothing_can_start(opened: Database, settings: Settings) -> None:
    job = submitted(opened)
    controller = Controller(settings, opened, _Away(settings))
    controller.step()
    assert (job_of(opened, job.id).state, job_of(opened, job.id).attempt) == ("queued", 0)
    assert controller.trouble == "the cluster has no living worker node"
    assert controller.last_good_step_age_s is not None


def test_being_asked_to_end_does_not_count_as_a_fruitless_attempt(opened: Database) -> None:
    job = submitted(opened)
    for _ in range(5):
        with opened.write() as session:
            _, hold = held(session)
            assert attempts.requeue(session, hold, "the service restarts")
    assert (job_of(opened, job.id).state, job_of(opened, job.id).stalls) == ("queued", 0)


class _Clumsy(ChildProcessLauncher):
    """It cannot stop one of the jobs."""

    stuck = ""
    asked = 0

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        self.asked += job_id == self.stuck
        if job_id == self.stuck:
            raise RuntimeError("no such device")
        super().stop(job_id, attempt, grace_s=grace_s)


def test_one_job_that_cannot_be_released_keeps_no_other_waiting_and_is_told_of_once(settings: Settings, opened: Database) -> None:
    stuck = submitted(opened)
    running(opened)
    waiting = submitted(opened)
    let_lapse(opened, stuck.id)
    changed = settings.model_copy(update={"lease_s": 0.4, "max_concurrent_jobs": 2})
    launcher = _Clumsy(changed)
    launcher.stuck = stuck.id
    controller = Controller(changed, opened, launcher)
    with capture_logs() as told:
        _step_until(controller, opened, waiting.id, lambda seen: seen.state == "starting")
        while launcher.asked < 3:
            controller.step()
    launcher.close(grace_s=0)
    assert job_of(opened, stuck.id).state == "running"
    assert [entry["event"] for entry in told if stuck.id in str(entry)] == ["job.put_off", "job.not_released"]


def test_a_driver_that_renewed_its_lease_meanwhile_is_not_stopped(settings: Settings, opened: Database) -> None:
    """Between the look at all jobs and the end of one of them others may have taken their time."""
    job = submitted(opened)
    with opened.write() as session:
        _, hold = held(session)
    let_lapse(opened, job.id)
    launcher = _Clumsy(settings)
    launcher.stuck = job.id
    controller = Controller(settings, opened, launcher)
    before = job_of(opened, job.id)
    with opened.write() as session:
        attempts.renew(session, hold)
    controller._release(before, "its lease ran out", lapsed=True)
    assert (launcher.asked, job_of(opened, job.id).state) == (0, "running")


def test_a_reason_that_people_are_told_holds_no_path_of_this_machine(settings: Settings, opened: Database) -> None:
    """The folder of the drivers' logs is a file here."""
    job = submitted(opened)
    (settings.home / "logs").write_text("in the way")
    controller = Controller(settings, opened, ChildProcessLauncher(settings))
    controller.step()
    with opened.read() as session:
        told = [str(event.data) for event in events.list_events(session, job.id, limit=9, kinds=["state"])]
    for text in (*told, str(job_of(opened, job.id).waiting_for), str(controller.trouble)):
        assert str(settings.home) not in text
    assert "its driver to start: " in str(job_of(opened, job.id).waiting_for)


def test_a_job_that_loses_every_driver_fails_with_the_last_reason(settings: Settings, opened: Database) -> None:
    job = submitted(opened)
    for attempt in (1, 2, 3):
        running(opened)
        let_lapse(opened, job.id)
        controller = Controller(settings.model_copy(update={"lease_s": 0.2}), opened, _Away(settings))
        _step_until(controller, opened, job.id, lambda seen, state=("failed" if attempt == 3 else "queued"): seen.state == state)  # type: ignore[misc]  # mypy cannot infer a lambda's default
    failed = job_of(opened, job.id)
    assert (failed.state, failed.error) == (
        JobState.FAILED.value,
        "lost 3 drivers in a row without progress; the last: its lease ran out",
    )


def test_stopping_ends_the_drivers_and_gives_their_jobs_back(settings: Settings, opened: Database) -> None:
    """Also that of a driver which still imports and knows nothing of its job."""
    job = submitted(opened)
    controller = Controller(settings, opened, ChildProcessLauncher(settings))
    controller.start()
    wait_until(lambda: job_of(opened, job.id).state, lambda state: state == "starting", 60)
    controller.stop()
    assert driver_pids(job.id) == []
    given_back = job_of(opened, job.id)
    assert (given_back.state, given_back.stalls) == ("queued", 0)


def test_a_step_ends_in_time_although_more_could_be_started(
    controller: Controller, opened: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases are judged between the starts of many drivers, and the next step follows at once."""
    monkeypatch.setattr("workers.controller.CLAIM_S", 0.0)
    controller._rules = Rules(places=2)
    made = [submitted(opened) for _ in range(2)]
    controller.step()
    assert [job_of(opened, job.id).state for job in made] == ["starting", "queued"]
    assert controller._awake.is_set()
    controller.step()
    assert job_of(opened, made[1].id).state == "starting"


def test_samples_of_a_search_that_goes_on_are_not_read(settings: Settings, opened: Database) -> None:
    """A long history takes seconds, in which the controller would look after no other job."""
    job = sampled(opened, 3)
    let_lapse(opened, job.id)
    with asked(opened) as statements:
        again = _step_until(_quick(settings, opened), opened, job.id, lambda seen: seen.attempt == 2)
    assert again.stalls == 1
    assert not [statement for statement in statements if "FROM samples" in statement]

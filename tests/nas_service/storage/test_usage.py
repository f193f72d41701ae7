"""What jobs held, on both kinds of database. Time is set back in rows: nothing here waits for it."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import select, update

from nas_service.access import Whose
from nas_service.errors import LateResultError
from nas_service.lifecycle import JobState
from nas_service.storage import attempts, jobs
from nas_service.storage.attempts import Hold
from nas_service.storage.deletion import delete_job
from nas_service.storage.models import Job, UsageRow
from nas_service.storage.session import Database, database_now
from nas_service.storage.usage import Usage, usage_by_owner, usage_of, used_lately
from tests.holds import held, let_lapse, progress

SLACK_S = 20.0  # that a busy machine may take for a test's own statements, times the devices in it


def _running(database: Database, owner: str | None = "ada", cpus: float = 0.0, gpus: float = 0.0) -> Hold:
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {}, whose=Whose(owner, owner))
        _, hold = held(session)
        attempts.take_devices(session, hold, cpus, gpus)
    return hold


def _let_pass(database: Database, hold: Hold, seconds: float) -> None:
    """Let the last count be a while ago."""
    with database.write() as session:
        counted_at = jobs.get_job(session, hold.job_id).counted_at
        assert counted_at is not None
        session.execute(update(Job).where(Job.id == hold.job_id).values(counted_at=counted_at - timedelta(seconds=seconds)))


def _used(database: Database, hold: Hold) -> Usage:
    with database.read() as session:
        return usage_of(session, [hold.job_id]).get(hold.job_id, Usage())


def _is(found: Usage, seconds: float, cpus: float, gpus: float) -> bool:
    wanted = (seconds, cpus, gpus)
    given = (found.seconds, found.cpu_seconds, found.gpu_seconds)
    return all(want <= got <= want * (1 + SLACK_S / max(seconds, 1)) + 1e-6 for want, got in zip(wanted, given, strict=True))


def test_what_is_held_counts_by_the_second_with_every_renewal_and_commit(database: Database) -> None:
    hold = _running(database, cpus=4.0, gpus=0.5)
    _let_pass(database, hold, 1000.0)
    with database.write() as session:
        attempts.renew(session, hold, progress(1))
    assert _is(_used(database, hold), 1000.0, 4000.0, 500.0)
    _let_pass(database, hold, 500.0)
    with database.write() as session:
        attempts.wait(session, hold, "a place")
    assert _is(_used(database, hold), 1500.0, 6000.0, 750.0)


def test_what_is_held_before_and_after_a_change_counts_as_it_was(database: Database) -> None:
    hold = _running(database)
    for devices in ((2.0, 1.0), (8.0, 4.0), (0.0, 0.0)):
        _let_pass(database, hold, 100.0)
        with database.write() as session:
            attempts.take_devices(session, hold, *devices)
    assert _is(_used(database, hold), 300.0, 1000.0, 500.0)


@pytest.mark.parametrize("end", [JobState.SUCCEEDED, JobState.FAILED, JobState.LOST])
def test_the_last_stretch_counts_when_an_attempt_ends_and_nothing_after_it(end: JobState, database: Database) -> None:
    hold = _running(database, cpus=1.0)
    _let_pass(database, hold, 100.0)
    with database.write() as session:
        assert jobs.move(session, hold.job_id, end, attempt=hold.attempt)
    assert _is(_used(database, hold), 100.0, 100.0, 0.0)
    with database.write() as session:
        with pytest.raises(LateResultError):
            attempts.renew(session, hold)
        job = jobs.get_job(session, hold.job_id)
    assert (job.counted_at, job.cpus, job.gpus) == (None, 0.0, 0.0)


def test_a_lost_attempt_counts_up_to_its_last_sign_and_the_next_begins_anew(database: Database) -> None:
    hold = _running(database, cpus=2.0)
    _let_pass(database, hold, 100.0)
    with database.write() as session:
        attempts.renew(session, hold)
    before = _used(database, hold)
    _let_pass(database, hold, 5000.0)
    let_lapse(database, hold.job_id)
    with database.write() as session:
        attempts.release(session, jobs.get_job(session, hold.job_id), "its lease ran out", 3)
    assert _used(database, hold) == before
    with database.write() as session:
        job, again = held(session)
        assert job.id == hold.job_id
        attempts.take_devices(session, again, 1.0, 0.0)
        with pytest.raises(LateResultError):
            attempts.renew(session, hold)
    _let_pass(database, again, 50.0)
    with database.write() as session:
        attempts.renew(session, again)
    assert _is(_used(database, hold), before.seconds + 50, before.cpu_seconds + 50, 0.0)


def test_a_stretch_over_midnight_counts_on_both_days(database: Database) -> None:
    hold = _running(database, cpus=3.0)
    with database.write() as session:
        today = database_now(session).astimezone(UTC).date()
        evening = datetime.combine(today, time(), UTC) - timedelta(seconds=30)
        session.execute(update(Job).values(counted_at=evening))
        attempts.renew(session, hold)
        rows = {row.day: row for row in session.scalars(select(UsageRow))}
    assert rows[today - timedelta(days=1)].cpu_seconds == pytest.approx(90.0)
    assert sum(row.seconds for row in rows.values()) == pytest.approx(_used(database, hold).seconds)
    assert len(rows) >= 2


def test_sums_of_jobs_are_sums_of_owners_also_when_jobs_are_deleted(database: Database) -> None:
    holds = [
        _running(database, owner, cpus, gpus) for owner, cpus, gpus in (("ada", 1, 1), ("ada", 2, 0), ("bob", 3, 2), (None, 5, 0))
    ]
    for hold in holds:
        _let_pass(database, hold, 100.0)
        with database.write() as session:
            jobs.move(session, hold.job_id, JobState.FAILED)
    used = [_used(database, hold) for hold in holds]
    with database.read() as session:
        before = usage_by_owner(session)
    assert [(one.owner, one.project, one.jobs) for one in before] == [("bob", "bob", 1), ("ada", "ada", 2), (None, None, 1)]
    for name in ("seconds", "cpu_seconds", "gpu_seconds"):
        assert sum(getattr(one, name) for one in before) == pytest.approx(sum(getattr(one, name) for one in used))
    assert before[1].cpu_seconds == pytest.approx(used[0].cpu_seconds + used[1].cpu_seconds)
    with database.write() as session:
        delete_job(session, holds[0].job_id, jobs.SEARCH, with_trainings=False)
    with database.read() as session:
        assert usage_by_owner(session) == before


def test_usage_is_told_of_some_days_and_old_one_counts_less_for_shares(database: Database) -> None:
    hold = _running(database, "ada")
    _let_pass(database, hold, 100.0)
    with database.write() as session:
        jobs.move(session, hold.job_id, JobState.FAILED)
        session.execute(update(UsageRow).values(day=date(2026, 3, 1), seconds=80.0))
    with database.read() as session:
        for since, until, found in (
            ("2026-03-01", None, 1),
            ("2026-03-02", None, 0),
            (None, "2026-03-01", 1),
            (None, "2026-02-28", 0),
        ):
            days = [None if day is None else date.fromisoformat(day) for day in (since, until)]
            assert len(usage_by_owner(session, *days)) == found
        for days_ago, left_s in ((0, 80.0), (1, 40.0), (3, 10.0), (7, 0.0)):
            now = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=days_ago)
            assert used_lately(session, ["ada", None], now) == {"ada": left_s, None: 0.0}

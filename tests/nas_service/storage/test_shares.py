"""Whose job is claimed and whose makes room, on both kinds of database."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from nas_service.access import Whose
from nas_service.errors import ConflictError
from nas_service.fair_share import Rules
from nas_service.lifecycle import JobState
from nas_service.storage import attempts, controllers, events, jobs, queue
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import Database, Session, database_now
from nas_service.storage.shares import standings
from nas_service.storage.waiting import waits_of
from tests.holds import LEASE, held, let_lapse, progress

ONE = Rules(1, turn_s=600.0)


def _new(database: Database, owner: str | None, priority: int = 0, kind: str = jobs.SEARCH) -> str:
    with database.write() as session:
        job = jobs.create_job(session, kind, "", {}, whose=Whose(owner, owner))
        jobs.set_values(session, job.id, priority=priority)
        return job.id


def _job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get_job(session, job_id)


def _claims(database: Database, count: int, owner_jobs: int = 0) -> list[str | None]:
    with database.write() as session:
        taken = [attempts.claim(session, LEASE, most=1000, owner_jobs=owner_jobs) for _ in range(count)]
    return [None if job is None else job.id for job in taken]


def _running(database: Database, owner: str, since_s: float = 0.0) -> Hold:
    """Let a new job of an owner be at work, since a while."""
    _new(database, owner)
    with database.write() as session:
        job, hold = held(session)
        then = database_now(session) - timedelta(seconds=since_s)
        session.execute(update(Job).where(Job.id == job.id).values(turn_at=then, counted_at=then))
    return hold


def _make_room(database: Database, rules: Rules = ONE) -> str | None:
    with database.write() as session:
        asked = attempts.make_room(session, rules)
        return None if asked is None else asked.id


def test_owners_take_turns_and_whoever_was_not_asked_for_a_key_is_one_of_them(database: Database) -> None:
    owners = "ada", "ada", "ada", "bob", None, None
    made = [_new(database, owner) for owner in owners]
    assert _claims(database, 7) == [made[0], made[3], made[4], made[1], made[5], made[2], None]


def test_a_priority_counts_among_the_jobs_of_its_owner_alone(database: Database) -> None:
    low, first, high, bobs = [_new(database, *one) for one in (("ada", -5), ("ada",), ("ada", 9), ("bob", 1))]
    assert _claims(database, 4) == [high, bobs, first, low]


def test_searches_and_trainings_of_an_owner_are_one_queue(database: Database) -> None:
    kinds = jobs.TRAINING, jobs.SEARCH, jobs.TRAINING, jobs.SEARCH
    made = [_new(database, "ada", priority, kind) for priority, kind in zip((0, 0, 2, 2), kinds, strict=True)]
    assert _claims(database, 5) == [made[2], made[3], made[0], made[1], None]


def test_no_owner_has_more_at_work_than_it_may(database: Database) -> None:
    ada, bob = [[_new(database, owner) for _ in range(3)] for owner in ("ada", "bob")]
    assert _claims(database, 5, owner_jobs=2) == [ada[0], bob[0], ada[1], bob[1], None]


def test_registrations_are_shared_alike_and_make_no_room(database: Database) -> None:
    first, second, bobs = [_new(database, owner, kind=jobs.REGISTRATION) for owner in ("ada", "ada", "bob")]
    with database.write() as session:
        taken = [attempts.claim(session, LEASE, most=1, most_registrations=2) for _ in range(3)]
        assert [job.id if job else None for job in taken] == [first, bobs, None]
        assert attempts.make_room(session, ONE) is None
    assert _job(database, second).state == "queued"


def test_a_job_makes_room_for_who_had_nothing_lately_and_goes_on_in_its_old_place(database: Database) -> None:
    hold = _running(database, "ada", 5.0)
    waiting, bobs = _new(database, "ada"), _new(database, "bob")
    assert _make_room(database) == hold.job_id
    assert _make_room(database) is None, "one is enough"
    assert _job(database, hold.job_id).state == "pausing"
    with database.write() as session:
        assert attempts.rest(session, *_named(hold)) is JobState.QUEUED
        assert attempts.rest(session, *_named(hold)) is JobState.QUEUED, "once"
    job = _job(database, hold.job_id)
    assert (job.stalls, job.lease_expires_at, job.turn_at is not None) == (0, None, True)
    with database.read() as session:
        told = [(event.kind, event.data.get("state")) for event in events.list_events(session, job.id, limit=9)]
        (released,) = events.list_events(session, job.id, limit=9, kinds=["released"])
    assert told[3:] == [("state", "pausing"), ("state", "queued"), ("released", None)]
    assert released.data == {"attempt": 1, "reason": attempts.MADE_ROOM}
    assert _claims(database, 1) == [bobs]
    with database.write() as session:
        jobs.move(session, bobs, JobState.FAILED)
    assert _claims(database, 2) == [hold.job_id, waiting]


def _named(hold: Hold) -> tuple[str, int]:
    return hold.job_id, hold.attempt


def test_who_had_something_lately_waits_until_the_others_job_had_a_turn(database: Database) -> None:
    bobs = _running(database, "bob", 100.0)
    with database.write() as session:
        jobs.move(session, bobs.job_id, JobState.SUCCEEDED)
    hold = _running(database, "ada", 590.0)
    _new(database, "bob")
    assert _make_room(database) is None
    with database.write() as session:
        begun = database_now(session) - timedelta(seconds=610)
        session.execute(update(Job).where(Job.id == hold.job_id).values(counted_at=begun, turn_at=begun))
    assert _make_room(database) == hold.job_id


def test_nobody_makes_room_for_its_own_owner_unless_for_a_higher_priority(database: Database) -> None:
    hold = _running(database, "ada", 9999.0)
    _new(database, "ada")
    assert _make_room(database) is None
    _new(database, "ada", 1)
    assert _make_room(database) == hold.job_id


def test_a_place_that_is_free_is_taken_and_nobody_asked(database: Database) -> None:
    _running(database, "ada", 9999.0)
    _new(database, "bob")
    assert _make_room(database, Rules(2)) is None


def test_who_made_room_is_asked_again_when_it_has_committed_something(database: Database) -> None:
    """Else work whose first commit takes longer than a turn would begin anew for ever."""
    hold = _running(database, "ada", 10.0)
    _new(database, "bob")
    assert _make_room(database) == hold.job_id
    with database.write() as session:
        attempts.rest(session, *_named(hold))
        jobs.request_pause(session, _claims_in(session), jobs.SEARCH)  # bob's, which never began
    _new(database, "cyd")
    with database.write() as session:
        session.execute(update(Job).where(Job.id != hold.job_id).values(state="cancelled"))
        job, again = held(session)
    assert job.id == hold.job_id
    _new(database, "dan")
    assert _make_room(database) is None
    with database.write() as session:
        attempts.renew(session, again, progress(1))
    assert _make_room(database) == hold.job_id


def _claims_in(session: Session) -> str:
    job = attempts.claim(session, LEASE, most=1)
    assert job is not None
    return job.id


def test_who_is_paused_while_it_makes_room_rests_for_good(database: Database) -> None:
    hold = _running(database, "ada", 10.0)
    _new(database, "bob")
    _make_room(database)
    with database.write() as session:
        assert jobs.request_resume(session, hold.job_id, jobs.SEARCH).state == "pausing", "it goes on by itself"
        jobs.request_pause(session, hold.job_id, jobs.SEARCH)
    with database.write() as session:
        with pytest.raises(ConflictError, match="is pausing; resume it when it is paused"):
            jobs.request_resume(session, hold.job_id, jobs.SEARCH)
        assert attempts.rest(session, *_named(hold)) is JobState.PAUSED


def test_what_a_driver_left_that_died_while_it_made_room_waits_again(database: Database) -> None:
    hold = _running(database, "ada", 10.0)
    _new(database, "bob")
    _make_room(database)
    let_lapse(database, hold.job_id)
    with database.write() as session:
        assert attempts.release(session, jobs.get_job(session, hold.job_id), "it died", 3) is JobState.QUEUED
    assert _job(database, hold.job_id).stalls == 0


def test_controllers_that_look_at_once_ask_one_job(database: Database) -> None:
    for _ in range(3):
        _running(database, "ada", 10.0)
    _new(database, "bob")
    asked: list[str | None] = []
    threads = [threading.Thread(target=lambda: asked.append(_make_room(database, Rules(3)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([key for key in asked if key is not None]) == 1


def test_places_are_the_order_of_claims(database: Database) -> None:
    _running(database, "ada", 50.0)
    _running(database, "bob", 70.0)
    for owner, priority in [
        ("ada", 0),
        ("ada", 0),
        ("ada", 3),
        ("bob", 0),
        ("cyd", 1),
        ("cyd", 2),
        (None, 0),
        ("ada", 0),
        ("bob", 9),
    ]:
        _new(database, owner, priority)
    with database.read() as session:
        rows = jobs.list_jobs(session, jobs.SEARCH, limit=100, states=["queued"])
        told = queue.places(session, rows)
        assert {key: place for row in rows[:3] for key, place in queue.places(session, [row]).items()} == {
            row.id: told[row.id] for row in rows[:3]
        }
    assert sorted(told, key=told.__getitem__) == _claims(database, len(told))
    assert sorted(told.values()) == list(range(1, 10))


def test_heads_are_found_in_an_index_however_long_the_queues_are(database: Database) -> None:
    with database.write() as session:
        many = [jobs.create_job(session, jobs.SEARCH, "", {}, whose=Whose("ada", "ada")) for _ in range(20)]
        session.execute(update(Job).where(Job.id == many[7].id).values(priority=4))
        bobs = jobs.create_job(session, jobs.SEARCH, "", {}, whose=Whose("bob", "bob"))
    with database.read() as session:
        found = standings(session, (jobs.SEARCH, jobs.TRAINING))
        assert [(one.owner, one.head.id if one.head else None) for one in found] == [("ada", many[7].id), ("bob", bobs.id)]
        if session.get_bind().dialect.name == "sqlite":
            asked = "SELECT min(owner) FROM jobs WHERE state = 'queued' AND kind = 'search' AND owner > 'ada'"
            (plan,) = session.execute(text(f"EXPLAIN QUERY PLAN {asked}")).all()
            assert "ix_jobs_waiting" in plan[3]


def test_waiting_jobs_say_that_somebody_makes_room_or_that_their_owner_has_what_it_may(database: Database) -> None:
    hold = _running(database, "ada", 10.0)
    second, bobs = _new(database, "ada"), _new(database, "bob")
    with database.write() as session:
        controllers.report(session, "a controller", None, owner_jobs=1)
    _make_room(database)
    with database.read() as session:
        rows = [jobs.get_job(session, key) for key in (hold.job_id, second, bobs)]
        said = waits_of(session, rows, queue.places(session, rows))
    assert said[hold.job_id].startswith("its driver to let go: it had its turn, makes room for another job")
    assert said[second] == "its owner's other jobs: 1 is at work, and NAS_OWNER_JOBS allows 1"
    assert said[bobs] == f"its turn: search {hold.job_id} at work"
    with database.write() as session:
        attempts.rest(session, *_named(hold))
    _claims(database, 1)
    with database.read() as session:
        rows = [jobs.get_job(session, hold.job_id)]
        said = waits_of(session, rows, queue.places(session, rows))
    assert said[hold.job_id] == f"its next turn, for it made room: search {bobs} at work"

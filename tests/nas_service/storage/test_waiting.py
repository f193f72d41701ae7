"""What jobs wait for, in words, on both kinds of database."""

from datetime import timedelta

from sqlalchemy import update

from nas_service.storage import attempts, controllers, jobs, queue
from nas_service.storage.models import ControllerRow, Job
from nas_service.storage.session import Database, database_now
from nas_service.storage.waiting import waits_of
from tests.holds import claimed, held


def _waits(database: Database, *rows: Job) -> list[str | None]:
    with database.read() as session:
        told = [jobs.get_job(session, row.id) for row in rows]
        found = waits_of(session, told, queue.places(session, told))
    return [found.get(row.id) for row in rows]


def _new(database: Database) -> Job:
    with database.write() as session:
        return jobs.create_job(session, jobs.SEARCH, "", {})


def _step(database: Database, trouble: str | None = None) -> None:
    with database.write() as session:
        controllers.report(session, "a controller", trouble)


def test_without_a_controller_a_job_waits_for_one(database: Database) -> None:
    (said,) = _waits(database, _new(database))
    assert said is not None
    assert said.startswith("a controller")


def test_a_controller_that_was_silent_for_minutes_does_not_count(database: Database) -> None:
    job = _new(database)
    _step(database)
    with database.write() as session:
        session.execute(update(ControllerRow).values(stepped_at=database_now(session) - timedelta(minutes=3)))
    (said,) = _waits(database, job)
    assert said is not None
    assert said.startswith("a controller")


def test_queued_jobs_say_behind_what_they_wait(database: Database) -> None:
    first, second, third = _new(database), _new(database), _new(database)
    _step(database)
    with database.write() as session:
        held(session)
    assert _waits(database, first, second, third) == [
        None,
        f"its turn: search {first.id} at work",
        f"its turn: search {first.id} at work, 1 queued before it",
    ]


def test_a_registration_waits_for_registrations_alone(database: Database) -> None:
    searches = [_new(database), _new(database)]
    with database.write() as session:
        registrations = [jobs.create_job(session, jobs.REGISTRATION, "", {}) for _ in range(3)]
        held(session)
    _step(database)
    at_work = f"search {searches[0].id} at work"
    assert _waits(database, searches[1], *registrations) == [
        f"its turn: {at_work}",
        "its turn, which is next",
        "its turn: 1 queued before it",
        "its turn: 2 queued before it",
    ]


def test_what_troubles_the_controller_is_what_queued_jobs_wait_for(database: Database) -> None:
    job = _new(database)
    _step(database, "Ray's job server does not answer")
    assert _waits(database, job) == ["Ray's job server does not answer"]


def test_what_keeps_a_driver_from_starting_now_is_told_before_what_kept_the_last_one(database: Database) -> None:
    job = _new(database)
    with database.write() as session:
        attempts.requeue(session, held(session)[1], "it did not start", waiting_for="its driver to start: no memory")
    _step(database, "Ray's job server does not answer")
    assert _waits(database, job) == ["Ray's job server does not answer"]
    _step(database)
    assert _waits(database, job) == ["its driver to start: no memory"]
    with database.write() as session:
        controllers.sign_off(session, "a controller")
    (said,) = _waits(database, job)
    assert str(said).startswith("a controller")


def test_one_controller_without_trouble_is_enough(database: Database) -> None:
    job = _new(database)
    _step(database, "Ray's job server does not answer")
    with database.write() as session:
        controllers.report(session, "another", None)
    assert _waits(database, job) == ["its turn, which is next"]


def test_a_controller_that_signs_off_is_forgotten(database: Database) -> None:
    job = _new(database)
    _step(database)
    with database.write() as session:
        controllers.sign_off(session, "a controller")
    (said,) = _waits(database, job)
    assert said is not None
    assert said.startswith("a controller")


def test_starting_paused_and_held_jobs_say_what_they_wait_for(database: Database) -> None:
    starting, paused, running = _new(database), _new(database), _new(database)
    with database.write() as session:
        claimed(session)
        jobs.request_pause(session, paused.id, jobs.SEARCH)
        _, hold = held(session)
        attempts.wait(session, hold, "a place on the cluster")
    assert _waits(database, starting, paused, running) == [
        "its driver to start",
        "somebody to resume it",
        "a place on the cluster",
    ]

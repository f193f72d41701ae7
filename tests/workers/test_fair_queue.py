"""Two owners and one place: a controller on a real database lets nobody starve."""

from sqlalchemy import update

from nas_service.access import Whose
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import attempts, events, jobs
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from tests.holds import LEASE, held
from tests.workers.conftest import job_of
from workers.child_processes import ChildProcessLauncher
from workers.context import JobContext
from workers.controller import Controller


def _submitted(database: Database, owner: str, count: int = 1) -> list[str]:
    with database.write() as session:
        spec = SearchSpec.model_validate({"space": "tiny"}).model_dump(mode="json")
        return [jobs.create_job(session, jobs.SEARCH, "", spec, whose=Whose(owner, owner)).id for _ in range(count)]


def test_a_small_job_starts_in_the_second_step_though_another_owner_has_fifty_long_ones(
    controller: Controller, settings: Settings, opened: Database
) -> None:
    """The driver of the long one is held by this test; the small one's is a real process."""
    long = _submitted(opened, "ada", 50)
    with opened.write() as session:
        job, _ = held(session)
    (small,) = _submitted(opened, "bob")
    controller.step()
    assert (job_of(opened, long[0]).state, job_of(opened, small).state) == ("pausing", "queued")
    context = JobContext(settings, job.id, job.attempt)
    context.pause()  # as a driver does when it sees that
    context.close()
    assert job_of(opened, long[0]).state == "queued"
    controller.step()
    assert job_of(opened, small).state == "starting"
    with opened.write() as session:
        attempts.start(session, Hold(small, 1, LEASE))
        jobs.move(session, small, JobState.SUCCEEDED)
    controller.step()
    assert (job_of(opened, long[0]).state, job_of(opened, long[0]).attempt) == ("starting", 2), "in its old place"
    assert {job_of(opened, key).state for key in long[1:]} == {"queued"}


def test_a_driver_that_dies_while_it_makes_room_leaves_its_place_too(controller: Controller, opened: Database) -> None:
    long, *_ = _submitted(opened, "ada", 2)
    with opened.write() as session:
        held(session)
    (small,) = _submitted(opened, "bob")
    controller.step()
    with opened.write() as session:
        session.execute(update(Job).where(Job.id == long).values(lease_expires_at=None))
    controller.step()
    assert (job_of(opened, long).state, job_of(opened, long).stalls, job_of(opened, small).state) == ("queued", 0, "starting")
    with opened.read() as session:
        released = events.list_events(session, long, limit=9, kinds=["released"])
    assert [event.data["reason"] for event in released] == [attempts.MADE_ROOM]


def test_no_owner_has_more_at_work_than_the_setting_allows(
    settings: Settings, opened: Database, launcher: ChildProcessLauncher
) -> None:
    ada, bob = _submitted(opened, "ada", 3), _submitted(opened, "bob", 1)
    limited = settings.model_copy(update={"max_concurrent_jobs": 3, "owner_jobs": 1})
    Controller(limited, opened, launcher).step()
    states = [job_of(opened, key).state for key in (*ada, *bob)]
    assert states == ["starting", "queued", "queued", "starting"]

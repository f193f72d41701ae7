"""A job learns the same images in every attempt, or says that they changed."""

import shutil

import pytest
from sqlalchemy import update

from nas_service.checking.datasets import open_dataset
from nas_service.errors import LateResultError
from nas_service.job_events import DataRead
from nas_service.settings import Settings
from nas_service.specs import Component
from nas_service.storage import events
from nas_service.storage.models import DatasetRow, Job
from nas_service.storage.session import Database, database_now
from search_spaces.errors import InvalidFieldError
from tests.holds import claimed
from tests.nas_service.data.files import pictures, png, write_folder
from tests.workers.conftest import submitted
from workers.context import CancelledError, JobContext
from workers.reading import read_dataset

FOLDER = Component(name="image-folder", settings={"path": "pictures"})


@pytest.fixture
def context(settings: Settings, opened: Database) -> JobContext:
    """Return the context of a job that was claimed, with a folder under its data root."""
    write_folder(settings.data)
    job = submitted(opened)
    with opened.write() as session:
        claimed(session)
    made = JobContext(settings, job.id, 1)
    made.start()
    return made


def test_the_same_images_are_read_again_and_told_once(context: JobContext, opened: Database) -> None:
    digests = {read_dataset(context, FOLDER, begun=begun).digest for begun in (False, False, True)}
    with opened.read() as session:
        told = [event.data for event in events.list_events(session, context.hold.job_id, limit=99) if event.kind == DataRead.kind]
    assert told == [
        {"digest": digests.pop(), "train": 15, "validation": 4, "test": 5, "skipped": {}, "warnings": []},
    ]


def test_a_later_attempt_does_not_go_on_with_other_images(context: JobContext, settings: Settings) -> None:
    first = read_dataset(context, FOLDER, begun=False)
    file = settings.data / "pictures" / "cat" / "0.png"
    kept = file.read_bytes()
    file.write_bytes(png(pictures(1, seed=99)[0]))
    with pytest.raises(InvalidFieldError, match=r"dataset: 'image-folder' .* that the job began with: its files were changed"):
        read_dataset(context, FOLDER, begun=True)
    file.write_bytes(kept)
    assert read_dataset(context, FOLDER, begun=True).digest == first.digest
    shutil.move(settings.data / "pictures" / "cat", settings.data / "pictures" / "zebra")  # the same images, other classes
    with pytest.raises(InvalidFieldError, match="began with"):
        read_dataset(context, FOLDER, begun=True)


def test_images_that_changed_since_they_were_registered_are_not_learnt(
    context: JobContext, settings: Settings, opened: Database
) -> None:
    facts = open_dataset(FOLDER, settings)
    with opened.write() as session:
        told = {**facts.facts.to_dict(), "digest": facts.digest}
        now = database_now(session)
        session.add(DatasetRow(name="mine", kind=FOLDER.name, settings=FOLDER.settings, facts=told, created_at=now))
    write_folder(settings.data, classes=("fox",))
    with pytest.raises(InvalidFieldError, match=r"its files changed since it was registered as 'mine': delete it and register"):
        read_dataset(context, FOLDER, begun=False)
    shutil.rmtree(settings.data / "pictures" / "fox")
    assert read_dataset(context, FOLDER, begun=False).digest == facts.digest


def test_a_job_that_an_earlier_version_began_does_not_go_on_with_another_split(context: JobContext) -> None:
    with pytest.raises(InvalidFieldError, match="the one that began it split such images in another way"):
        read_dataset(context, FOLDER, begun=True)
    assert read_dataset(context, Component(name="digits"), begun=True).digest  # which is split as it always was


def test_an_attempt_that_is_over_writes_nothing(context: JobContext, settings: Settings, opened: Database) -> None:
    with opened.write() as session:
        session.execute(update(Job).where(Job.id == context.hold.job_id).values(attempt=2))
    with pytest.raises(LateResultError):
        read_dataset(context, FOLDER, begun=False)
    with opened.read() as session:
        assert events.first_event(session, context.hold.job_id, DataRead.kind) is None


def test_reading_ends_when_the_job_should(context: JobContext) -> None:
    context._end(CancelledError("cancelled"))
    with pytest.raises(CancelledError):
        read_dataset(context, FOLDER, begun=True)

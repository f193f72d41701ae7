"""Names of datasets, on both kinds of database."""

import threading

import pytest

from nas_service.access import Whose
from nas_service.errors import ConflictError, NotFoundError
from nas_service.lifecycle import JobState
from nas_service.reports import DatasetReport
from nas_service.specs import RegistrationSpec
from nas_service.storage import datasets, jobs
from nas_service.storage.artifacts import StoredFile
from nas_service.storage.datasets import Registration
from nas_service.storage.session import Database
from tests.holds import held

PETS = Registration(
    RegistrationSpec(name="pets", kind="parquet", settings={"path": "x"}), DatasetReport(train=3), StoredFile.of("k", b"")
)


def test_a_name_is_taken_once(database: Database) -> None:
    with database.write() as session:
        datasets.register_dataset(session, "first", PETS)
    with pytest.raises(ConflictError, match="'pets' is registered already"), database.write() as session:
        datasets.register_dataset(session, "second", PETS)
    with pytest.raises(ConflictError, match="'pets' is registered already"), database.write() as session:
        datasets.require_free_name(session, "pets")
    with database.read() as session:
        assert datasets.get_dataset(session, "pets").registration_id == "first"


def test_a_name_belongs_to_a_registration_until_that_is_over(database: Database) -> None:
    with database.write() as session:
        job = jobs.create_job(session, jobs.REGISTRATION, "pets", {})
        jobs.create_job(session, jobs.SEARCH, "eels", {})  # a search's name is for people
        datasets.require_free_name(session, "eels")
    for state in ("queued", "paused"):
        with (
            pytest.raises(ConflictError, match=f"registration {job.id}, which is {state}, is about to take"),
            database.write() as session,
        ):
            datasets.require_free_name(session, "pets")
        with database.write() as session:
            jobs.move(session, job.id, JobState.PAUSED if state == "queued" else JobState.QUEUED)
    with database.write() as session:
        while not jobs.move(session, job.id, JobState.FAILED):
            held(session)  # the search goes first
        datasets.require_free_name(session, "pets")


def test_of_two_that_ask_for_a_name_at_once_one_gets_it(database: Database) -> None:
    begin, outcomes = threading.Barrier(4), []

    def ask() -> None:
        begin.wait(30)
        try:
            with database.write() as session:
                datasets.require_free_name(session, "pets")
                jobs.create_job(session, jobs.REGISTRATION, "pets", {})
            outcomes.append("queued")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["queued", "refused", "refused", "refused"]


def test_digests_are_those_of_the_same_kind_and_settings_and_of_versions_that_kept_one(database: Database) -> None:
    asked: list[tuple[str, str, dict[str, object], str | None]] = [
        ("pets", "parquet", {"path": "x", "bits": 8}, "11"),
        ("again", "parquet", {"bits": 8, "path": "x"}, "22"),
        ("elsewhere", "parquet", {"path": "y", "bits": 8}, "33"),
        ("shorter", "parquet", {"path": "x"}, "44"),
        ("folder", "image-folder", {"path": "x", "bits": 8}, "55"),
        ("old", "parquet", {"path": "x", "bits": 8}, None),
    ]
    with database.write() as session:
        for name, kind, settings, digest in asked:
            spec = RegistrationSpec(name=name, kind=kind, settings=settings)
            found = Registration(spec, DatasetReport(train=3, digest=digest), StoredFile.of(name, b""))
            datasets.register_dataset(session, f"job-{name}", found)
        older = datasets.get_dataset(session, "old")
        older.facts = {name: value for name, value in older.facts.items() if name != "digest"}
    with database.read() as session:
        assert datasets.registered_digests(session, "any job", "parquet", {"path": "x", "bits": 8}) == {
            "again": "22",
            "pets": "11",
        }
        assert datasets.registered_digests(session, "any job", "parquet", {"path": "z"}) == {}
    with database.write() as session:
        datasets.delete_dataset(session, "again")
        assert datasets.registered_digests(session, "any job", "parquet", {"path": "x", "bits": 8}) == {"pets": "11"}


def test_a_job_is_compared_with_what_its_project_registered_and_with_what_is_everybodys(database: Database) -> None:
    settings: dict[str, object] = {"path": "x"}
    with database.write() as session:
        made = {
            project: jobs.create_job(session, jobs.REGISTRATION, project, {}, whose=Whose("ada", project)).id
            for project in ("vision", "audio")
        }
        for name, job_id in (("birds", made["vision"]), ("tunes", made["audio"]), ("old", "a job that is gone")):
            spec = RegistrationSpec(name=name, kind="parquet", settings=settings)
            found = Registration(spec, DatasetReport(train=3, digest=name), StoredFile.of(name, b""))
            datasets.register_dataset(session, job_id, found)
        names = {job_id: sorted(datasets.registered_digests(session, job_id, "parquet", settings)) for job_id in made.values()}
        assert names == {made["vision"]: ["birds", "old"], made["audio"]: ["old", "tunes"]}
        assert sorted(datasets.registered_digests(session, "nobody's", "parquet", settings)) == ["old"]


def test_what_nobody_registered_is_not_found(database: Database) -> None:
    for act in (datasets.get_dataset, datasets.delete_dataset):
        with pytest.raises(NotFoundError, match="there is no registered dataset 'pets'"), database.write() as session:
            act(session, "pets")

"""Migrations run for real, on both kinds of database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, make_url, select, text

from api.views import CandidateView, JobView
from nas_service.lifecycle import CANDIDATE_FINISHED, FINISHED, JobState
from nas_service.reports import DatasetReport
from nas_service.specs import RegistrationSpec
from nas_service.storage import candidates, datasets, jobs, listing, litter, samples
from nas_service.storage.artifacts import StoredFile
from nas_service.storage.datasets import Registration
from nas_service.storage.keys import checkpoint_key, registration_folder, sheet_key, supernet_folder
from nas_service.storage.listing import JobFilter
from nas_service.storage.models import Base, Job
from nas_service.storage.schema import MIGRATIONS, alembic_config, current_revision, head_revision, upgrade
from nas_service.storage.session import Database, Session, create_database_engine
from tests.nas_service.storage.saving import SAVED, copy_rows, counts, opened, restore


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = request.getfixturevalue("postgres")
    admin = create_engine(server.get_uri().replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS empty WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE empty"))
    admin.dispose()
    yield server.get_uri("empty").replace("postgresql://", "postgresql+psycopg://")


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1


def test_upgrading_an_empty_database_makes_every_table_and_no_other(empty_url: str) -> None:
    upgrade(empty_url)
    engine = create_database_engine(empty_url)
    assert current_revision(engine) == head_revision()
    assert set(inspect(engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    engine.dispose()


def test_the_models_agree_with_what_the_migrations_made(empty_url: str) -> None:
    """`alembic check` raises if it would write a new migration."""
    upgrade(empty_url)
    command.check(alembic_config(empty_url))


def test_every_migration_can_be_taken_back_and_done_again(empty_url: str) -> None:
    config = alembic_config(empty_url)
    for revision in reversed(list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())):
        command.upgrade(config, revision.revision)
        command.downgrade(config, "-1")
        command.upgrade(config, revision.revision)
    engine = create_database_engine(empty_url)
    assert current_revision(engine) == head_revision()
    engine.dispose()


def test_every_constraint_has_a_name(empty_url: str) -> None:
    """SQLite cannot drop a nameless one."""
    upgrade(empty_url)
    engine = create_database_engine(empty_url)
    for table in Base.metadata.tables:
        assert inspect(engine).get_pk_constraint(table)["name"]
        assert all(key["name"] for key in inspect(engine).get_foreign_keys(table))
        assert all(key["name"] for key in inspect(engine).get_unique_constraints(table))
    engine.dispose()


def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    upgrade(empty_url)
    upgrade(empty_url)


@pytest.fixture(params=SAVED, ids=[file.stem for file in SAVED])
def filled_url(request: pytest.FixtureRequest, empty_url: str, tmp_path: Path) -> str:
    """Return the URL of a database as an earlier version left it, on either kind."""
    saved: Path = request.param
    path = Path(make_url(empty_url).database or "") if empty_url.startswith("sqlite") else tmp_path / "saved.db"
    restore(saved, path)
    if not empty_url.startswith("sqlite"):
        command.upgrade(alembic_config(empty_url), saved.stem)
        source, target = opened(path), create_engine(empty_url)
        copy_rows(source, target)
        source.dispose()
        target.dispose()
    return empty_url


def _counts(url: str) -> dict[str, int]:
    """Count the rows of every table but those of arms, which are a row each or one a search, as versions wrote them."""
    engine = create_database_engine(url)
    found = counts(engine)
    engine.dispose()
    return {name: count for name, count in found.items() if name not in {"arms", "arm_tables"}}


def test_upgrading_a_filled_database_loses_no_row(filled_url: str) -> None:
    """SQLite makes an altered table anew: with foreign keys on, dropping the old one would delete what refers to it."""
    before = _counts(filled_url)
    assert before["samples"] > 0 < before["candidate_epochs"]
    upgrade(filled_url)
    after = _counts(filled_url)
    assert {name: after[name] for name in before} == before


def test_taking_migrations_back_loses_no_row_either(filled_url: str) -> None:
    before = _counts(filled_url)
    upgrade(filled_url)
    config = alembic_config(filled_url)
    engine = create_database_engine(filled_url)
    for revision in ScriptDirectory(str(MIGRATIONS)).walk_revisions():
        if current_revision(engine) == revision.revision and revision.down_revision is not None:
            command.downgrade(config, "-1")
    engine.dispose()
    first = {name: count for name, count in before.items() if name in _counts(filled_url)}
    assert {name: _counts(filled_url)[name] for name in first} == first
    upgrade(filled_url)
    assert {name: _counts(filled_url)[name] for name in before} == before


def test_arms_are_the_same_in_one_row_and_in_many(filled_url: str) -> None:
    engine = create_database_engine(filled_url)
    before = _arms(engine)
    assert before
    upgrade(filled_url)
    with Session(engine) as session:
        found = {job_id: samples.list_arms(session, job_id) for job_id in before}
    named = {
        job_id: [(*arm.key, arm.pulls, arm.mean, arm.lower, arm.upper, arm.abandoned_round) for arm in arms]
        for job_id, arms in found.items()
    }
    assert named == before
    command.downgrade(alembic_config(filled_url), "a10000000010")
    assert _arms(engine) == before
    engine.dispose()


def test_from_which_search_another_one_begins_is_found_in_its_spec(empty_url: str) -> None:
    upgrade(empty_url)
    database = Database(empty_url)
    with database.write() as session:
        first = jobs.create_job(session, jobs.SEARCH, "", {"from_search": None}).id
        second = jobs.create_job(session, jobs.SEARCH, "", {"from_search": {"search": first, "samples": 7}}).id
    command.downgrade(alembic_config(empty_url), "a10000000010")
    upgrade(empty_url)
    with database.read() as session:
        assert [jobs.get_job(session, job_id).begins_from for job_id in (first, second)] == [None, first]
    database.close()


def _arms(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Return the arms of every search as they were written until `a10000000010`, in order."""
    columns = "job_id, cell, edge, operation, pulls, mean, lower, upper, abandoned_round"
    found: dict[str, list[tuple[object, ...]]] = {}
    with engine.connect() as connection:
        for job_id, *arm in connection.execute(text(f"SELECT {columns} FROM arms ORDER BY job_id, position")):  # noqa: S608 - ours
            found.setdefault(job_id, []).append(tuple(arm))
    return found


def test_specs_say_what_was_the_default_of_their_time(filled_url: str) -> None:
    upgrade(filled_url)
    database = Database(filled_url)
    with database.read() as session:
        rows = [row for kind in (jobs.SEARCH, jobs.TRAINING) for row in jobs.list_jobs(session, kind, limit=100)]
        assert len(rows) > 2
        assert {row.spec["space"]["settings"]["template"] for row in rows} == {"shortcut"}
        sections = [row.spec if row.kind == jobs.TRAINING else row.spec["training"] for row in rows]
        assert {section["recipe"]["norm_batches"] for section in sections if section is not None} == {0}
    database.close()


BEFORE: dict[str, Any] = {
    "space": {"name": "tiny", "settings": {"channels": 4}},
    "method": {"name": "bonn", "settings": {}},
    "training": {
        "methods": [
            {"name": "bonn", "settings": {"kernel_loss": 0.5}, "recipe": {}},
            {"name": "rebnn", "settings": {}, "recipe": {}},
            {"name": "rebnn", "settings": {"gamma": "constant"}, "recipe": {}},
            {"name": "rbonn", "settings": {}, "recipe": {}},
        ],
        "recipe": {"epochs": 3},
    },
    "seed": 3,
}
STATED: dict[str, Any] = {
    "space": {"name": "tiny", "settings": {"channels": 4, "template": "shortcut"}},
    "method": {"name": "bonn", "settings": {"kernel_loss": 1e-4}},
    "training": {
        "methods": [
            *BEFORE["training"]["methods"][:2],
            {"name": "rebnn", "settings": {"gamma": "constant", "constant_gamma": 2e-4}, "recipe": {}},
            {"name": "rbonn", "settings": {"recurrence_start": 0.2}, "recipe": {}},
        ],
        "recipe": {"epochs": 3, "norm_batches": 0},
    },
    "seed": 3,
}
GIVEN: dict[str, Any] = {  # nothing is left to a default that has changed
    "space": {"name": "tiny", "settings": {"template": "plain"}},
    "recipe": {"norm_batches": 2},
    "methods": [{"name": "bnn", "settings": {}, "recipe": {}}, {"name": "rbonn", "settings": {"recurrence_start": 0.0}}],
}
OTHERS: dict[str, Any] = {"space": {"name": "of-a-plug-in", "settings": {}}, "training": None}  # whose default is its own


def test_what_is_given_and_what_is_not_ours_stays(empty_url: str) -> None:
    upgrade(empty_url)
    database = Database(empty_url)
    with database.write() as session:
        made = [jobs.create_job(session, jobs.SEARCH, "", {}).id for _ in range(3)]
    command.downgrade(alembic_config(empty_url), "a10000000003")
    with database.write() as session:  # as that version wrote them: it has not all columns of today
        for key, spec in zip(made, (BEFORE, GIVEN, OTHERS), strict=True):
            jobs.set_values(session, key, spec=spec)
    upgrade(empty_url)
    with database.read() as session:
        assert [jobs.get_job(session, key).spec for key in made] == [STATED, GIVEN, OTHERS]
    command.downgrade(alembic_config(empty_url), "a10000000003")
    with database.read() as session:
        older = session.scalar(select(Job.spec).where(Job.id == made[0]))
    assert older is not None
    assert older["training"]["recipe"] == {"epochs": 3}  # a version before knows no other
    database.close()


def test_a_registered_dataset_of_an_earlier_version_has_no_registration(filled_url: str) -> None:
    upgrade(filled_url)
    database = Database(filled_url)
    with database.read() as session:
        (row,) = datasets.list_datasets(session)
        assert (row.name, row.registration_id, row.facts["train"]) == ("mine", None, 6400)
    database.close()


def test_a_registration_that_is_not_over_is_cancelled_where_there_are_none(empty_url: str) -> None:
    upgrade(empty_url)
    database = Database(empty_url)
    with database.write() as session:
        made = [jobs.create_job(session, jobs.REGISTRATION, "", {}).id for _ in range(2)]
        jobs.move(session, made[0], JobState.PAUSED)
        search = jobs.create_job(session, jobs.SEARCH, "", {}).id
    config = alembic_config(empty_url)
    command.downgrade(config, "c4a17f0e93b8")
    upgrade(empty_url)
    with database.read() as session:
        found = [jobs.get_job(session, job_id) for job_id in (*made, search)]
    assert [row.state for row in found] == ["cancelled", "cancelled", "queued"]
    assert [row.finished_at is None for row in found] == [False, False, True]
    database.close()


def test_contact_sheets_are_left_to_be_deleted_where_there_are_none(filled_url: str) -> None:
    """Of datasets and of a registration under way; what else is stored stays, and so do the datasets."""
    upgrade(filled_url)
    before, database = _counts(filled_url), Database(filled_url)
    with database.write() as session:
        resting = jobs.create_job(session, jobs.REGISTRATION, "resting", {}).id
        jobs.move(session, resting, JobState.PAUSED)
        for name in ("first", "second"):
            spec, sheet = RegistrationSpec(name=name, kind="digits"), StoredFile.of(sheet_key(name), b"drawn")
            datasets.register_dataset(session, name, Registration(spec, DatasetReport(train=3), sheet))
        litter.drop(session, [registration_folder("first")])  # as if somebody had begun to delete it
    command.downgrade(alembic_config(filled_url), "c4a17f0e93b8")
    assert {name: count - before[name] for name, count in _counts(filled_url).items() if count != before[name]} == {
        "datasets": 2,
        "events": 2,
        "jobs": 1,
        "litter": 3,
    }
    upgrade(filled_url)
    with database.read() as session:
        left = {row.name: row.registration_id for row in datasets.list_datasets(session)}
        assert left == {"mine": None, "first": None, "second": None}
        folders = {key for key in litter.list_litter(session, 1000) if key.startswith("registrations/")}
    assert folders == {registration_folder(name) for name in ("first", "second", resting)}
    database.close()


def test_what_an_earlier_version_left_can_be_shown_and_has_ended(filled_url: str) -> None:
    """Every row is readable as the API shows it; no candidate of a job that is over is open; leftovers are known."""
    upgrade(filled_url)
    database = Database(filled_url)
    with database.read() as session:
        rows = [row for kind in (jobs.SEARCH, jobs.TRAINING) for row in jobs.list_jobs(session, kind, limit=100)]
        states = {row.id: JobView.model_validate(row).state for row in rows}
        found = [CandidateView.model_validate(row) for row in candidates.list_candidates(session, limit=100)]
        dropped = litter.list_litter(session, 100)
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} <= set(states.values())
    assert any(row.metrics and row.metrics.robustness for row in found)
    for row in found:
        if states[row.training_id] in FINISHED:
            assert row.state in CANDIDATE_FINISHED
            assert checkpoint_key(row.id) in dropped
    searches = [row.id for row in rows if row.kind == jobs.SEARCH and states[row.id] in FINISHED]
    assert searches
    assert {supernet_folder(search_id) for search_id in searches} <= set(dropped)
    database.close()


def test_jobs_of_an_earlier_version_are_listed_by_the_names_in_their_specs(filled_url: str) -> None:
    upgrade(filled_url)
    database = Database(filled_url)
    with database.read() as session:
        rows = [job for kind in jobs.KINDS for job in jobs.list_jobs(session, kind, limit=1000)]
        for job in rows:
            told = {name: getattr(job, name) for name in ("space", "dataset", "strategy", "methods")}
            assert told == jobs.listed_names(job.kind, job.spec)
            assert (job.folded_name, job.note) == (job.name.casefold(), "")
        search = next(job for job in rows if job.kind == jobs.SEARCH)
        found = listing.list_rows(session, JobFilter(kinds=[jobs.SEARCH], space=search.spec["space"]["name"]), limit=1000)
        assert search.id in {row.id for row in found}
    database.close()

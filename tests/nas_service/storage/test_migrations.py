"""Migrations run for real, on both kinds of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from nas_service.storage.models import Base
from nas_service.storage.schema import MIGRATIONS, alembic_config, current_revision, head_revision, upgrade
from nas_service.storage.session import create_database_engine


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

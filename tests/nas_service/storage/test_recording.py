"""Recordings: what was recorded is there again, to the last digit, once, and can be taken away without a trace."""

import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from nas_service.errors import ConflictError, NotReadyError
from nas_service.lifecycle import JobState
from nas_service.storage import architectures, candidates, jobs, watching
from nas_service.storage.artifacts import ArtifactStore, StoredFile, record_artifact
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.models import Base, Litter, Total, UsageRow
from nas_service.storage.recording import play_recording, remove_recording, write_recording
from nas_service.storage.schema import upgrade
from nas_service.storage.session import Database, Session
from search_spaces.space import SPACES
from tests.holds import held
from tests.reports import epoch_report, metrics
from tests.samples import random_genotype

BUNDLE = b"a bundle"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path / 'artifacts'}")


@pytest.fixture
def search_id(database: Database, store: ArtifactStore) -> str:
    """Return a search that is over, with a training of its own and a candidate that has epochs and a bundle."""
    with database.write() as session:
        search = jobs.create_job(session, jobs.SEARCH, "<b>a</b> \u202e name", {"space": {"name": "tiny", "settings": {}}})
        held(session)
        found = [architectures.Discovery(random_genotype(SPACES.get("tiny")), 0.1 + 0.2, {"ops": 2.5})]
        (architecture,) = architectures.add_architectures(session, search.id, found)
        jobs.move(session, search.id, JobState.SUCCEEDED)
        spec = {"architectures": [architecture.id]}
        training = jobs.create_job(session, jobs.TRAINING, "", spec, parent_id=search.id)
        held(session)
        planned = [PlannedCandidate(architecture.id, {"name": "bnn", "settings": {}}, 0)]
        (candidate,) = candidates.plan_candidates(session, training.id, planned)
        candidates.begin(session, candidate.id, "host:1", "cpu", 0)
        candidates.add_epoch(session, candidate.id, epoch_report(train_loss=1 / 3))
        candidates.succeed(session, candidate.id, metrics(), {"packed_bytes": 10})
        stored = StoredFile.of(f"candidates/{candidate.id}/bundle.zip", BUNDLE)
        record_artifact(session, candidate.id, "bundle", stored)
        jobs.move(session, training.id, JobState.SUCCEEDED)
    store.put(stored.key, BUNDLE)
    return search.id


def _rows(session: Session) -> dict[str, list[dict[str, Any]]]:
    """Return everything in a database but ids of events, what its controller has yet to tidy up, and what work took there."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, table in Base.metadata.tables.items():
        if name in {Litter.__tablename__, Total.__tablename__, UsageRow.__tablename__}:
            continue
        rows = [dict(row) for row in session.execute(select(table)).mappings()]
        found[name] = [{key: value for key, value in row.items() if (name, key) != ("events", "id")} for row in rows]
        found[name].sort(key=repr)
    return found


def test_a_recording_is_there_again_once_and_goes_without_a_trace(
    database: Database, store: ArtifactStore, search_id: str, tmp_path: Path
) -> None:
    recording = tmp_path / "recording.zip"
    with database.read() as session:
        write_recording(session, store, search_id, recording)
        recorded = _rows(session)
    url = f"sqlite:///{tmp_path / 'other.db'}"
    upgrade(url)
    other, elsewhere = Database(url), ArtifactStore(f"file://{tmp_path / 'elsewhere'}")
    for _ in range(2):
        with other.write() as session:
            assert play_recording(session, elsewhere, recording) == search_id
    with other.read() as session:
        assert _rows(session) == recorded
    (artifact,) = recorded["artifacts"]
    assert elsewhere.get(artifact["key"]) == BUNDLE
    with other.write() as session:
        assert remove_recording(session, recording)
        assert not remove_recording(session, recording)
        assert not any(_rows(session).values())
    other.close()


def test_moves_of_a_recording_are_told_to_who_reads_on(
    database: Database, store: ArtifactStore, search_id: str, tmp_path: Path
) -> None:
    """Its ids are above those of deleted events, and nobody else's move is seen above them before them."""
    recording = tmp_path / "recording.zip"
    with database.read() as session:
        write_recording(session, store, search_id, recording)
        recorded = [(row.job_id, row.data) for row, *_ in watching.moves_since(session, 0, limit=99)]
    with database.write() as session:
        last = watching.last_move(session)
        remove_recording(session, recording)
    seen: list[tuple[str, Any]] = []

    def move_another() -> None:
        with database.write() as session:
            jobs.create_job(session, jobs.SEARCH, "another", {})
        with database.read() as session:
            seen.extend((row.job_id, row.data) for row, *_ in watching.moves_since(session, last, limit=99))

    with database.write() as session:
        play_recording(session, store, recording)
        other = threading.Thread(target=move_another)
        other.start()
        other.join(0.5)
    other.join()
    assert seen[:-1] == recorded


def test_what_is_not_over_is_not_recorded(database: Database, store: ArtifactStore, tmp_path: Path) -> None:
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
    with database.read() as session, pytest.raises(ConflictError, match="queued"):
        write_recording(session, store, job.id, tmp_path / "recording.zip")


def test_a_recording_whose_file_was_changed_brings_nothing(
    database: Database, store: ArtifactStore, search_id: str, tmp_path: Path
) -> None:
    recording, changed = tmp_path / "recording.zip", tmp_path / "changed.zip"
    with database.read() as session:
        write_recording(session, store, search_id, recording)
    with zipfile.ZipFile(recording) as read, zipfile.ZipFile(changed, "w") as written:
        for name in read.namelist():
            written.writestr(name, read.read(name) if name.endswith(".json") else b"another")
    url = f"sqlite:///{tmp_path / 'other.db'}"
    upgrade(url)
    other = Database(url)
    with pytest.raises(NotReadyError, match="not what was recorded"), other.write() as session:
        play_recording(session, store, changed)
    with other.read() as session:
        assert not any(_rows(session).values())
    other.close()

"""What becomes of a job whose driver met an error, and what people are told of it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_service.settings import Settings
from nas_service.storage import events
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.session import Database
from tests.holds import held
from tests.workers.conftest import job_of, submitted
from workers.context import ELSEWHERE, JobContext
from workers.driver import carry_out


@pytest.fixture
def unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder for temporary files in which nothing can be written: the driver's Ray has no place for its sockets."""
    folder = Path("/tmp") / f"n{os.getpid() % 1_000_000}"  # noqa: S108 - short enough for sockets below it, and never made
    folder.symlink_to(tmp_path / "is-gone")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    folder.unlink()


def _carried_out(settings: Settings, opened: Database) -> tuple[int, str]:
    """Carry out one attempt; return the exit status and the job's id."""
    with opened.write() as session:
        job, _ = held(session)
    context = JobContext(settings, job.id, job.attempt)
    try:
        return carry_out(context, job), job.id
    finally:
        context.close()


def test_an_accident_of_files_gives_the_job_back_and_tells_no_path(settings: Settings, opened: Database, unusable: Path) -> None:
    """Until too many attempts in a row have met one; what the job says then holds no path either."""
    submitted(opened)
    quick = settings.model_copy(update={"max_stalls": 2})
    status, job_id = _carried_out(quick, opened)
    assert (status, job_of(opened, job_id).state, job_of(opened, job_id).stalls) == (ELSEWHERE, "queued", 1)
    _carried_out(quick, opened)
    failed = job_of(opened, job_id)
    assert failed.state == "failed"
    assert failed.error == ("lost 2 drivers in a row without progress; the last: FileNotFoundError: No such file or directory")
    with opened.read() as session:
        told = [str(event.data) for event in events.list_events(session, job_id, limit=50)]
    assert not [text for text in told if str(unusable) in text or str(settings.home) in text]


def test_what_is_wrong_with_a_job_fails_it_at_once(settings: Settings, opened: Database) -> None:
    submitted(opened, dataset={"name": "image-folder", "settings": {"path": "gone"}})
    status, job_id = _carried_out(settings, opened)
    assert (status, job_of(opened, job_id).state, job_of(opened, job_id).attempt) == (1, "failed", 1)
    assert "a file or folder that exists under the data root" in str(job_of(opened, job_id).error)


@pytest.mark.slow
@pytest.mark.ray
def test_a_store_that_is_away_from_an_actor_gives_the_job_back(settings: Settings, opened: Database) -> None:
    """Where whole trainings should be kept stands a file: nothing can lie below it until somebody takes it away."""
    small = settings.model_copy(update={"object_store_bytes": 100_000_000})
    store = ArtifactStore(small.artifacts)
    store.put("searches", b"in the way")
    own = {"own": {"recipe": {"epochs": 1, "max_steps_per_epoch": 1}}}
    submitted(opened, strategy={"name": "random", "settings": {"samples": 1}}, evaluation=own)
    status, job_id = _carried_out(small, opened)
    assert (status, job_of(opened, job_id).state, job_of(opened, job_id).stalls) == (ELSEWHERE, "queued", 1)
    store.delete("searches")
    assert _carried_out(small, opened) == (0, job_id)

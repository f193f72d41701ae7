"""Attempts at a registration, on a real database, in this process and in processes of their own."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_service.checking.datasets import open_dataset
from nas_service.lifecycle import JobState
from nas_service.reports import RegistrationProgress
from nas_service.settings import Settings
from nas_service.specs import Component, RegistrationSpec
from nas_service.storage import datasets, events, jobs, litter
from nas_service.storage.artifacts import ArtifactStore, get_artifact
from nas_service.storage.attempts import Hold
from nas_service.storage.keys import registration_folder, sheet_key
from nas_service.storage.models import DatasetRow, Job
from nas_service.storage.session import Database
from tests.holds import held
from tests.nas_service.data.files import write_folder
from tests.processes import driver_pids
from tests.waiting import wait_until
from tests.workers.conftest import carried_out, job_of
from workers.child_processes import ChildProcessLauncher
from workers.context import ELSEWHERE, JobContext
from workers.controller import Controller
from workers.driver import carry_out

PETS: Mapping[str, object] = {"path": "pictures"}
MANY: Mapping[str, object] = {"path": "pictures", "image_size": 32}


def _submitted(opened: Database, settings: Mapping[str, object] = PETS) -> str:
    """Queue the registration of `pets`, and return its id."""
    spec = RegistrationSpec(name="pets", kind="image-folder", settings=dict(settings))
    with opened.write() as session:
        return jobs.create_job(session, jobs.REGISTRATION, "pets", spec.model_dump(mode="json")).id


def _rows(opened: Database) -> list[DatasetRow]:
    with opened.read() as session:
        return datasets.list_datasets(session)


def _images(opened: Database, job_id: str) -> int:
    progress = job_of(opened, job_id).progress
    return RegistrationProgress.model_validate(progress).images if progress else 0


@pytest.fixture
def pictures(settings: Settings) -> Path:
    """Write 24 pictures of three classes under the data root."""
    settings.data.mkdir()
    write_folder(settings.data)
    return settings.data / "pictures"


@pytest.fixture
def many(settings: Settings) -> Path:
    """Write pictures that take some ten seconds to decode."""
    noise = np.random.RandomState(0).randint(0, 256, (1500, 1500, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "png")
    for label in ("cat", "dog"):
        folder = settings.data / "pictures" / label
        folder.mkdir(parents=True)
        for number in range(60):
            (folder / f"{number}.png").write_bytes(buffer.getvalue())
    return settings.data / "pictures"


def test_a_dataset_is_known_with_its_facts_and_a_sheet_when_its_registration_has_succeeded(
    settings: Settings, opened: Database, pictures: Path
) -> None:
    job_id = _submitted(opened)
    assert carried_out(settings) == 0
    (row,) = _rows(opened)
    assert (row.name, row.kind, row.settings, row.registration_id) == ("pets", "image-folder", {"path": "pictures"}, job_id)
    assert row.facts["class_names"] == ["cat", "dog", "eel"]
    assert sum(map(sum, row.facts["by_class"].values())) == 24
    job = job_of(opened, job_id)
    assert (job.state, job.progress["phase"], job.progress["images"], job.progress["total"]) == (
        "succeeded",
        "concluding",
        24,
        24,
    )
    with opened.read() as session:
        stored = get_artifact(session, job_id, datasets.SHEET)
        assert registration_folder(job_id) not in litter.list_litter(session, 99)
    content = ArtifactStore(settings.artifacts).get(stored.key)
    assert content is not None
    assert (stored.key, stored.size_bytes, content[:4]) == (sheet_key(job_id), len(content), b"\x89PNG")


def test_the_digest_that_is_kept_is_that_of_the_images_a_job_would_read(
    settings: Settings, opened: Database, pictures: Path
) -> None:
    _submitted(opened)
    assert carried_out(settings) == 0
    component = Component(name="image-folder", settings={"path": "pictures"})
    with opened.read() as session:
        kept = datasets.registered_digests(session, "any job", component.name, component.settings)
    assert kept == {"pets": open_dataset(component, settings).digest}
    shutil.copytree(pictures / "eel", pictures / "fox")
    assert open_dataset(component, settings).digest not in kept.values()


def test_every_broken_file_is_named_in_the_error_and_nothing_is_kept(
    settings: Settings, opened: Database, pictures: Path
) -> None:
    for name in ("cat/2.png", "eel/7.png"):
        (pictures / name).write_bytes((pictures / name).read_bytes()[:50])
    job_id = _submitted(opened)
    assert carried_out(settings) == 1
    job = job_of(opened, job_id)
    assert job.state == "failed"
    assert str(job.error).startswith(
        "settings.path: '2 of 24 pictures' is not allowed; allowed: pictures that can be read, unlike "
    )
    assert "cat/2.png" in str(job.error)
    assert "eel/7.png" in str(job.error)
    assert str(settings.data) not in str(job.error)
    assert _rows(opened) == []
    with opened.read() as session:
        assert registration_folder(job_id) in litter.list_litter(session, 99)
        last = events.list_events(session, job_id, limit=99)[-1]
    assert last.data == {"state": "failed", "error": job.error}


def test_what_is_gone_since_it_was_submitted_fails_at_once(settings: Settings, opened: Database) -> None:
    job_id = _submitted(opened, {"path": "gone"})
    assert carried_out(settings) == 1
    assert str(job_of(opened, job_id).error).startswith(
        "settings.path: 'gone' is not allowed; allowed: a file or folder that exists"
    )


def test_a_name_that_was_taken_meanwhile_fails_with_a_sentence(settings: Settings, opened: Database, pictures: Path) -> None:
    first, second = _submitted(opened), _submitted(opened)
    assert [carried_out(settings), carried_out(settings)] == [0, 1]
    assert job_of(opened, second).error == "a dataset 'pets' is registered already"
    (row,) = _rows(opened)
    assert row.registration_id == first
    with opened.read() as session:
        assert registration_folder(second) in litter.list_litter(session, 99)


def test_a_name_that_is_free_again_gets_the_facts_of_changed_files(settings: Settings, opened: Database, pictures: Path) -> None:
    first = _submitted(opened)
    carried_out(settings)
    with opened.write() as session:
        datasets.delete_dataset(session, "pets")
        assert registration_folder(first) in litter.list_litter(session, 99)
    (pictures / "eel" / "0.png").unlink()
    _submitted(opened)
    assert carried_out(settings) == 0
    (row,) = _rows(opened)
    assert sum(map(sum, row.facts["by_class"].values())) == 23


@pytest.mark.parametrize(("ask", "state"), [(jobs.request_cancel, "cancelled"), (jobs.request_pause, "paused")])
def test_one_that_is_stopped_amid_decoding_leaves_nothing(
    settings: Settings, opened: Database, many: Path, ask: object, state: str
) -> None:
    job_id = _submitted(opened, MANY)

    def stop() -> None:
        wait_until(lambda: _images(opened, job_id), bool, 60)
        with opened.write() as session:
            ask(session, job_id, jobs.REGISTRATION)  # type: ignore[operator]  # a function, parametrised

    thread = threading.Thread(target=stop)
    thread.start()
    status = carried_out(settings)
    thread.join(60)
    job = job_of(opened, job_id)
    assert (status, job.state) == (0 if state == "cancelled" else ELSEWHERE, state)
    assert 0 < _images(opened, job_id) < 120
    assert _rows(opened) == []
    assert [path for path in (settings.dataset_cache / "images").iterdir() if path.is_dir()] == []
    assert not (settings.home / "artifacts" / registration_folder(job_id)).exists()


def test_one_whose_driver_is_killed_is_carried_out_by_another(settings: Settings, opened: Database, many: Path) -> None:
    job_id, launcher = _submitted(opened, MANY), ChildProcessLauncher(settings)
    controller = Controller(settings, opened, launcher)

    def stepped() -> Job:
        controller.step()
        return job_of(opened, job_id)

    try:
        stepped()
        wait_until(lambda: _images(opened, job_id), bool, 60)
        (pid,) = driver_pids(job_id)
        os.kill(pid, signal.SIGKILL)
        job = wait_until(stepped, lambda job: job.state in {"succeeded", "failed"}, 120)
    finally:
        launcher.close(grace_s=0)
    assert (job.state, job.attempt) == ("succeeded", 2)
    (row,) = _rows(opened)
    assert sum(map(sum, row.facts["by_class"].values())) == 120
    assert [path.suffix for path in (settings.dataset_cache / "images").iterdir() if path.is_dir()] == [""]


def test_a_driver_of_a_registration_never_loads_ray(settings: Settings, opened: Database, pictures: Path) -> None:
    _submitted(opened)
    with opened.write() as session:
        job, _ = held(session)
        jobs.move(session, job.id, JobState.LOST)
        jobs.move(session, job.id, JobState.QUEUED)
        jobs.move(session, job.id, JobState.STARTING)
    script = (
        "import sys\nfrom workers.driver import drive\nfrom nas_service.settings import Settings\n"
        f"status = drive(Settings(), {job.id!r}, {job.attempt})\nprint(status, 'ray' in sys.modules)\n"
    )
    command, environment = [sys.executable, "-c", script], {**os.environ, **settings.environment()}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert output.splitlines()[-1] == "0 False"


def test_an_attempt_that_is_over_registers_nothing(settings: Settings, opened: Database, pictures: Path) -> None:
    job_id = _submitted(opened)
    with opened.write() as session:
        job, hold = held(session)
    context = JobContext(settings, job_id, job.attempt)
    context.hold = Hold(job_id, hold.attempt + 1, hold.lease)
    with pytest.raises(Exception, match="is over"):
        carry_out(context, job)
    context.close()
    assert _rows(opened) == []

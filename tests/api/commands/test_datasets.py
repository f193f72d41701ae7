"""`nas dataset` and `nas registration` against a real service with a controller."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.client import NasClient
from api.commands.embedded import embedded_service
from nas_service.settings import Settings
from tests.api.conftest import run_here, run_json
from tests.nas_service.data.files import pictures, png, write_folder
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Settings]]:
    """Run a service with 24 pictures of three classes, and as many of which some are broken, under its data root."""
    settings = Settings(home=tmp_path_factory.mktemp("served"), poll_s=0.1, litter_s=0.0)
    for folder in ("sound", "broken"):
        (settings.data / folder).mkdir(parents=True)
        write_folder(settings.data / folder)
    (settings.data / "sound" / "pictures" / "cat" / "notes.txt").write_text("not a picture")
    for name in ("cat/3.png", "dog/5.png"):
        (settings.data / "broken" / "pictures" / name).write_bytes(b"no picture")
    with embedded_service(settings) as address:
        yield address, settings


def test_a_registration_is_watched_to_its_end_and_told_in_tables(served: tuple[str, Settings], tmp_path: Path) -> None:
    """Classes with their counts, what was left out, and where the sheet is; then everything goes with the name."""
    address, settings = served
    words = ["dataset", "register", "pets", "image-folder", "--set", "path=sound/pictures"]
    result = run_here(*words, cwd=tmp_path, NAS_URL=address)
    assert result.returncode == 0, result.stderr
    assert "registration succeeded: 24/24 images" in result.stdout
    assert "12x12 pixels, 3 channel(s)" in result.stdout
    for name in ("cat", "dog", "eel", "all 3"):
        assert name in result.stdout
    assert "left out: 1 " in result.stdout
    assert "nas dataset show pets --sheet FILE.png" in result.stdout
    shown = run_here("dataset", "show", "pets", "--sheet", "sheet.png", cwd=tmp_path, NAS_URL=address)
    assert (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG"
    assert "sheet: sheet.png" in shown.stdout
    view = run_json("dataset", "show", "pets", cwd=tmp_path, NAS_URL=address)
    assert isinstance(view, dict)
    assert view["facts"]["class_names"] == ["cat", "dog", "eel"]
    assert "pets" in run_here("dataset", "list", cwd=tmp_path, NAS_URL=address).stdout
    assert run_here(*words, cwd=tmp_path, NAS_URL=address).stderr == "error: a dataset 'pets' is registered already\n"
    sheets = settings.home / "artifacts" / "registrations"
    assert [path.name for path in sheets.iterdir()] == [view["registration_id"]]
    assert run_json("dataset", "delete", "pets", cwd=tmp_path, NAS_URL=address) == {"deleted": "pets"}
    wait_until(lambda: list(sheets.iterdir()), lambda left: not left, 60)


def test_one_that_fails_says_why_with_every_broken_file(served: tuple[str, Settings], tmp_path: Path) -> None:
    words = ["dataset", "register", "lost", "image-folder", "--set", "path=broken/pictures"]
    result = run_here(*words, cwd=tmp_path, NAS_URL=served[0])
    assert result.returncode == 1
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("registration ")]
    for part in ("failed: settings.path: ", "2 of 24 pictures", "cat/3.png", "dog/5.png"):
        assert part in said
    refused = run_here("dataset", "show", "lost", cwd=tmp_path, NAS_URL=served[0])
    assert (refused.returncode, refused.stderr) == (1, "error: there is no registered dataset 'lost'\n")


@pytest.mark.slow
def test_one_that_takes_longer_than_a_client_waits_for_an_answer_succeeds(served: tuple[str, Settings]) -> None:
    """It is a job: no request takes as long as its images do."""
    address, settings = served
    for name in ("cat", "dog"):
        (settings.data / "large" / name).mkdir(parents=True)
        for number in range(8):
            (settings.data / "large" / name / f"{number}.png").write_bytes(png(pictures(1, seed=number, size=1200)[0]))
    with NasClient(address, timeout_s=2.0) as client:
        job = client.wait(client.register_dataset("large", "image-folder", {"path": "large", "image_size": 32}))
        facts = client.dataset("large").facts
    assert job.finished_at is not None
    assert (job.state, (job.finished_at - job.created_at).total_seconds() > 2.0) == ("succeeded", True)
    assert facts is not None
    assert facts.by_class is not None
    assert sum(map(sum, facts.by_class.values())) == 16


def test_without_waiting_the_id_is_told_and_the_registration_watched_later(served: tuple[str, Settings], tmp_path: Path) -> None:
    words = ["dataset", "register", "later", "image-folder", "--no-wait", "--set", "path=sound/pictures"]
    job_id = run_here(*words, cwd=tmp_path, NAS_URL=served[0]).stdout.strip()
    watched = run_json("registration", "watch", job_id, cwd=tmp_path, NAS_URL=served[0])
    assert isinstance(watched, dict)
    assert (watched["id"], watched["state"]) == (job_id, "succeeded")
    assert job_id in run_here("registration", "list", cwd=tmp_path, NAS_URL=served[0]).stdout
    assert "later" in run_here("registration", "show", job_id, cwd=tmp_path, NAS_URL=served[0]).stdout
    assert run_json("registration", "delete", job_id, cwd=tmp_path, NAS_URL=served[0]) == {"deleted": job_id}
    assert run_here("dataset", "show", "later", cwd=tmp_path, NAS_URL=served[0]).returncode == 0


def test_json_of_a_registration_is_the_dataset_alone(served: tuple[str, Settings], tmp_path: Path) -> None:
    words = ["dataset", "register", "plain", "digits", "--json", "--set", "split_seed=3"]
    result = run_here(*words, cwd=tmp_path, NAS_URL=served[0])
    view = json.loads(result.stdout)
    assert (view["name"], view["settings"], view["facts"]["train"]) == ("plain", {"split_seed": 3}, 1078)


def test_one_that_is_interrupted_says_that_it_goes_on(served: tuple[str, Settings], tmp_path: Path) -> None:
    words = ["dataset", "register", "long", "image-folder", "--set", "path=sound/pictures", "--url", served[0]]
    command, pipe = [sys.executable, "-m", "api.cli", *words], subprocess.PIPE
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits that it is ignored
    process = subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True)
    signal.signal(signal.SIGINT, earlier)
    with process:
        assert process.stdout is not None
        process.stdout.readline()  # its first line of progress
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on; `nas registration watch " in said


def test_a_registration_leaves_the_sheet_too(served: tuple[str, Settings], tmp_path: Path) -> None:
    words = ["dataset", "register", "drawn", "image-folder", "--set", "path=sound/pictures", "--sheet", "sheet.png"]
    result = run_here(*words, cwd=tmp_path, NAS_URL=served[0])
    assert result.returncode == 0, result.stderr
    with NasClient(served[0]) as client:
        assert (tmp_path / "sheet.png").read_bytes() == client.dataset_sheet("drawn")
    assert "sheet: sheet.png" in result.stdout
    assert "FILE.png" not in result.stdout


def test_a_registration_that_fails_leaves_the_file_of_the_sheet_as_it_was(served: tuple[str, Settings], tmp_path: Path) -> None:
    (tmp_path / "sheet.png").write_bytes(b"mine")
    words = ["dataset", "register", "undrawn", "image-folder", "--set", "path=broken/pictures", "--sheet", "sheet.png"]
    assert run_here(*words, cwd=tmp_path, NAS_URL=served[0]).returncode == 1
    assert (tmp_path / "sheet.png").read_bytes() == b"mine"


def test_a_sheet_of_a_registration_that_nobody_waits_for_is_refused(served: tuple[str, Settings], tmp_path: Path) -> None:
    words = [
        "dataset",
        "register",
        "unasked",
        "image-folder",
        "--set",
        "path=sound/pictures",
        "--no-wait",
        "--sheet",
        "sheet.png",
    ]
    result = run_here(*words, cwd=tmp_path, NAS_URL=served[0])
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: --sheet: 'sheet.png' is not allowed; allowed: nothing with --no-wait")
    with NasClient(served[0]) as client:
        assert "unasked" not in {job.name for job in client.registrations()}


@pytest.mark.parametrize("there", [False, True])
def test_a_sheet_that_cannot_be_had_leaves_its_file_as_it_was(
    served: tuple[str, Settings], tmp_path: Path, *, there: bool
) -> None:
    file = tmp_path / "sheet.png"
    if there:
        file.write_bytes(b"mine")
    refused = run_here("dataset", "show", "digits", "--sheet", "sheet.png", cwd=tmp_path, NAS_URL=served[0])
    assert (refused.returncode, "contact sheet of the built-in dataset 'digits'" in refused.stderr) == (1, True)
    assert (file.exists(), file.read_bytes() if there else None) == (there, b"mine" if there else None)


@pytest.mark.parametrize("words", [["show", "pets"], ["register", "pets", "image-folder"]])
def test_a_sheet_that_cannot_be_written_is_told_before_the_service_is_asked(words: list[str], tmp_path: Path) -> None:
    result = run_here("dataset", *words, "--sheet", "no/sheet.png", cwd=tmp_path, NAS_URL="http://127.0.0.1:1")
    assert result.returncode == 1
    assert result.stderr == (
        "error: --sheet: 'no/sheet.png' is not allowed; allowed: a file that can be written (No such file or directory)\n"
    )

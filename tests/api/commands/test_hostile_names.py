"""Text that others chose reaches no terminal and no card as it is: whatever would be acted on, or nobody would see."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import console
from api.app import create_app
from nas_service.export.bundle_archive import unpack
from nas_service.job_events import BestNotKept
from nas_service.settings import Settings
from nas_service.storage import candidates, events
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from nas_service.wording import is_text
from tests.api.conftest import run_here
from tests.api.whole_training import Written, write_whole
from tests.blind import blind_bundle
from tests.serving import in_thread
from workers.launcher import log_path

# Another direction, a C1 control, carriage return, ends of lines that Unicode adds, a title of the window, Rich's markup.
HOSTILE = "a\u202eb\x9b2Jc\rd\x85e\u2028f\x1b]0;x\x07g\u2066h\x7fi[red]j\x1b[2Jk\u061cl"
_STYLE = re.compile(r"\r?\x1b\[[?0-9;]*[mlhAK]")  # what Rich itself writes: styles, and lines of a bar anew

Nas = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def written(settings: Settings) -> Written:
    """Write the text wherever a job or a candidate holds text of others."""
    found = write_whole(settings)
    database = Database(settings.database)
    with database.write() as session:
        for job_id in (found.search, found.training):
            job = session.get_one(Job, job_id)
            job.name = job.note = job.error = job.waiting_for = HOSTILE
            job.spec = {**job.spec, "name": HOSTILE}
            job.attempt = 1
            log_path(settings, job_id, 1).write_text(f"{HOSTILE}\n", newline="")
            events.record(session, job_id, BestNotKept(reason=HOSTILE))
        for row in candidates.candidates_of(session, found.training):
            row.worker = row.device = row.error = HOSTILE
    database.close()
    return found


@pytest.fixture
def nas(settings: Settings, written: Written, tmp_path: Path) -> Iterator[Nas]:
    """Return what runs a command in this process."""
    del written
    with in_thread(create_app(settings)) as url:
        yield lambda *words: run_here(*words, cwd=tmp_path, NAS_URL=url)


COMMANDS = [
    ["jobs", "list"],
    *([kind, verb, "latest"] for kind in ("search", "training") for verb in ("show", "events", "logs", "watch")),
    ["search", "list"],
    ["training", "best", "latest"],
    ["training", "curves", "latest"],
    ["candidates", "--training", "latest"],
    ["candidate", "show", "latest"],
    ["compare", "latest"],
    ["compare", "latest", "--csv"],
    ["search", "change", "latest", "--note", HOSTILE],
    ["search", "show", HOSTILE],
    ["search", "list", "--text", HOSTILE],
    ["catalogue", HOSTILE],
    ["candidate", "show", HOSTILE],
    ["search", "submit", "--space", HOSTILE, "--set", f"{HOSTILE}=1"],
]


@pytest.mark.parametrize("on_a_terminal", [False, True], ids=["piped", "terminal"])
def test_no_command_hands_a_terminal_what_it_would_act_on(
    nas: Nas, monkeypatch: pytest.MonkeyPatch, *, on_a_terminal: bool
) -> None:
    for where in (console.console, console.errors):
        monkeypatch.setattr(where, "_force_terminal", on_a_terminal)
    for words in COMMANDS:
        done = nas(*words)
        said = done.stdout + done.stderr
        assert said.strip(), words
        acted_on = [sign for sign in _STYLE.sub("", said) if sign != "\n" and not is_text(sign)]
        assert acted_on == [], (words, said)


def test_json_of_it_is_plain_letters_and_says_the_same(nas: Nas) -> None:
    told_of = nas("search", "show", "latest", "--json").stdout
    assert told_of.isascii()
    assert json.loads(told_of)["name"] == HOSTILE


def test_what_is_exported_has_names_and_lines_that_can_be_read(nas: Nas, tmp_path: Path) -> None:
    for kind in ("tensorboard", "mlflow", "csv"):
        assert nas("export", "latest", str(tmp_path / kind), "--to", kind).returncode == 0
    assert nas("search", "report", "latest", "-o", str(tmp_path / "report.html")).returncode == 0
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(paths) > 10
    for path in paths:
        assert is_text(str(path))
        if path.suffix in {".csv", ".html", ".yaml", ""} and "tfevents" not in path.name:
            lines = path.read_bytes().decode().replace("\r\n", "\n")
            assert [sign for sign in lines if sign not in "\n\t" and not is_text(sign)] == [], path


def test_no_file_of_a_bundle_holds_a_class_name_as_it_is(tmp_path: Path) -> None:
    """README, its YAML head, C and its comments, programs, JSON."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(blind_bundle((HOSTILE, "plain"), (2, 2)).content)
    files = unpack(path)
    texts = {name: content for name, content in files.items() if not name.endswith((".safetensors", ".onnx", ".bin"))}
    assert {"README.md", "model.py", "packed.py", "c/network.c", "c/network.h"} <= set(texts)
    for name, content in texts.items():
        assert is_text(name)
        assert [sign for sign in content.decode() if sign not in "\n\t" and not is_text(sign)] == [], name

"""The guides: every block marked `sh` or `python` is run as it stands, in a copy of the project, beside a service.

What they install goes into a folder of the test's, without the network. Scripts of `examples/` are shown as `py` and run by a
command beside them; the others are run here.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from api.app import create_app
from api.client import NasClient
from docs.tables import README
from nas_service.settings import Settings
from nas_service.storage.schema import upgrade
from tests.serving import in_thread, nas_serve

ROOT = README.parent
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
LEFT_OUT = (".*", "node_modules", "__pycache__", "*.egg-info", "saved")


EACH_TIME = ("first-search", "dashboard")  # guides that run with every change; the others take a quarter of a minute each


def script_of(guide: str) -> str:
    """Return all blocks that are to be run, in order, as one script that ends with the first that fails."""
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    return "".join(text if kind == "sh" else f"python - <<'END_OF_PYTHON'\n{text}END_OF_PYTHON\n" for kind, text in blocks)


def marks_of(path: Path) -> list[pytest.MarkDecorator]:
    """Return what a guide needs: Ray, if it submits a job and does not only ask what that would take; and time, but for two."""
    jobs = re.findall(r"\bnas (?:search|training) (?:submit|run)\b.*|\.wait\(", script_of(path.read_text()))
    submitted = sum("--dry-run" not in job for job in jobs)
    return [pytest.mark.ray] * (submitted > 0) + [pytest.mark.slow] * (path.stem not in EACH_TIME)


def write_program(path: Path, *words: str) -> None:
    """Write a program that calls Python with `words` before its own."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(words)} "$@"\n')
    path.chmod(0o755)


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem, marks=marks_of(path)) for path in GUIDES])
def test_every_command_of_a_guide_works_as_it_stands(path: Path, tmp_path: Path) -> None:
    script = script_of(path.read_text())
    assert script, "a guide without a command shows nothing"
    copy, programs, home, packages = (tmp_path / name for name in ("copy", "programs", "home", "packages"))
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    programs.mkdir()
    write_program(programs / "python")
    write_program(programs / "nas", "-m", "api.cli")
    asks = re.search(r"\bnas (search|training|dataset|demo|export)\b|NasClient", script)
    with nas_serve(home, NAS_POLL_S="0.1") if asks else nullcontext() as served:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("NAS_")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": f"{copy}{os.pathsep}{packages}",
            "PIP_TARGET": str(packages),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # as pip has it: no isolation
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "NAS_HOME": str(home),
            "NAS_DATA_ROOT": str(home / "data"),
        } | ({} if served is None else {"NAS_URL": served.url})
        command = ["bash", "-euo", "pipefail", "-c", script]
        ran = subprocess.run(command, cwd=copy, env=environment, check=False, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"


EXAMPLES = {path.name for path in (ROOT / "examples").glob("*.py")}
SHOWN = {name for path in GUIDES for name in re.findall(r"^python examples/(.*)$", path.read_text(), re.MULTILINE)}
LEFT = {"against_optuna.py", "generated_client.py"}


def _run_example(name: str, folder: Path, **variables: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / name)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **variables}
    ran = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


def test_the_guides_that_run_with_every_change_are_there() -> None:
    assert set(EACH_TIME) <= {path.stem for path in GUIDES}


def test_every_example_is_short_and_run_by_a_guide_or_here() -> None:
    assert SHOWN | LEFT == EXAMPLES
    for name in EXAMPLES:
        assert len((ROOT / "examples" / name).read_text().splitlines()) < 80, name


@pytest.mark.slow
def test_samplers_of_optuna_are_compared_on_the_same_trainings(tmp_path: Path) -> None:
    head, *rows = _run_example("against_optuna.py", tmp_path).splitlines()
    assert head.split() == ["searched", "by", "in", "the", "search", "trained", "anew"]
    told = {row[:16].strip(): [float(figure) for figure in row[16:].split()] for row in rows[:4]}
    assert list(told) == ["abandit-plus", "random", "optuna TPE", "optuna random"]
    assert all(0.1 < figure < 1 for figures in told.values() for figure in figures)  # a tenth is a guess
    assert "not who is better" in rows[4]


def test_a_client_made_from_the_openapi_file_submits_a_search(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, controller=False)
    upgrade(settings.database)
    with in_thread(create_app(settings)) as url:
        submitted, refused = _run_example("generated_client.py", tmp_path, NAS_URL=url).splitlines()
        with NasClient(url) as client:
            (search,) = client.searches()
    assert submitted == f"search {search.id} is queued: tiny on digits"
    assert search.name == "from a generated client"
    assert refused.startswith("422: space.name: did you mean tiny?")

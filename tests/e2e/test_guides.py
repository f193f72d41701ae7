"""The guides: every block marked `sh` or `python` is run as it stands, in a copy of the project, beside a service."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from docs.tables import README
from tests.serving import nas_serve

ROOT = README.parent
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
LEFT_OUT = (".*", "node_modules", "__pycache__", "*.egg-info", "saved")


def script_of(guide: str) -> str:
    """Return all blocks that are to be run, in order, as one script that ends with the first that fails."""
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    return "".join(text if kind == "sh" else f"python - <<'END_OF_PYTHON'\n{text}END_OF_PYTHON\n" for kind, text in blocks)


def marks_of(path: Path) -> list[pytest.MarkDecorator]:
    """Return what a guide needs: Ray, if it submits a job and does not only ask what that would take; time, if several."""
    jobs = re.findall(r"\bnas (?:search|training) (?:submit|run)\b.*", script_of(path.read_text()))
    submitted = sum("--dry-run" not in job for job in jobs)
    return [pytest.mark.ray] * (submitted > 0) + [pytest.mark.slow] * (submitted > 1)


def write_program(path: Path, *words: str) -> None:
    """Write a program that calls Python with `words` before its own."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(words)} "$@"\n')
    path.chmod(0o755)


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem, marks=marks_of(path)) for path in GUIDES])
def test_every_command_of_a_guide_works_as_it_stands(path: Path, tmp_path: Path) -> None:
    script = script_of(path.read_text())
    assert script, "a guide without a command shows nothing"
    copy, programs, home = tmp_path / "copy", tmp_path / "programs", tmp_path / "home"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    programs.mkdir()
    write_program(programs / "python")
    write_program(programs / "nas", "-m", "api.cli")
    asks = re.search(r"\bnas (search|training|dataset|demo|export)\b|NasClient", script)
    with nas_serve(home, NAS_POLL_S="0.1") if asks else nullcontext() as served:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("NAS_")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(copy),
            "NAS_HOME": str(home),
            "NAS_DATA_ROOT": str(home / "data"),
        } | ({} if served is None else {"NAS_URL": served.url})
        command = ["bash", "-euo", "pipefail", "-c", script]
        ran = subprocess.run(command, cwd=copy, env=environment, check=False, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"

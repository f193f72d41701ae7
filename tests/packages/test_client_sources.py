"""The package `nas_client`, as it is written for its wheel, in interpreters of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from packages.client_sources import ALLOWED, ROOT, fronts, write_client
from packages.closure import OURS, closure, stated_names

IMPORT_CPU_S = 0.5  # aimed at for httpx, pydantic and ours together


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the client as a project of its own."""
    folder = tmp_path_factory.mktemp("client")
    write_client(folder)
    return folder


def _told(project: Path, script: str, cwd: Path) -> dict[str, object]:
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd, env=environment)
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_it_is_made_of_no_more_than_the_client_needs() -> None:
    found = closure(ROOT, fronts(), ALLOWED)
    assert "api.client" in found
    assert not [name for name in found if name.startswith(("workers", "migrations", "nas_service.storage", "api.commands"))]


def test_importing_it_loads_nothing_of_the_service_and_takes_less_than_half_a_second(project: Path, tmp_path: Path) -> None:
    script = (
        "import json, sys, time\nbefore = time.process_time()\nimport nas_client\nspent = time.process_time() - before\n"
        "print(json.dumps({'spent': spent, 'tops': sorted({name.partition('.')[0] for name in sys.modules})}))"
    )
    runs = [_told(project, script, tmp_path) for _ in range(3)]
    tops = set(runs[0]["tops"])  # type: ignore[call-overload]  # JSON
    assert not tops & {*OURS, "torch", "ray", "fastapi", "sqlalchemy", "numpy", "scipy", "pandas", "IPython"}
    assert min(float(str(run["spent"])) for run in runs) < IMPORT_CPU_S


def test_it_stands_beside_packages_of_the_users_own(project: Path, tmp_path: Path) -> None:
    for name in OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = True\n")
    script = (
        f"import json, {', '.join(OURS)}\nfrom nas_client import *\nimport nas_client\n"
        "told = {'client': NasClient.__module__.partition('.')[0]}\n"
        f"print(json.dumps({{**told, 'mine': [one.MINE for one in ({', '.join(OURS)},)],"
        " 'names': [name for name in nas_client.__all__ if name not in globals()]}))"
    )
    assert _told(project, script, tmp_path) == {"mine": [True] * len(OURS), "client": "nas_client", "names": []}


def test_its_names_are_those_that_the_fronts_state(project: Path) -> None:
    names = {name for front in fronts() for name in stated_names(ROOT / f"{front.replace('.', '/')}.py")}
    assert stated_names(project / "nas_client" / "__init__.py") == sorted(names)
    assert {"NasClient", "ApiError"} <= names


def test_its_sources_are_ours_but_for_the_imports(project: Path) -> None:
    for name, file in closure(ROOT, fronts(), ALLOWED).items():
        there = project / "nas_client" / file.relative_to(ROOT)
        assert there.read_text().replace("nas_client.", "") == file.read_text(), name

"""Both wheels in environments with nothing else in them, used from other folders; pip installs what they need."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from packages.client_sources import ROOT, project
from packages.wheels import build
from tests.serving import nas_serve

pytestmark = [pytest.mark.slow, pytest.mark.ray]

LITTLE = ("evaluation.max_steps=3", "evaluation.train_fraction=0.2", "evaluation.validation_images=150")
NOTEBOOK = """
import sys
import api, workers
from nas_client import ApiError, NasClient

assert (api.MINE, workers.MINE) == (True, True)
with NasClient(sys.argv[1]) as client:
    little = {"max_steps": 3, "train_fraction": 0.2, "validation_images": 150}
    job = client.wait(client.submit_search({"space": "tiny", "dataset": "digits", "evaluation": little}))
    assert job.state == "succeeded", job
    assert list(client.samples(job.id))
    assert list(client.arms(job.id))
    open("cells.svg", "w").write(client.leader_diagram(job.id))
    try:
        client.submit_search({"space": "teeny"})
    except ApiError as error:
        print(error)
"""
TYPED = """
from nas_client import ApiError, NasClient


def ask(client: NasClient) -> str:
    try:
        return client.wait(client.submit_search({"space": "tiny"})).id
    except ApiError as error:
        return error.problem.title


reveal_type(NasClient("http://127.0.0.1:8000"))
ask(1)
NasClient(2)
"""
WRONG = 2  # arguments


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the wheels by the names of what they install."""
    _, service, client = build(tmp_path_factory.mktemp("dist"))
    return {"service": service, "client": client}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with an empty environment in it, which goes afterwards: with torch and Ray it is 2 GB."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    yield tmp_path
    shutil.rmtree(tmp_path / "env")


def _run(place: Path, *command: str | Path, **variables: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("NAS_", "PYTHONPATH"))}
    elsewhere = place / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    done = subprocess.run(command, cwd=elsewhere, env=clean | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def _install(place: Path, what: str | Path) -> None:
    pip: list[str | Path] = [place / "env" / "bin" / "python", "-m", "pip", "install", "--quiet"]
    _run(place, *pip, "--constraint", ROOT / "constraints.txt", what)


def test_the_service_searches_and_exports_from_another_folder_without_node(wheels: dict[str, Path], place: Path) -> None:
    for word in ("node", "npm"):
        program = place / "env" / "bin" / word
        program.write_text(f"#!/bin/sh\ntouch {place}/asked-for-node\nexit 1\n")
        program.chmod(0o755)
    path = {"PATH": f"{place / 'env' / 'bin'}:{os.environ['PATH']}", "NAS_HOME": str(place / "home")}
    _install(place, wheels["service"])
    nas = place / "env" / "bin" / "nas"
    assert _run(place, nas, "--version", **path).startswith(f"nas-service {project()['version']}\n")
    changes = [word for one in LITTLE for word in ("--set", one)]
    said = _run(place, nas, "search", "run", "--space", "tiny", "--train", "bnn", "--epochs", "1", *changes, **path)
    bundle = said.rpartition("bundle: ")[2].strip()
    assert "wrong" not in _run(place, nas, "evaluate", bundle, **path)
    with nas_serve(place / "home", nas=(str(nas),), PYTHONPATH="") as served:
        assert "<!doctype html>" in httpx.get(served.url).text
        _run(place, nas, "export", "latest", "--to", "csv", "curves", "--url", served.url, **path)
    tables = {f"{name}.csv" for name in ("architectures", "candidates", "curves", "samples")}
    assert {file.name for file in (place / "elsewhere" / "curves").iterdir()} == tables
    assert not (place / "asked-for-node").exists()


def test_the_client_stands_beside_an_api_of_the_users_own(wheels: dict[str, Path], place: Path) -> None:
    _install(place, wheels["client"])
    python = place / "env" / "bin" / "python"
    mine = place / "elsewhere"
    for name in ("api", "workers"):
        (mine / name).mkdir()
        (mine / name / "__init__.py").write_text("MINE = True\n")
    (mine / "mine.py").write_text(NOTEBOOK)
    with nas_serve(place / "home") as served:
        said = _run(place, python, "mine.py", served.url)
    assert "tiny" in said  # what is near to `teeny`
    assert (mine / "cells.svg").read_text().startswith("<svg")
    installed = {line.partition("==")[0].lower() for line in _run(place, python, "-m", "pip", "freeze").splitlines()}
    assert {"httpx", "pydantic", "rich"} <= installed
    assert not {"torch", "ray", "fastapi", "sqlalchemy", "numpy", "scikit-learn"} & installed

    (mine / "typed.py").write_text(TYPED)
    check = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        f"--python-executable={python}",
        f"--cache-dir={place / 'cache'}",
        "typed.py",
    ]
    checked = subprocess.run(check, cwd=mine, capture_output=True, text=True, check=False).stdout
    assert 'Revealed type is "nas_client.api.' in checked
    assert checked.count("error:") == checked.count("Argument ") == WRONG, checked

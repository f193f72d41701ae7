"""The wheels of service and client, and the service's sdist: `python -m packages.wheels [FOLDER]` (`make wheels`).

The sdist is made of a copy with nothing in it but what belongs there, so that nothing an earlier build left behind gets in; the
service's wheel is made of the sdist, so that whoever builds from that gets the same.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from packages.client_sources import ROOT, write_client
from packages.closure import OURS

FOLDERS = (*OURS, "packages")
FILES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "Makefile",
    "README.md",
    "alembic.ini",
    "constraints.txt",
    "pyproject.toml",
)
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", ".made", "*.egg-info", "build", "dist")
_BACKEND = "import sys; from setuptools import build_meta; getattr(build_meta, f'build_{sys.argv[1]}')(sys.argv[2])"


def build_service(out: Path, root: Path = ROOT) -> list[Path]:
    """Write the service's sdist and wheel into `out`, and return them."""
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / "tree"
        tree.mkdir()
        for name in FOLDERS:
            shutil.copytree(root / name, tree / name, ignore=LEFT_OUT)
        for name in FILES:
            shutil.copy2(root / name, tree)
        sdist = _built("sdist", tree, out, root)
        with tarfile.open(sdist) as archive:
            archive.extractall(made, filter="data")
        return [sdist, _built("wheel", Path(made) / sdist.name.removesuffix(".tar.gz"), out, root)]


def build_client(out: Path, root: Path = ROOT) -> Path:
    """Write the client's wheel into `out`, and return it.

    Raises:
        ClosureError: If the client imports what its wheel may not need.
    """
    with tempfile.TemporaryDirectory() as made:
        write_client(Path(made), root)
        return _built("wheel", Path(made), out, root)


def build(out: Path, root: Path = ROOT) -> list[Path]:
    """Write everything into `out`, and return it."""
    out.mkdir(parents=True, exist_ok=True)
    return [*build_service(out, root), build_client(out, root)]


def _built(kind: str, tree: Path, out: Path, root: Path) -> Path:
    """Let setuptools build one file of a tree, in a folder of its own first: its name is for setuptools to say."""
    with tempfile.TemporaryDirectory() as alone:
        environment = {**os.environ, **_times(root)}
        done = subprocess.run(
            [sys.executable, "-c", _BACKEND, kind, alone], cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"setuptools could not build the {kind} of {tree.name}:\n{done.stderr[-2000:]}")
        (file,) = Path(alone).iterdir()
        return Path(shutil.move(file, out / file.name))


def _times(root: Path) -> dict[str, str]:
    """Return the time that files in a wheel have: of the commit, where git tells it, so that equal sources give equal wheels."""
    asked = subprocess.run(["git", "-C", root, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
    return {} if asked.returncode else {"SOURCE_DATE_EPOCH": asked.stdout.strip()}


if __name__ == "__main__":
    for file in build(Path(sys.argv[1] if sys.argv[1:] else "dist")):
        print(f"{file} ({file.stat().st_size / 1000:.0f} kB)")

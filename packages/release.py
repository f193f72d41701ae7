"""A release: wheels, sdist, SBOMs and news in `dist/`, checked: `python -m packages.release VERSION [--tag]` (`make release`).

Nothing is uploaded, and without `--tag` nothing in the repository changes: everything is made in a copy of the last commit. With
it, the version and the heading of the changelog are committed and tagged once all of that went well, and made of the tag anew.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

from packages.client_sources import ROOT, project, write_client
from packages.wheels import build

UNRELEASED = "Unreleased"
TOOLS = Path(sys.executable).parent
_VERSION_LINE = re.compile(r'^version = "[^"]*"$', re.MULTILINE)


class ReleaseError(Exception):
    """Why there is no release, and what to do about it."""


def require_releasable(version: str, root: Path = ROOT) -> bool:
    """Return whether the last commit has the tag of this version already, and is what is released again.

    Raises:
        ReleaseError: If the version is none, is not newer than what was released, nothing was written about it, or files are not
            committed.
    """
    try:
        normal = str(Version(version))
    except InvalidVersion as error:
        raise ReleaseError(f"VERSION={version} is no version; allowed: numbers as 1.2.0, or 1.2.0rc1") from error
    if normal != version:
        raise ReleaseError(f"VERSION={version} is written {normal}")
    if _git(root, "status", "--porcelain"):
        raise ReleaseError("there are changes that are not committed: a release is made of a commit")
    tags = _git(root, "tag", "--list", "v*").split()
    stated = str(project(root)["version"])
    if f"v{version}" in tags:
        if _git(root, "rev-list", "-1", f"v{version}") != _git(root, "rev-parse", "HEAD"):
            raise ReleaseError(f"v{version} is the tag of another commit: take a version that is newer, or check that commit out")
        if stated != version:
            raise ReleaseError(f"the tag says {version}, but pyproject.toml {stated}")
        return True
    released = [Version(tag[1:]) for tag in tags]
    if released and Version(version) <= max(released):
        raise ReleaseError(f"VERSION={version} is not newer than {max(released)}, which was released")
    if Version(version) < Version(stated):
        raise ReleaseError(f"VERSION={version} is older than {stated}, which pyproject.toml says")
    if not section((root / "CHANGELOG.md").read_text(), UNRELEASED):
        raise ReleaseError(f"CHANGELOG.md has nothing under {UNRELEASED!r}")
    return False


def section(changelog: str, title: str) -> str:
    """Return what stands under a heading, `title` alone or before a comma and the day; "" if nothing does."""
    found = re.search(rf"^## {re.escape(title)}(?:,[^\n]*)?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def write_version(root: Path, version: str, day: str) -> None:
    """State a version in pyproject.toml, and put what is unreleased in the changelog under a heading of its own."""
    pyproject, changelog = root / "pyproject.toml", root / "CHANGELOG.md"
    pyproject.write_text(_VERSION_LINE.sub(f'version = "{version}"', pyproject.read_text(), count=1))
    changelog.write_text(changelog.read_text().replace(f"## {UNRELEASED}\n", f"## {UNRELEASED}\n\n## {version}, {day}\n", 1))


def make(version: str, root: Path, out: Path) -> list[Path]:
    """Write wheels, sdist, SBOMs, what is new and the checksums of all of them into `out`, an empty folder, and return them.

    Raises:
        ReleaseError: If a file says another version, or a check of the indexes of packages fails.
    """
    files = build(out, root)
    wrong = [file.name for file in files if f"-{version}" not in file.name]
    if wrong:
        raise ReleaseError(f"{', '.join(wrong)} should say {version}")
    _tool("twine", "check", "--strict", *files)
    files += [_sbom(root, out / f"nas_service-{version}.cdx.json", "s3", "postgres")]
    with tempfile.TemporaryDirectory() as client:
        write_client(Path(client), root)
        files.append(_sbom(root, out / f"nas_client-{version}.cdx.json", project_file=Path(client) / "pyproject.toml"))
    news = out / f"CHANGES-{version}.md"
    news.write_text(section((root / "CHANGELOG.md").read_text(), version) + "\n")
    files.append(news)
    sums = out / "SHA256SUMS"
    sums.write_text("".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files))
    return [*files, sums]


def _sbom(root: Path, file: Path, *extras: str, project_file: Path | None = None) -> Path:
    """Write what a project needs, in the versions that the tests ran with, as CycloneDX; torch as the index has it for Linux."""
    project_file = project_file or root / "pyproject.toml"
    with tempfile.TemporaryDirectory() as made:
        pins = Path(made) / "pins.txt"
        chosen = [word for extra in extras for word in ("--extra", extra)]
        fixed: list[str | Path] = [
            "--constraint",
            root / "constraints.txt",
            "--no-annotate",
            "--no-header",
            "--output-file",
            pins,
        ]
        _tool("uv", "pip", "compile", "--quiet", project_file, "--python-platform", "linux", *chosen, *fixed)
        how: list[str | Path] = ["--output-reproducible", "--of", "JSON", "--output-file", file]
        _tool("cyclonedx-py", "requirements", pins, "--pyproject", project_file, *how)
    return file


def release(version: str, out: Path, *, tag: bool, root: Path = ROOT) -> list[Path]:
    """Make a release in `out`, whose files go first, and return its files; with `tag` it is committed and tagged here, too.

    Raises:
        ReleaseError: If it cannot be; then nothing was committed.
    """
    again = require_releasable(version, root)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    with _commit(root, "HEAD") as tree:
        if not again:
            write_version(tree, version, day)
        files = _made_into(version, tree, out)
    if tag and not again:
        write_version(root, version, day)
        _git(root, "commit", "--quiet", "--message", f"Release {version}", "--", "pyproject.toml", "CHANGELOG.md")
        _git(root, "tag", "--annotate", "--message", f"nas-service {version}", f"v{version}")
        with _commit(root, f"v{version}") as tree:
            files = _made_into(version, tree, out)
    return files


def _made_into(version: str, tree: Path, out: Path) -> list[Path]:
    """Make everything elsewhere first, so that `out` never has half of a release."""
    with tempfile.TemporaryDirectory() as made:
        files = make(version, tree, Path(made))
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        return [Path(shutil.copy2(file, out)) for file in files]


@contextmanager
def _commit(root: Path, name: str) -> Iterator[Path]:
    """Inside the block, have the files of a commit in a folder of their own, and its time as that of what is built."""
    os.environ["SOURCE_DATE_EPOCH"] = _git(root, "log", "-1", "--format=%ct", name)
    packed = subprocess.run(["git", "-C", root, "archive", name], capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as tree:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(tree, filter="data")
        yield Path(tree)


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _tool(name: str, *words: str | Path) -> None:
    done = subprocess.run([TOOLS / name, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{name} failed: {(done.stdout + done.stderr).strip()[-2000:]}")


if __name__ == "__main__":
    wanted, *switches = sys.argv[1:] or [""]
    if switches not in ([], ["--tag"]):
        sys.exit(f"no release: {' '.join(switches)} is not known; allowed: --tag")
    try:
        made = release(wanted, Path("dist"), tag=bool(switches))
    except ReleaseError as error:
        sys.exit(f"no release: {error}")
    print("\n".join(f"{file} ({file.stat().st_size / 1000:.0f} kB)" for file in made))
    print(
        "tagged; to publish: push the tag, upload the wheels and the sdist"
        if switches
        else "nothing was committed or tagged: TAG=1 does"
    )

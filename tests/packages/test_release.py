"""What a release refuses, what it writes, and one in a clone of this repository."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from packages.client_sources import ROOT, project
from packages.release import ReleaseError, require_releasable, section, write_version

NEWS = "# Changelog\n\n## Unreleased\n\n- **A thing**: new.\n\n## 0.1.0, 2026-01-02\n\n- The first.\n"


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=n@localhost", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository whose version 0.1.0 was released, and something since."""
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "nas-service"\nversion = "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0, 2026-01-02\n\n- The first.\n")
    _commit(tmp_path)
    _git(tmp_path, "tag", "v0.1.0")
    (tmp_path / "CHANGELOG.md").write_text(NEWS)
    _commit(tmp_path)
    return tmp_path


def _commit(root: Path) -> None:
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "x")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("", "is no version; allowed: numbers as 1.2.0, or 1.2.0rc1"),
        ("next", "is no version"),
        ("v0.2.0", "is written 0.2.0"),
        ("0.0.9", "not newer than 0.1.0, which was released"),
        ("0.1.0", "the tag of another commit"),
    ],
)
def test_a_version_that_cannot_be_next_is_refused(root: Path, version: str, said: str) -> None:
    with pytest.raises(ReleaseError, match=said):
        require_releasable(version, root)


def test_a_release_is_of_a_commit_with_something_new(root: Path) -> None:
    assert not require_releasable("0.2.0", root)
    (root / "new").touch()
    with pytest.raises(ReleaseError, match="not committed"):
        require_releasable("0.2.0", root)
    (root / "CHANGELOG.md").write_text(NEWS.replace("- **A thing**: new.\n\n", ""))
    _commit(root)
    with pytest.raises(ReleaseError, match="nothing under 'Unreleased'"):
        require_releasable("0.2.0", root)


def test_a_tag_has_to_agree_with_the_version_that_is_stated(root: Path) -> None:
    _git(root, "tag", "v0.2.0")
    with pytest.raises(ReleaseError, match=r"the tag says 0.2.0, but pyproject.toml 0.1.0"):
        require_releasable("0.2.0", root)
    write_version(root, "0.3.0", "2026-02-03")
    _commit(root)
    _git(root, "tag", "v0.3.0")
    assert require_releasable("0.3.0", root)


def test_a_version_is_stated_and_what_is_new_gets_its_heading(root: Path) -> None:
    write_version(root, "0.2.0", "2026-02-03")
    assert project(root)["version"] == "0.2.0"
    text = (root / "CHANGELOG.md").read_text()
    assert text == NEWS.replace("Unreleased\n", "Unreleased\n\n## 0.2.0, 2026-02-03\n")
    assert [section(text, title) for title in ("Unreleased", "0.2.0", "0.1.0", "0.1")] == [
        "",
        "- **A thing**: new.",
        "- The first.",
        "",
    ]


@pytest.mark.slow
def test_one_command_makes_and_tags_a_release(tmp_path: Path) -> None:
    here = tmp_path / "clone"
    _git(ROOT, "clone", "--quiet", str(ROOT), str(here))
    for name in ("user.name", "user.email"):
        _git(here, "config", name, "n@localhost")
    major = int(str(project()["version"]).partition(".")[0]) + 1
    version = f"{major}.0.0"
    command = ["make", "release", f"VERSION={version}", "TAG=1", f"VENV={tmp_path}/venv"]
    subprocess.run(command, cwd=here, check=True)
    names = {f"nas_service-{version}.tar.gz", f"nas_service-{version}-py3-none-any.whl", f"nas_client-{version}-py3-none-any.whl"}
    boms = {f"nas_service-{version}.cdx.json", f"nas_client-{version}.cdx.json"}
    assert {file.name for file in (here / "dist").iterdir()} == {*names, *boms, f"CHANGES-{version}.md", "SHA256SUMS"}
    for line in (here / "dist" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((here / "dist" / name).read_bytes()).hexdigest() == digest
    service, client = (
        json.loads((here / "dist" / f"{name}-{version}.cdx.json").read_text()) for name in ("nas_service", "nas_client")
    )
    assert [bom["metadata"]["component"]["version"] for bom in (service, client)] == [version, version]
    assert {"torch", "ray", "psycopg", "s3fs"} <= {part["name"] for part in service["components"]}
    assert not {"torch", "ray"} & {part["name"] for part in client["components"]}
    assert {"httpx", "pydantic", "rich"} <= {part["name"] for part in client["components"]}
    assert _git(here, "describe", "--exact-match") == f"v{version}"
    assert _git(here, "status", "--porcelain") == ""
    assert project(here)["version"] == version

"""What is in the wheels and what they say of themselves."""

import subprocess
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from packages.client_sources import ROOT, project
from packages.closure import OURS
from packages.wheels import build, build_client

CLIENT_BYTES = 300_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the service's sdist and wheel, and the client's wheel."""
    return build(tmp_path_factory.mktemp("dist"))


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def _needs(wheel: Path, extra: str = "") -> dict[str, str]:
    """Return what a wheel always needs, or what an extra adds to that: specifiers by name."""
    found = [Requirement(line) for line in _metadata(wheel).get_all("Requires-Dist", [])]
    wanted = [one for one in found if (one.marker.evaluate({"extra": extra}) if one.marker else not extra)]
    return {one.name: str(one.specifier) for one in wanted}


def _tracked(*patterns: str) -> set[str]:
    command = ["git", "ls-files", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def test_the_service_has_every_source_and_every_file_that_it_reads_and_nothing_else(built: list[Path]) -> None:
    sources = _tracked(*(f"{package}/**.py" for package in OURS))
    sources = {name for name in sources if not name.startswith("api/dashboard/")}
    others = _tracked("api/dashboard/built", "migrations/*.mako", "nas_service/deploy/c_parts", "api/demo.zip", "*/py.typed")
    assert {"api/dashboard/built/index.html", "nas_service/deploy/c_parts/packed.py"} & others
    assert _names(built[1]) == sources | others


def test_the_service_states_licence_extras_and_no_driver_that_is_an_extra(built: list[Path]) -> None:
    said = _metadata(built[1])
    assert (said["Name"], said["Version"], said["License-Expression"]) == ("nas-service", project()["version"], "Apache-2.0")
    assert said.get_all("Provides-Extra") == ["s3", "postgres", "cluster", "dev"]
    assert not {"psycopg", "s3fs"} & set(_needs(built[1]))
    assert set(_needs(built[1], "s3")) == {"s3fs"}
    assert set(_needs(built[1], "postgres")) == {"psycopg"}
    assert set(_needs(built[1], "cluster")) == {"nas-service", "ray"}
    with zipfile.ZipFile(built[1]) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("licenses/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_the_client_has_one_package_and_needs_three(built: list[Path]) -> None:
    names = _names(built[2])
    assert {name.partition("/")[0] for name in names} == {"nas_client"}
    assert {"nas_client/__init__.py", "nas_client/py.typed", "nas_client/api/client.py"} <= names
    assert built[2].stat().st_size < CLIENT_BYTES
    service = _needs(built[1])
    assert _needs(built[2]) == {name: service[name] for name in ("httpx", "pydantic", "rich")}


def test_the_client_states_the_version_and_licence_of_the_service(built: list[Path]) -> None:
    said = _metadata(built[2])
    assert (said["Name"], said["Version"], said["License-Expression"]) == ("nas-client", project()["version"], "Apache-2.0")
    assert "from nas_client import NasClient" in str(said.get_payload())


def test_equal_sources_give_equal_wheels(built: list[Path], tmp_path: Path) -> None:
    assert build_client(tmp_path).read_bytes() == built[2].read_bytes()

"""The doctor on settings, variables, proxies and packages."""

import os
import sys
from importlib.metadata import Distribution, DistributionFinder, PathDistribution
from pathlib import Path

import pytest

from api.doctor.findings import Check, Level, broken, examine, ok
from api.doctor.installation import read_settings, see_compiler, see_gpus, see_proxies, see_variables, see_versions
from nas_service.settings import Settings
from tests.api.doctor.seen import bad, seen

VARIABLES, PROXIES = Check("variables", see_variables), Check("proxies", see_proxies)
VERSIONS, COMPILER, GPUS = Check("versions", see_versions), Check("compiler", see_compiler), Check("gpu", see_gpus)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment of the tests has."""
    for name in list(os.environ):
        if name.upper().startswith("NAS_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


def test_this_installation_is_well(settings: Settings) -> None:
    found = [finding for check in (VARIABLES, PROXIES, VERSIONS) for finding in seen(check, settings)]
    assert [(finding.check, finding.level) for finding in found] == [
        ("variables", Level.OK),
        ("proxies", Level.OK),
        ("versions", Level.OK),
    ]


def test_settings_that_are_not_allowed_are_named_and_the_others_are_heeded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"NAS_PORT": "99999", "NAS_LEASE_S": "soon", "NAS_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    settings, found = read_settings()
    assert [finding.said.partition(":")[0] for finding in found] == ["NAS_PORT", "NAS_LEASE_S"]
    assert {finding.level for finding in found} == {Level.BROKEN}
    assert (settings.home, settings.port, settings.lease_s) == (tmp_path, 8000, 30.0)


def test_variables_that_are_no_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOEM", "x")
    monkeypatch.setenv("NAS_SOMETHING_ELSE", "x")
    misspelt, other = seen(VARIABLES, settings)
    assert (misspelt.level, misspelt.advice) == (Level.WARNING, "write NAS_HOME, if that is meant")
    assert (other.level, other.said) == (Level.NOTE, "NAS_SOMETHING_ELSE is no setting and changes nothing")


def test_a_proxy_on_the_way(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy.example:3128")
    assert bad(PROXIES, settings) == []  # this machine is asked directly
    elsewhere = settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": "http://ray-head:8265"})
    (found,) = bad(PROXIES, elsewhere)
    assert (found.said, found.level) == (
        "ray-head is asked through a proxy that the environment names (HTTP_PROXY)",
        Level.WARNING,
    )
    assert found.advice.startswith("put ray-head into NO_PROXY")
    monkeypatch.setenv("NO_PROXY", "ray-head")
    assert bad(PROXIES, elsewhere) == []
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy.example")
    (unusable,) = bad(PROXIES, settings.model_copy(update={"url": "http://nas.example"}))
    assert unusable.level is Level.BROKEN


class _Older(DistributionFinder):
    """Puts the metadata of another installation in front of those that are there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, *_: object) -> None:
        """Find no module."""

    def find_distributions(self, context: DistributionFinder.Context = DistributionFinder.Context()) -> list[Distribution]:  # noqa: B008
        """Find one package."""
        return [PathDistribution(self._folder)] if context.name == "httpx" else []


def test_a_package_of_another_version(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "httpx-0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: httpx\nVersion: 0.1\n")
    monkeypatch.setattr(sys, "meta_path", [_Older(folder), *sys.meta_path])
    (found,) = bad(VERSIONS, settings)
    assert found.said == "httpx is 0.1; this version of nas-service was made for <1,>=0.28"


def test_no_compiler_is_a_note(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = seen(COMPILER, settings)
    assert (found.level, found.said) == (Level.NOTE, "there is no C compiler here")


def test_a_torch_that_does_not_load(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = bad(GPUS, settings)
    assert found.said == "torch does not load: ImportError: libcudart.so.12: cannot open shared object file"


def test_a_check_that_hangs_or_fails_hides_no_other(settings: Settings) -> None:
    import threading  # noqa: PLC0415 - of this test alone

    over = threading.Event()
    checks = [
        Check("hangs", lambda _: iter([ok("hangs", "begun")] if over.wait(30) else [])),
        Check("fails", lambda _: [ok("fails", str(1 // int("0")))]),
        Check("works", lambda _: [ok("works", "yes")]),
    ]
    found = examine(checks, settings, limit_s=0.5)
    over.set()
    assert found == [
        broken("hangs", "no answer came within 0.5 s", "see whether it hangs, or what is on the way to it"),
        broken(
            "fails",
            "the look at it failed (ZeroDivisionError: integer division or modulo by zero)",
            "see whether the others tell why; if none does, report it as a fault",
        ),
        ok("works", "yes"),
    ]


def test_a_password_that_is_not_there_is_the_databases_matter(settings: Settings, tmp_path: Path) -> None:
    url, file = "postgresql+psycopg://nas@127.0.0.1/nas", tmp_path / "none"
    lacking = settings.model_copy(update={"database_url": url, "database_password_file": file})
    assert [finding.level for finding in seen(VERSIONS, lacking)] == [Level.OK]

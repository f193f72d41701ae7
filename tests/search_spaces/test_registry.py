"""The one registry class."""

import sys
from itertools import count
from pathlib import Path

import pytest

from search_spaces.errors import BrokenPackageError, DuplicateNameError, InvalidFieldError, UnknownNameError
from search_spaces.registry import Registry
from search_spaces.space import SPACES


def test_a_file_dropped_into_the_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "dropped_in"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("import registry_holder\nregistry_holder.THINGS.register('thing-one')('value')\n")
    (tmp_path / "registry_holder.py").write_text(
        "from search_spaces.registry import Registry\nTHINGS = Registry('thing', 'dropped_in')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import registry_holder  # type: ignore[import-not-found]  # noqa: PLC0415 - written above

    assert registry_holder.THINGS.names() == ("thing-one",)
    assert registry_holder.THINGS.get("thing-one") == "value"
    del sys.modules["registry_holder"]


def test_a_duplicate_name_is_an_error_that_names_both_places() -> None:
    registry: Registry[object] = Registry("thing", "search_spaces.spaces")
    registry.register("same")(test_a_file_dropped_into_the_package_is_found)
    with pytest.raises(DuplicateNameError, match=r"'same' is registered twice: in tests.*and in tests"):
        registry.register("same")(test_a_duplicate_name_is_an_error_that_names_both_places)


def test_an_unknown_name_lists_near_matches_first() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean abandit-general,.*\? one of: .*tiny") as caught:
        SPACES.get("abandit-genral")
    assert caught.value.near[0] == "abandit-general"


def test_an_unknown_name_without_near_matches_lists_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"one of: .*tiny"):
        SPACES.get("zzz")


@pytest.mark.parametrize("name", ["Tiny", "tiny space", "", "tiny-", "a_b"])
def test_names_are_lower_case_words_joined_by_hyphens(name: str) -> None:
    with pytest.raises(InvalidFieldError, match="joined by hyphens"):
        SPACES.register(name)


def _install(folder: Path, name: str, value: str, source: str) -> None:
    """Write what a package manager leaves of a package with one module and one entry point for `search_spaces.spaces`."""
    (folder / f"{value}.py").write_text(source)
    info = folder / f"{value}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {value}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[nas_service.spaces]\n{name} = {value}\n")


_modules = count()


def _installed(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Registry[object]:
    """Return a registry with the spaces of this project, and beside them what an installed package promises as `outside`."""
    module = f"outside_{next(_modules)}"
    _install(folder, "outside", module, source)
    monkeypatch.syspath_prepend(folder)
    registry: Registry[object] = Registry("thing", "search_spaces.spaces")
    monkeypatch.setattr("search_spaces.registry.outside_things", registry, raising=False)
    return registry


FINDS = "from search_spaces import registry\nregister = registry.outside_things.register\n"


def test_what_an_installed_package_promises_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = _installed(tmp_path, monkeypatch, FINDS + "register('outside')('value')\n")
    assert registry.group == "nas_service.spaces"
    assert registry.get("outside") == "value"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        (FINDS + "register('other')('value')\n", "registers no thing of that name"),
        (FINDS + "register('outside')(1)\nregister('outside')(2)\n", "'outside' is registered twice"),
    ],
)
def test_a_package_that_does_not_give_what_it_promises_is_named(
    source: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = _installed(tmp_path, monkeypatch, source)
    with pytest.raises(
        BrokenPackageError, match=r"thing 'outside' of the installed package outside.\d+ cannot be loaded"
    ) as caught:
        registry.names()
    assert why in str(caught.value)

"""The one registry class."""

import sys
from pathlib import Path

import pytest

from search_spaces.errors import DuplicateNameError, InvalidFieldError, UnknownNameError
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

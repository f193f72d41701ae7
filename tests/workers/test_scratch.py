"""Scratch folders: private, short, found again by name, and never anybody else's."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.storage.session import new_id
from workers.scratch import make_scratch, remove_scratch, scratch_folder, scratch_folders, scratch_of


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return the scratch folder of an attempt, made."""
    made = scratch_folder(Settings(home=tmp_path), new_id(), 1)
    make_scratch(made)
    yield made
    remove_scratch(made)


def test_every_attempt_has_a_folder_of_its_own(tmp_path: Path) -> None:
    here, there, job, other = Settings(home=tmp_path / "a"), Settings(home=tmp_path / "b"), new_id(), new_id()
    folders = [scratch_folder(settings, key, attempt) for settings in (here, there) for key in (job, other) for attempt in (1, 2)]
    assert len(set(folders)) == 8
    assert folders[0] == scratch_folder(Settings(home=tmp_path / "x" / ".." / "a"), job, 1)


def test_a_driver_uses_the_folder_that_its_launcher_gave(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, scratch=tmp_path / "given")
    assert scratch_folder(settings, new_id(), 1) == tmp_path / "given"
    assert settings.environment()["NAS_SCRATCH"] == str(tmp_path / "given")


def test_the_path_is_short_enough_for_sockets_wherever_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 30)))
    folder = scratch_folder(Settings(home=tmp_path), new_id(), 99_999)
    assert len(f"{folder}/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store") <= 107


def test_nobody_else_can_enter_it(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    make_scratch(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_in_its_place_is_refused_and_left_alone(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir()
    (target / "file").touch()
    link.symlink_to(target)
    with pytest.raises(NotReadyError, match="link in the folder for temporary files is not this user's folder"):
        make_scratch(link)
    remove_scratch(link)
    assert (target / "file").exists()


def test_folders_of_a_home_are_found_and_those_of_others_are_not(folder: Path, tmp_path: Path) -> None:
    assert scratch_folders(Settings(home=tmp_path)) == [folder]
    assert scratch_folders(Settings(home=tmp_path / "other")) == []
    remove_scratch(folder)
    assert scratch_folders(Settings(home=tmp_path)) == []


def test_where_no_launcher_gave_a_folder_a_driver_clears_its_own_and_those_of_killed_attempts(settings: Settings) -> None:
    """As a Ray Job on a node of a cluster."""
    left = scratch_folder(settings, "job", 1)
    make_scratch(left)
    with scratch_of(settings, "job", 2) as folder:
        assert (folder.is_dir(), left.exists()) == (True, False)
    assert not folder.exists()


def test_a_folder_that_a_launcher_gave_is_the_launchers_to_remove(settings: Settings, tmp_path: Path) -> None:
    given = settings.model_copy(update={"scratch": tmp_path / "given"})
    with scratch_of(given, "job", 1) as folder:
        assert folder == tmp_path / "given"
    assert folder.is_dir()

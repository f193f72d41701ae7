"""The tidier: what nobody needs any more leaves the store."""

from pathlib import Path

import pytest

from nas_service.settings import Settings
from nas_service.storage import litter
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.session import Database
from workers.tidier import AT_ONCE, Tidier

KEYS = ("supernets/a/1.safetensors", "supernets/a/2.safetensors", "candidates/b/checkpoint", "candidates/b/bundle.zip")


@pytest.fixture
def store(settings: Settings) -> ArtifactStore:
    """Return the store with a few files."""
    made = ArtifactStore(settings.artifacts)
    for key in KEYS:
        made.put(key, b"content")
    return made


def _drop(database: Database, *keys: str) -> None:
    with database.write() as session:
        litter.drop(session, keys)


def _left(database: Database) -> list[str]:
    with database.read() as session:
        return litter.list_litter(session, 1000)


def test_what_nobody_needs_any_more_is_deleted(store: ArtifactStore, settings: Settings, opened: Database) -> None:
    _drop(opened, "supernets/a/", "candidates/b/checkpoint", "candidates/never/there")
    Tidier(settings.model_copy(update={"litter_s": 0}), opened).tidy()
    assert store.keys("supernets/") == []
    assert store.keys("candidates/b/") == ["candidates/b/bundle.zip"]
    assert _left(opened) == []


def test_what_has_just_become_litter_waits_for_late_writers(store: ArtifactStore, settings: Settings, opened: Database) -> None:
    """A trial outlives the driver that ended its candidate by seconds, and may be about to write a checkpoint."""
    _drop(opened, "candidates/b/checkpoint")
    Tidier(settings, opened).tidy()
    assert "candidates/b/checkpoint" in store.keys("candidates/b/")
    assert _left(opened) == ["candidates/b/checkpoint"]


def test_keys_that_cannot_be_deleted_keep_no_others_waiting(store: ArtifactStore, settings: Settings, opened: Database) -> None:
    """More of them than are taken at once: a folder lies where their files should, as after another program's doing."""
    stuck = [f"candidates/{number:03}/checkpoint" for number in range(AT_ONCE + 1)]
    for key in stuck:
        (Path(settings.artifacts.removeprefix("file://")) / key / "in-the-way").mkdir(parents=True)
    _drop(opened, *stuck)
    _drop(opened, "candidates/b/checkpoint")
    tidier = Tidier(settings.model_copy(update={"litter_s": 0}), opened)
    tidier.tidy()
    tidier.tidy()
    assert store.keys("candidates/b/") == ["candidates/b/bundle.zip"]
    assert sorted(_left(opened)) == stuck

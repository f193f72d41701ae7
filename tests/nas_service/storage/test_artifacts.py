"""The artifact store: what is put is there whole, and a store that is away is trouble that passes."""

import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import _registry

from nas_service.errors import NasError, NotReadyError, StoreAwayError
from nas_service.settings import Settings
from nas_service.storage.artifacts import SCRATCH, ArtifactStore
from tests.disks import fill, make_read_only, mounted


def test_what_is_put_is_got_listed_and_deleted(tmp_path: Path) -> None:
    for url in (f"file://{tmp_path}/store", "memory://store"):
        store = ArtifactStore(url)
        assert store.get("a/one") is None
        for content in (b"first", b"second"):
            store.put("a/one", content)
            store.put("a/two", content)
        assert (store.get("a/one"), store.exists("a/one"), store.keys("a/")) == (b"second", True, ["a/one", "a/two"])
        store.try_write()
        store.delete("a/one")
        store.delete("a/one")
        assert (store.get("a/one"), store.exists("a/one"), store.keys("a/")) == (None, False, ["a/two"])
        store.delete("a/")
        assert store.keys("a/") == []
        assert store.remove_abandoned() == 0


ODD = ["my home 100%25 #1?", "c::d", "-x", 'it\'s "quoted"', "猫 é", "a;b&c|d", "[x]*{y}", "~", "$HOME", "back\\slash", "s3:"]


@pytest.mark.parametrize("name", ODD)
def test_a_home_with_odd_characters_keeps_its_files_inside(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    store = ArtifactStore(Settings(home=home).artifacts)
    store.put("a/one", b"x")
    assert (home / "artifacts" / "a" / "one").read_bytes() == b"x"
    assert store.local_root == home / "artifacts"
    assert list(tmp_path.iterdir()) == [home]


def _refusals(store: ArtifactStore) -> list[str]:
    found = []
    attempts: list[Callable[[], None]] = [lambda: store.put("a/one", b"new" * 100_000), store.try_write]
    for attempt in attempts:
        with pytest.raises(StoreAwayError) as refused:
            attempt()
        assert isinstance(refused.value, NasError)
        assert isinstance(refused.value, OSError)  # to a driver it is an accident like any other of files
        found.append(str(refused.value))
    return found


def test_a_full_a_read_only_and_a_missing_disk_are_trouble_that_passes_and_say_which(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1_000_000) as disk:
        store = ArtifactStore(f"file://{disk}/store")
        store.put("a/one", b"old")
        junk = fill(disk)
        assert _refusals(store) == ["the artifact store cannot be used now (No space left on device)"] * 2
        assert (store.get("a/one"), store.keys(SCRATCH)) == (b"old", [])
        junk.unlink()
        make_read_only(disk)
        assert _refusals(store) == ["the artifact store cannot be used now (Read-only file system)"] * 2
    (tmp_path / "file").touch()
    assert _refusals(ArtifactStore(f"file://{tmp_path}/file")) == ["the artifact store cannot be used now (Not a directory)"] * 2


@pytest.mark.slow
def test_an_object_store_that_is_away_is_named_by_its_error_and_not_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client tries five times before it raises an error of its own."""
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": "http://127.0.0.1:1", "key": "k", "secret": "s"})
    with pytest.raises(StoreAwayError) as refused:
        ArtifactStore("s3://bucket/prefix").put("a/one", b"x")
    assert str(refused.value) == "the artifact store cannot be used now (EndpointConnectionError)"


def test_where_the_package_of_a_store_is_not_installed_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)  # what was loaded before
    for url, said in (("s3://bucket/x", r"pip install 'nas-service\[s3\]'"), ("gs://bucket/x", "gcsfs")):
        with pytest.raises(NotReadyError, match=said):
            ArtifactStore(url)

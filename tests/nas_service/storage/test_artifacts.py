"""The artifact store: what is put is there whole, and a store that is away is trouble that passes."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import s3fs
from fsspec.registry import _registry

from nas_service.errors import BrokenFileError, NasError, NotReadyError, StoreAwayError
from nas_service.settings import Settings
from nas_service.storage.artifacts import PIECE_BYTES, SCRATCH, ArtifactStore, StoredFile
from tests.disks import fill, make_read_only, mounted
from tests.object_store import ObjectStore

LONG = bytes(range(256)) * ((PIECE_BYTES + 1000) // 256)  # two pieces


def test_what_is_put_is_got_listed_and_deleted(store_url: str, tmp_path: Path) -> None:
    store, others = ArtifactStore(store_url), ArtifactStore(store_url)
    assert (store.get("a/one"), store.files()) == (None, [])
    for content in (b"first", b"second"):
        store.put("a/one", content)
        others.put("a/two", content)
    assert (store.get("a/one"), store.exists("a/one"), store.keys("a/")) == (b"second", True, ["a/one", "a/two"])
    store.try_write()
    store.delete("a/one")
    store.delete("a/one")
    assert (store.get("a/one"), others.exists("a/one"), others.keys("a/")) == (None, False, ["a/two"])
    (tmp_path / "long").write_bytes(LONG)
    others.put_file("b/c/long", tmp_path / "long")
    assert [(file.key, file.size_bytes) for file in store.files()] == [("a/two", 6), ("b/c/long", len(LONG))]
    assert all(abs(file.changed_at - time.time()) < 60 for file in store.files())
    assert [len(piece) for piece in store.pieces("b/c/long")] == [PIECE_BYTES, len(LONG) - PIECE_BYTES]
    assert b"".join(store.pieces("b/c/long", PIECE_BYTES - 2, PIECE_BYTES + 3)) == LONG[PIECE_BYTES - 2 : PIECE_BYTES + 3]
    store.delete("a/")
    assert (store.keys("a/"), store.remove_abandoned()) == ([], 0)


def test_a_file_is_what_its_row_says_or_an_error_that_says_how_it_is_not(store_url: str) -> None:
    store, stored = ArtifactStore(store_url), StoredFile.of("a/one", LONG)
    with pytest.raises(BrokenFileError, match="has lost a/one"):
        store.check(stored)
    store.put("a/one", LONG)
    store.check(stored)
    store.check(stored)  # known already
    assert store.read(stored) == LONG
    for damaged, said in (
        (LONG[:-1] + b"?", "its bytes are not those"),
        (LONG[:-1], f"has {len(LONG) - 1} bytes, and {len(LONG)}"),
    ):
        store.put("a/one", damaged)
        for look in (store.check, store.read):
            with pytest.raises(BrokenFileError, match=said):
                look(stored)
        given: list[bytes] = []
        with pytest.raises(BrokenFileError, match="damaged"):
            given.extend(store.checked_pieces(stored))
    store.delete("a/one")
    with pytest.raises(BrokenFileError, match="has lost a/one"):
        b"".join(store.pieces("a/one"))


def test_a_file_that_is_replaced_while_it_is_read_is_never_a_mixture(store_url: str) -> None:
    store = ArtifactStore(store_url)
    store.put("a/one", LONG)
    reading = store.pieces("a/one")
    begun = next(reading)
    store.put("a/one", b"?" * len(LONG))
    if store.local_root is not None:  # a folder keeps a file for those who have it open
        assert begun + b"".join(reading) == LONG
    else:  # an object store refuses the rest
        with pytest.raises(StoreAwayError, match=r"^the artifact store cannot be used now \("):
            next(reading)


def test_an_upload_in_parts_that_was_cut_off_is_never_seen_and_can_be_ended(s3_url: str, s3_server: ObjectStore) -> None:
    store, files = ArtifactStore(s3_url), s3_server.files()
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    for key in (f"{prefix}/a/one", "elsewhere/two"):
        begun = files.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
        files.call_s3("upload_part", Bucket=bucket, Key=key, PartNumber=1, UploadId=begun["UploadId"], Body=b"x" * 1000)
    assert (store.get("a/one"), store.exists("a/one"), store.files()) == (None, False, [])
    assert store.unfinished_uploads(3600.0) == []
    (upload,) = store.unfinished_uploads(0.0)
    assert (upload.key, upload.size_bytes) == ("a/one", 1000)
    store.abort_upload(upload)
    assert store.unfinished_uploads(0.0) == []
    (left,) = files.call_s3("list_multipart_uploads", Bucket=bucket)["Uploads"]
    assert left["Key"] == "elsewhere/two"


def test_an_upload_in_parts_that_fails_leaves_the_old_file_and_no_parts(
    s3_url: str, s3_server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second part does not arrive."""
    store = ArtifactStore(s3_url)
    store.put("a/one", b"old")
    (tmp_path / "new").write_bytes(b"x" * 11_000_000)
    asked = s3fs.S3FileSystem._call_s3

    async def call(files: s3fs.S3FileSystem, method: str, *given: object, **named: object) -> object:
        if method == "upload_part" and named["PartNumber"] == 2:
            raise OSError(28, "No space left on device")
        return await asked(files, method, *given, **named)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    with pytest.raises(OSError, match="No space left"):
        store._files.put_file(str(tmp_path / "new"), store._path("a/one"), chunksize=5 * 2**20)
    monkeypatch.undo()
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    assert (store.get("a/one"), store.unfinished_uploads(0.0)) == (b"old", [])


def test_a_store_has_the_credentials_of_when_it_was_opened_and_not_those_of_another(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ArtifactStore(s3_url)
    right.put("a/one", b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(StoreAwayError):
        ArtifactStore(s3_url).get("a/one")
    assert right.get("a/one") == b"x"


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

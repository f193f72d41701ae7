"""The doctor on full, read-only and network disks, and on folders that are not there."""

import re
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from api.doctor.findings import Check, Level
from api.doctor.places import file_system_of, see_data, see_home, see_memory, see_store
from nas_service.settings import Settings
from tests.api.doctor.seen import bad, seen
from tests.clusters import free_port
from tests.disks import fill, make_read_only, mounted

HOME, STORE = Check("home", see_home), Check("store", see_store)
DATA, MEMORY = Check("data", see_data), Check("memory", see_memory)


def test_places_that_are_well_are_told_to_be(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "artifacts").mkdir()
    found = [finding for check in (HOME, STORE, DATA, MEMORY) for finding in seen(check, settings)]
    assert {finding.level for finding in found} == {Level.OK}
    assert {finding.check for finding in found} == {"home", "disk", "store", "data", "memory"}


def test_a_home_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new" / "home")
    assert [finding.level for check in (HOME, STORE, DATA) for finding in seen(check, settings)] == [
        Level.NOTE,
        Level.OK,
        Level.NOTE,
        Level.NOTE,
    ]
    assert not (tmp_path / "new").exists()


def test_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 1_000_000) as disk:
        fill(disk)
        found = bad(HOME, Settings(home=disk))
    assert [(finding.check, finding.level) for finding in found] == [("home", Level.BROKEN), ("disk", Level.WARNING)]
    assert found[0].said == f"{tmp_path}/small cannot be written: its disk is full"
    assert "0 MB left, NAS_MIN_FREE_BYTES asks for 200 MB" in found[1].said


def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 1_000_000) as disk:
        (disk / "artifacts").mkdir()
        make_read_only(disk)
        settings = Settings(home=disk, min_free_bytes=0)
        (home,), (store,) = bad(HOME, settings), bad(STORE, settings)
    assert home.said == f"{tmp_path}/small cannot be written: its disk is read-only"
    assert "(Read-only file system)" in store.said


def test_a_home_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (found,) = bad(HOME, Settings(home=tmp_path / "file" / "home"))
    assert found.said.endswith("cannot be written: it is no folder")


class _Mount(NamedTuple):
    mountpoint: str
    fstype: str


def test_a_database_file_on_a_network_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network disk can be mounted here: the system's table of mounts says that there is one."""
    home = str(settings.home)
    table = [_Mount("/", "ext4"), _Mount(home, "tmpfs"), _Mount(home, "nfs4"), _Mount("/other", "cifs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda *, all: table)  # noqa: ARG005, A006 - as it is called
    (found,) = bad(HOME, settings)
    assert (found.check, found.level) == ("disk", Level.WARNING)
    assert "on a network disk (nfs4), where SQLite's locks do not hold" in found.said
    assert bad(HOME, Settings(home=settings.home, database_url="postgresql+psycopg://host/nas")) == []


def test_the_kind_of_a_file_system_is_the_kernels(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 1_000_000) as disk:
        assert file_system_of(disk) == "tmpfs"


def test_a_store_that_is_a_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (found,) = bad(STORE, settings.model_copy(update={"artifact_url": f"file://{tmp_path}/file"}))
    assert found.said == f"the artifact store cannot be used now (Not a directory): {tmp_path}/file"


@pytest.mark.slow  # its client tries again for some seconds
def test_an_object_store_where_nobody_listens(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (found,) = bad(STORE, settings.model_copy(update={"artifact_url": "s3://bucket/prefix"}))
    assert found.level is Level.BROKEN
    assert re.search("EndpointConnectionError|no answer came within 10 s", found.said)


def test_a_store_of_an_unknown_kind(settings: Settings) -> None:
    (found,) = bad(STORE, settings.model_copy(update={"artifact_url": "nowhere://bucket"}))
    assert found.level is Level.BROKEN


def test_a_data_root_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    (found,) = bad(DATA, settings.model_copy(update={"data_root": tmp_path / "gone"}))
    assert (found.level, found.said) == (Level.BROKEN, f"the data root {tmp_path}/gone is not there")
    assert "NAS_DATA_ROOT" in found.advice


def test_a_data_root_that_is_a_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "images.zip").touch()
    (found,) = bad(DATA, settings.model_copy(update={"data_root": tmp_path / "images.zip"}))
    assert found.said == f"the data root {tmp_path}/images.zip cannot be read (Not a directory)"


def test_too_little_shared_memory(settings: Settings) -> None:
    (found,) = bad(MEMORY, settings.model_copy(update={"object_store_bytes": 10**15}))
    assert (found.check, found.level) == ("memory", Level.WARNING)
    assert "NAS_OBJECT_STORE_BYTES" in found.advice


def test_a_store_of_a_kind_that_nobody_knows(settings: Settings) -> None:
    (found,) = bad(STORE, settings.model_copy(update={"artifact_url": "bogus://x"}))
    assert found.said.startswith("NAS_ARTIFACT_URL begins with bogus://")
    assert found.advice == "allowed is file:///FOLDER or s3://BUCKET/FOLDER"


def test_an_object_store_without_credentials_names_them(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(settings.home / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings.home / "none"))
    (found,) = bad(STORE, settings.model_copy(update={"artifact_url": "s3://nas-test/x"}))
    assert found.advice.startswith("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")


def test_a_home_that_others_may_read_is_noted(settings: Settings) -> None:
    settings.home.chmod(0o755)
    (found,) = [finding for finding in seen(HOME, settings) if finding.level is Level.NOTE]
    assert found.advice == f"`chmod 700 {settings.home}`, unless that is meant"
    settings.home.chmod(0o700)
    assert {finding.level for finding in seen(HOME, settings)} == {Level.OK}

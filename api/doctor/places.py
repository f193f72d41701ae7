"""The doctor on disks: the home, its file system and room, the artifact store, the data root, shared memory."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from api.doctor.findings import Finding, broken, note, ok, warning
from nas_service.errors import NotReadyError, StoreAwayError
from nas_service.settings import Settings
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.engines import database_file, parse_url

NETWORK = frozenset({"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}) | {
    f"fuse.{name}" for name in ("ceph", "glusterfs", "s3fs", "sshfs")
}
_PROBE_BYTES = 4096  # a page: a full disk may still take less
_NO_CREDENTIALS = "NoCredentialsError"  # the name that S3's client gives it
_SHARED = Path("/dev/shm")  # noqa: S108 - the system's
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WHY = {
    errno.ENOSPC: ("its disk is full", "make room on it"),
    errno.EDQUOT: ("its user has no room left there", "make room, or raise the quota"),
    errno.EROFS: ("its disk is read-only", "mount it so that it can be written, or set another place"),
    errno.EACCES: ("this user may not write there", "give the folder to the user of the service, or set another place"),
    errno.EPERM: ("this user may not write there", "give the folder to the user of the service, or set another place"),
    errno.ENOTDIR: ("it is no folder", "set another place, or move the file away"),
}


def see_home(settings: Settings) -> Iterator[Finding]:
    """Look whether the home can be written, and has room."""
    home = settings.home.absolute()
    place = nearest(home)
    trouble = _trouble_writing(place)
    if trouble is not None:
        why, advice = trouble
        yield broken("home", f"{home} cannot be written: {why}", f"{advice} (NAS_HOME)")
    elif place == home:
        yield ok("home", f"{home} can be written")
        if home.stat().st_mode & _OTHERS:
            said = f"other users of this machine may read {home}: logs, artifacts and an embedded database"
            yield note("home", said, f"`chmod 700 {home}`, unless that is meant")
    else:
        yield note("home", f"{home} is not there yet; it is made when the service starts")
    yield from _see_room(settings, place)
    yield from _see_network(settings)


def _see_room(settings: Settings, place: Path) -> Iterator[Finding]:
    free, asked = shutil.disk_usage(place).free, settings.min_free_bytes
    if free < asked:
        said = f"the disk of the home has {_megabytes(free)} left, NAS_MIN_FREE_BYTES asks for {_megabytes(asked)}"
        yield warning("disk", said, "make room: logs, caches and artifacts of jobs that may be deleted")
    else:
        yield ok("disk", f"{_megabytes(free)} are free")


def _see_network(settings: Settings) -> Iterator[Finding]:
    try:
        file = database_file(parse_url(settings.database))
    except NotReadyError:
        return  # another check's matter
    kind = None if file is None else file_system_of(nearest(file.absolute()))
    if kind in NETWORK:
        said = f"the database is a file on a network disk ({kind}), where SQLite's locks do not hold"
        yield warning("disk", said, "keep NAS_HOME on a disk of this machine, or use PostgreSQL (NAS_DATABASE_URL)")


def file_system_of(place: Path) -> str | None:
    """Return the kind of file system that a place is on, in the kernel's word."""
    above = [str(folder) for folder in (place, *place.parents)]
    mounts = [mount for mount in psutil.disk_partitions(all=True) if mount.mountpoint in above]
    # Of two on one folder the later one hides the other.
    found = max(enumerate(mounts), key=lambda entry: (len(entry[1].mountpoint), entry[0]), default=None)
    return None if found is None else str(found[1].fstype)


def see_store(settings: Settings) -> Iterator[Finding]:
    """Write to the artifact store, and take it back."""
    try:
        store = ArtifactStore(settings.artifacts)
    except NotReadyError as error:
        said, _, advice = str(error).rpartition(": ")
        yield broken("store", said or str(error), advice)
        return
    root = store.local_root
    kind = settings.artifacts.partition("://")[0] if root is None else str(root)
    if root is not None and not root.exists():
        trouble = _trouble_writing(nearest(root))
        if trouble is None:
            yield note("store", f"{root} is not there yet; it is made when something is kept")
        else:
            yield broken("store", f"{root} cannot be made: {trouble[0]}", f"{trouble[1]} (NAS_ARTIFACT_URL)")
        return
    try:
        store.try_write()
    except StoreAwayError as error:
        advice = "see whether it is there, and may be written by the service (NAS_ARTIFACT_URL, its address and its keys)"
        if _NO_CREDENTIALS in str(error):
            advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as every process of the service needs them"
        yield broken("store", f"{error}: {kind}", advice)
    else:
        yield ok("store", f"{kind} can be written")


def see_data(settings: Settings) -> Iterator[Finding]:
    """Look whether the folder of images can be read."""
    root = settings.data.absolute()
    try:
        with os.scandir(root) as entries:
            count = sum(1 for _ in entries)
    except FileNotFoundError:
        if settings.data_root is None:
            yield note("data", f"there is no {root}: only data sets without files can be used", "put folders of images there")
        else:
            yield broken("data", f"the data root {root} is not there", "make or mount it, or mend NAS_DATA_ROOT")
    except OSError as error:
        yield broken("data", f"the data root {root} cannot be read ({error.strerror})", "let the service read it (NAS_DATA_ROOT)")
    else:
        yield ok("data", f"{root} can be read: {count} entries")


def see_memory(settings: Settings) -> Iterator[Finding]:
    """Look whether a Ray of this machine has the shared memory that it is told to take."""
    if settings.launcher != "child-process" or settings.ray_address != "local" or not _SHARED.is_dir():
        return
    free, asked = shutil.disk_usage(_SHARED).free, settings.object_store_bytes
    if free < asked:
        said = f"{_SHARED} has {_megabytes(free)}, Ray is told to take {_megabytes(asked)}: it goes to disk and is slow"
        yield warning("memory", said, "give the container more (shm_size), or lower NAS_OBJECT_STORE_BYTES")
    else:
        yield ok("memory", f"{_SHARED} has {_megabytes(free)} for Ray's {_megabytes(asked)}")


def nearest(place: Path) -> Path:
    """Return the place, or the nearest one above it that is there."""
    return next((folder for folder in (place, *place.parents) if folder.exists()), Path("/"))


def _trouble_writing(folder: Path) -> tuple[str, str] | None:
    """Return why nothing can be written in a folder and what to do; None: it can."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"x" * _PROBE_BYTES)
    except OSError as error:
        known = _WHY.get(error.errno or 0)
        return known or (str(error.strerror), "mend that, or set another place")
    return None


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"

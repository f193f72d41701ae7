"""The cache of decoded images: one folder for each content, mapped into memory instead of read.

    <folder>/images/<key>/images.npy     pixels (N, C, H, W) uint8; locked, shared, by everybody who has it mapped
    <folder>/images/<key>/counts.npz     what was counted of each image
    <folder>/images/<key>/notes.json     what people should know of them; its time is that of the last use
    <folder>/images/<key>.lock           held by the process that decodes
    <folder>/images/*.part               being written, or being removed
    <folder>/seen/<state>                the digest of files whose names, sizes and times are as in `state`

A machine that has no data gets an entry from one that has it, by its key: it is a source like any other, and what was read of it
has to have the digest of the pixels that were decoded.

A key is the digest of the files' contents and of all that decides their pixels, so that a changed file or setting is another
entry. Entries appear and go by a rename. The least recently used ones that nobody has mapped go when the cache grows above its
limit. Nothing is lost with it: an entry that is not whole is decoded anew.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from nas_service.data.decoded import DecodedImages
from nas_service.data.file_states import Digests, State, digest_of, states_of
from nas_service.data.kept import KeptImages, digest_of_pixels
from nas_service.data.part import Images, map_images
from nas_service.data.source import ImageSource, Tell, tell_nobody
from nas_service.errors import NotReadyError
from search_spaces.errors import InvalidFieldError

_FORMAT = 1  # of entries, and of the way in which pictures are read
_COUNTS = ("sums", "squares", "constant", "digests")
_LOOK_EVERY_S = 0.2
_RESERVE_BYTES = 200_000_000  # of the disk, which an entry leaves free
_TRIES = 3  # to map what others may remove


def _content(source: ImageSource, digest: str) -> str:
    """Return the digest of what the owner gave: files of this digest, and how they are to be read."""
    said = {"images": len(source), "reading": dict(source.reading), "files": digest}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _key(content: str) -> str:
    """Return the name of an entry: another version of the reader may make other pixels of the same content."""
    return hashlib.sha256(json.dumps([_FORMAT, PIL.__version__, content]).encode()).hexdigest()


def decode_in_memory(source: ImageSource, tell: Tell = tell_nobody) -> DecodedImages:
    """Read all images into memory, keeping nothing."""
    pixels = np.empty((len(source), *source.shape()), np.uint8)
    warnings = source.fill(pixels, tell)
    read = digest_of(source.files, partial(tell, 0, len(source)))
    digest = read if source.files else hashlib.sha256(pixels.tobytes()).hexdigest()
    return DecodedImages.counted(pixels, _content(source, digest), warnings)


@dataclass(frozen=True)
class _Wanted:
    """Images that should be in a cache.

    Attributes:
        entry: Where.
        content: Digest of what decides the pixels.
        source: Where they come from if they are not there.
        check: Raises what is wrong with images that were read just now.
    """

    entry: Path
    content: str
    source: ImageSource
    check: Callable[[DecodedImages], None]


class ImageCache:
    """Decoded images on this machine's disk, shared by all its processes."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Prepare it; nothing is written before the first image is decoded.

        Args:
            folder: Of the cache alone.
            limit_bytes: Above which the least recently used entries go; those in use may be larger.
        """
        self._images = folder / "images"
        self._seen = folder / "seen"
        self._limit_bytes = limit_bytes

    def get(self, source: ImageSource, tell: Tell = tell_nobody) -> DecodedImages:
        """Return the images of a source, decoded now or earlier; another process that decodes the same is waited for.

        Raises:
            InvalidFieldError: Naming every image that cannot be read; or if files change while they are read.
            NotReadyError: If the cache cannot be written, or the disk is too full for it.
        """
        if not source.files:
            return decode_in_memory(source, tell)
        self._make_folders()
        states = states_of(source.files)
        content = _content(source, Digests(self._seen).of(source.files, states, partial(tell, 0, len(source))))
        return self._found(
            _Wanted(self._images / _key(content), content, source, lambda _: _check_unchanged(source, states)), tell
        )

    def copied(self, kept: KeptImages, source: ImageSource, tell: Tell = tell_nobody) -> Images:
        """Return images that another machine's cache keeps, mapped from this one, into which they are copied where it lacks them.

        Args:
            kept: What the other machine says of them.
            source: Reads them there.
            tell: As in `get`.

        Raises:
            NotReadyError: As `get`, and if what was read is not what was decoded (nothing is kept then), or what was here before.
        """
        self._make_folders()
        found = self._found(_Wanted(self._images / kept.key, kept.key, source, partial(_check_pixels, kept)), tell)
        if digest_of_pixels(found.digests) != kept.pixels:
            raise NotReadyError(f"cache/images/{kept.key} under NAS_HOME is not what the driver's machine decoded: remove it")
        return found.pixels

    def _make_folders(self) -> None:
        with _own_files():
            for folder in (self._images, self._seen):
                folder.mkdir(parents=True, exist_ok=True)

    def _found(self, wanted: "_Wanted", tell: Tell) -> DecodedImages:
        for _ in range(_TRIES):
            found = _read(wanted.entry, wanted.content) or self._decoded(wanted, tell)
            if found is not None:
                return found
        raise NotReadyError("decoded images go as soon as they are kept: raise NAS_DATASET_CACHE_BYTES")

    def _decoded(self, wanted: "_Wanted", tell: Tell) -> DecodedImages | None:
        """Decode, unless another process did; None if the entry went before it could be mapped."""
        with self._alone(wanted.entry, wanted.source, tell):
            found = _read(wanted.entry, wanted.content)
            if found is None:
                _remove(wanted.entry)
                self._decode(wanted, tell)
                found = _read(wanted.entry, wanted.content)
        return found

    @contextlib.contextmanager
    def _alone(self, entry: Path, source: ImageSource, tell: Tell) -> Iterator[None]:
        """Hold the entry's lock inside the block: the system lets go of it when a process ends, however it ends."""
        while True:
            with _locked(entry.with_suffix(".lock")) as held:
                if held:
                    try:
                        yield
                    finally:
                        entry.with_suffix(".lock").unlink(missing_ok=True)  # who waits for it takes a new one
                    return
            tell(0, len(source))
            time.sleep(_LOOK_EVERY_S)

    def _decode(self, wanted: "_Wanted", tell: Tell) -> None:
        source, part = wanted.source, wanted.entry.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # of a process that was killed: the lock is ours
        shape = (len(source), *source.shape())
        with _own_files():
            self._make_room(int(np.prod(shape)))
            part.mkdir()
        try:
            with _own_files():
                pixels = np.lib.format.open_memmap(part / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
                with (part / "images.npy").open("r+b") as file:  # a disk that fills up later would kill the process
                    os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            decoded = DecodedImages.counted(pixels, "", source.fill(pixels, tell))
            wanted.check(decoded)
            with _own_files():
                pixels.flush()
                np.savez(part / "counts.npz", **{name: getattr(decoded, name) for name in _COUNTS})
                (part / "notes.json").write_text(json.dumps(decoded.warnings))
                _sync(part / "counts.npz", part / "notes.json", part)
                part.rename(wanted.entry)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _make_room(self, size: int) -> None:
        """Remove the least recently used entries that nobody has mapped, until the limit is kept with one more of this size."""
        Digests(self._seen).prune()
        entries = (entry for entry in self._images.iterdir() if not entry.suffix)  # a part may look whole just before its rename
        kept = {entry: used for entry in entries if (used := _last_use(entry)) is not None}
        total = size + sum(length for _, length in kept.values())
        for entry, (_, length) in sorted(kept.items(), key=lambda item: item[1]):
            if total > self._limit_bytes and _remove(entry):
                total -= length
        for part in self._images.glob("*.part"):
            self._forget(part)
        free = shutil.disk_usage(self._images).free
        if free < size + _RESERVE_BYTES:
            there = f"the decoded images take {size / 1e9:.1f} GB under NAS_HOME, where {free / 1e9:.1f} GB are free"
            raise NotReadyError(f"{there}; choose a smaller image_size")

    def _forget(self, part: Path) -> None:
        """Remove what a process left that was killed: nobody holds its lock."""
        lock = part.with_suffix(".lock")
        with _locked(lock) as held:
            if held:
                shutil.rmtree(part, ignore_errors=True)
                lock.unlink(missing_ok=True)


def _check_unchanged(source: ImageSource, states: list[State]) -> None:
    if states_of(source.files) != states:
        raise InvalidFieldError("path", "files that changed while they were read", "files that stay as they are")


def _check_pixels(kept: KeptImages, decoded: DecodedImages) -> None:
    if digest_of_pixels(decoded.digests) != kept.pixels:
        where = f"cache/images/{kept.key} under NAS_HOME on the driver's machine"
        raise NotReadyError(f"the images that arrived are not those that were decoded: remove {where}, which is damaged")


@contextlib.contextmanager
def _own_files() -> Iterator[None]:
    """Say of the cache what the file system refuses inside the block, and of nobody's data."""
    try:
        yield
    except OSError as error:
        raise NotReadyError(f"the cache of decoded images under NAS_HOME cannot be written ({error.strerror})") from error


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[bool]:
    """Say whether a lock was free; it is held inside the block then, unless its file was replaced meanwhile."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield file.exists() and file.stat().st_ino == os.fstat(lock.fileno()).st_ino


def _last_use(entry: Path) -> tuple[float, int] | None:
    """Return when an entry was used last, and its size; None if it is none, or not whole."""
    try:
        return (entry / "notes.json").stat().st_mtime, (entry / "images.npy").stat().st_size
    except OSError:
        return None


def _remove(entry: Path) -> bool:
    """Remove an entry by one rename, unless somebody has it mapped; return whether it is gone."""
    try:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):  # not whole: nobody has it
                images = stack.enter_context((entry / "images.npy").open("rb"))
                fcntl.flock(images, fcntl.LOCK_EX | fcntl.LOCK_NB)
            going = entry.with_name(f"{uuid.uuid4().hex}.part")
            entry.rename(going)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    shutil.rmtree(going, ignore_errors=True)
    return True


def _read(entry: Path, content: str) -> DecodedImages | None:
    """Map an entry; None if there is none, or not a whole one."""
    try:
        pixels = map_images(entry / "images.npy")
        os.utime(entry / "notes.json")
        with np.load(entry / "counts.npz") as counts:
            kept: dict[str, Any] = {name: counts[name] for name in _COUNTS}
        warnings = tuple(json.loads((entry / "notes.json").read_text()))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return DecodedImages(pixels=pixels, content=content, warnings=warnings, **kept)


def _sync(*files: Path) -> None:
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

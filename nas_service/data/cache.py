"""The cache of decoded images: one folder for each content, mapped into memory instead of read.

    <folder>/images/<key>/images.npy     pixels (N, C, H, W) uint8
    <folder>/images/<key>/counts.npz     what was counted of each image
    <folder>/images/<key>/notes.json     what people should know of them
    <folder>/images/<key>.lock           held by the process that decodes
    <folder>/seen/<state>                the digest of files whose names, sizes and times are as in `state`

A key is the digest of the files' contents and of all that decides their pixels, so that a changed file or setting is another
entry. The least recently used entries go when the cache grows above its limit. Nothing is lost with it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from nas_service.data.decoded import DecodedImages, digest_of_digests, digest_of_file
from nas_service.data.part import map_images
from nas_service.data.source import ImageSource, Tell, tell_nobody
from nas_service.errors import NotReadyError

_FORMAT = 1  # of entries, and of the way in which pictures are read
_COUNTS = ("sums", "squares", "constant", "digests")
_SETTLED_S = 2.0  # a file that changed just now may change again without another time
_LOOK_EVERY_S = 0.2
_RESERVE_BYTES = 200_000_000  # of the disk, which an entry leaves free


def content_key(source: ImageSource, digest: str) -> str:
    """Return the digest of all that decides the pixels of a source whose files have this one."""
    said = {"format": _FORMAT, "pillow": PIL.__version__, "images": len(source), "reading": dict(source.reading)}
    return hashlib.sha256(json.dumps([said, digest], sort_keys=True).encode()).hexdigest()


def decode_in_memory(source: ImageSource, tell: Tell = tell_nobody) -> DecodedImages:
    """Read all images into memory, keeping nothing."""
    pixels = np.empty((len(source), *source.shape()), np.uint8)
    warnings = source.fill(pixels, tell)
    files = digest_of_digests(map(digest_of_file, source.files))
    digest = files if source.files else hashlib.sha256(pixels.tobytes()).hexdigest()
    return DecodedImages.counted(pixels, content_key(source, digest), warnings)


class ImageCache:
    """Decoded images on this machine's disk, shared by all its processes."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Prepare it; nothing is written before the first image is decoded.

        Args:
            folder: Of the cache alone.
            limit_bytes: Above which the least recently used entries go; the one in use may be larger.
        """
        self._images = folder / "images"
        self._seen = folder / "seen"
        self._limit_bytes = limit_bytes

    def get(self, source: ImageSource, tell: Tell = tell_nobody) -> DecodedImages:
        """Return the images of a source, decoded now or earlier; another process that decodes the same is waited for.

        Raises:
            InvalidFieldError: Naming every image that cannot be read.
            NotReadyError: If the cache cannot be written, or the disk is too full for it.
        """
        if not source.files:
            return decode_in_memory(source, tell)
        try:
            for folder in (self._images, self._seen):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"the cache of decoded images under NAS_HOME cannot be written ({error.strerror})"
            raise NotReadyError(message) from error
        key = content_key(source, self._digest(source, tell))
        entry = self._images / key
        if not entry.exists():
            with self._alone(key, source, tell):
                if not entry.exists():
                    self._decode(source, entry, tell)
            self._evict(entry)
        return _read(entry)

    def _digest(self, source: ImageSource, tell: Tell) -> str:
        """Return the digest of the files' contents; files that were seen in the same state are not read again."""
        stats = _stats(source.files)
        states = [(str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for file, stat in stats]
        seen = self._seen / hashlib.sha256(json.dumps(states).encode()).hexdigest()
        with contextlib.suppress(FileNotFoundError):
            return seen.read_text()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            whole = digest_of_digests(_told(pool.map(digest_of_file, source.files), partial(tell, 0, len(source))))
        newest = max(max(mtime, ctime) for _, _, mtime, ctime, _ in states)
        if time.time_ns() - newest > _SETTLED_S * 1e9:
            _write(seen, whole)
        return whole

    @contextlib.contextmanager
    def _alone(self, key: str, source: ImageSource, tell: Tell) -> Iterator[None]:
        """Hold the key's lock inside the block: the system lets go of it when a process ends, however it ends."""
        while True:
            with _locked(self._images / f"{key}.lock") as held:
                if held:
                    yield
                    return
            tell(0, len(source))
            time.sleep(_LOOK_EVERY_S)

    def _decode(self, source: ImageSource, entry: Path, tell: Tell) -> None:
        part = entry.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # of a process that was killed: the lock is ours
        shape = (len(source), *source.shape())
        self._make_room(int(np.prod(shape)))
        part.mkdir()
        try:
            pixels = np.lib.format.open_memmap(part / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
            with (part / "images.npy").open("r+b") as file:  # a disk that fills up later would kill the process
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            decoded = DecodedImages.counted(pixels, entry.name, source.fill(pixels, tell))
            pixels.flush()
            np.savez(part / "counts.npz", **{name: getattr(decoded, name) for name in _COUNTS})
            (part / "notes.json").write_text(json.dumps(decoded.warnings))
            part.rename(entry)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _make_room(self, size: int) -> None:
        free = shutil.disk_usage(self._images).free
        if free < size + _RESERVE_BYTES:
            there = f"the decoded images take {size / 1e9:.1f} GB under NAS_HOME, where {free / 1e9:.1f} GB are free"
            raise NotReadyError(f"{there}; choose a smaller image_size")

    def _evict(self, kept: Path) -> None:
        """Remove the least recently used entries until the limit is kept, and locks that nobody needs."""
        entries = sorted((entry for entry in self._images.iterdir() if entry.is_dir() and not entry.suffix), key=_last_use)
        sizes = {entry: (entry / "images.npy").stat().st_size for entry in entries}
        total = sum(sizes.values())
        for entry in entries:
            if total > self._limit_bytes and entry != kept:
                shutil.rmtree(entry, ignore_errors=True)
                total -= sizes[entry]
        for lock in self._images.glob("*.lock"):
            with _locked(lock) as held:
                if held:
                    shutil.rmtree(lock.with_suffix(".part"), ignore_errors=True)
                    lock.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[bool]:
    """Say whether a lock was free; it is held inside the block then, unless its file was replaced meanwhile."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file.exists() and file.stat().st_ino == os.fstat(lock.fileno()).st_ino
        except BlockingIOError:
            yield False


def _stats(files: Sequence[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    return ((file, file.stat()) for file in files)


def _told(digests: Iterable[str], tell: Callable[[], None]) -> Iterator[str]:
    """Yield digests as they come, telling of each: files may be many, and who waits may want to stop."""
    for digest in digests:
        tell()
        yield digest


def _last_use(entry: Path) -> float:
    return (entry / "notes.json").stat().st_mtime


def _read(entry: Path) -> DecodedImages:
    (entry / "notes.json").touch()
    with np.load(entry / "counts.npz") as counts:
        kept: dict[str, Any] = {name: counts[name] for name in _COUNTS}
    return DecodedImages(
        pixels=map_images(entry / "images.npy"),
        content=entry.name,
        warnings=tuple(json.loads((entry / "notes.json").read_text())),
        **kept,
    )


def _write(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(file)

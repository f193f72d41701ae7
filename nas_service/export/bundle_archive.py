"""The zip of a bundle, which a stranger may have made: looked at before anything is unpacked, and unpacked within limits."""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nas_service.errors import ExportError

MAX_FILES = 16
MAX_TENSOR_BYTES = 2**30
MAX_JSON_BYTES = 2 * 2**20
MAX_TEXT_BYTES = 4 * 2**20  # of another file: a source, a model card, a picture
MAX_BYTES = 2**30  # of the zip, and of all that is in it
MAX_RATIO = 200  # of unpacked to packed bytes ...
FREE_BYTES = 16 * 2**20  # ... of a zip that unpacks to more than this
WEIGHTS = "weights.safetensors"
MAX_WEIGHTS_RATIO = 16  # trained weights hardly shrink, and a network of zeros takes a hundred times the memory of its bits ...
FREE_WEIGHTS_BYTES = 4 * 2**20  # ... if it is larger than this
_MAX_DIRECTORY_BYTES = 2**16
_LIMITS = {".safetensors": MAX_TENSOR_BYTES, ".json": MAX_JSON_BYTES}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # a bit of an entry's flags
_SECOND_NAME = 0x7075  # an extra field: a name that some programs unpack an entry under, and others do not see
_END = struct.Struct("<4s4H2LH")  # signature, 2 disks, entries here and in all, bytes of the directory, its place, comment
_END64 = struct.Struct("<4sLQL")  # where a zip64's own end stands: signature, disk, place, disks
_EXTRA = struct.Struct("<2H")  # type and length
# A damaged zip fails in many ways: zlib.error, EOFError, a compression or an encryption that is none.
_BROKEN = (OSError, zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, RuntimeError, struct.error, MemoryError)


def unpack(path: Path) -> dict[str, bytes]:
    """Return the files of a zip by name; nothing is written anywhere.

    Memory is bounded by the limits above: no more of a file is unpacked than the zip's directory announces.

    Raises:
        ExportError: If it is no zip, is damaged, or is more, or something else, than a bundle may be.
    """
    try:
        with path.open("rb") as file:
            packed_bytes = _check_end(file)
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                _check_entries(entries, packed_bytes)
                return {entry.orig_filename: _read(archive, entry) for entry in entries}
    except FileNotFoundError as error:
        raise ExportError(f"{path}: there is no such file") from error
    except _BROKEN as error:
        raise ExportError(f"{path} is not a bundle: {str(error) or type(error).__name__}") from error


def _check_end(file: BinaryIO) -> int:
    """Return a zip's size in bytes, having seen that its directory, which is read as a whole, is small."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _END64.size))
    tail = file.read(_END.size + _END64.size)
    file.seek(0)
    if tail[-_END.size :][:4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        raise ValueError("it does not end as a zip does that has no comment: it is cut off, or something else")
    if tail.startswith(b"PK\6\7"):
        raise ValueError("it is a zip64, which bundles never are")
    *_, entries, directory_bytes, _, _ = _END.unpack(tail[-_END.size :])
    if entries > MAX_FILES or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise ValueError(f"it announces {entries} files in a directory of {directory_bytes} bytes; allowed: {MAX_FILES} files")
    if size > MAX_BYTES:
        raise ValueError(f"it has {_mib(size)}; allowed: up to {_mib(MAX_BYTES)}")
    return size


def _check_entries(entries: Sequence[zipfile.ZipInfo], packed_bytes: int) -> None:
    if len(entries) > MAX_FILES:
        raise ValueError(f"it holds {len(entries)} files; allowed: up to {MAX_FILES}")
    seen: set[str] = set()
    for entry in entries:
        name = entry.orig_filename
        if name in seen:
            raise ValueError(f"it holds {name!r} twice")
        seen.add(name)
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{name!r} is encrypted")
        if entry.compress_type not in _METHODS:
            raise ValueError(f"{name!r} is packed with method {entry.compress_type}; allowed: stored (0) or deflated (8)")
        if _SECOND_NAME in _extra_fields(entry.extra):
            raise ValueError(f"{name!r} has a second name")
        limit = _LIMITS.get(PurePosixPath(name).suffix, MAX_TEXT_BYTES)
        if entry.file_size > limit:
            raise ValueError(f"{name!r} unpacks to {_mib(entry.file_size)}; allowed: up to {_mib(limit)}")
        if name == WEIGHTS:
            _check_ratio(repr(name), entry.file_size, entry.compress_size, MAX_WEIGHTS_RATIO, FREE_WEIGHTS_BYTES)
    total = sum(entry.file_size for entry in entries)
    if total > MAX_BYTES:
        raise ValueError(f"it unpacks to {_mib(total)}; allowed: up to {_mib(MAX_BYTES)}")
    _check_ratio("it", total, packed_bytes, MAX_RATIO, FREE_BYTES)


def _check_ratio(what: str, unpacked: int, packed: int, ratio: int, free: int) -> None:
    if unpacked > max(free, ratio * packed):
        limits = f"{ratio} times as much, or {_mib(free)}"
        raise ValueError(f"{what} unpacks to {_mib(unpacked)} from {_mib(packed)}; allowed: up to {limits}")


def _extra_fields(extra: bytes) -> Iterator[int]:
    """Yield the types of an entry's extra fields."""
    while len(extra) >= _EXTRA.size:
        kind, length = _EXTRA.unpack_from(extra)
        yield kind
        extra = extra[_EXTRA.size + length :]


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        content = file.read(entry.file_size + 1)  # with a length: without one all that was packed is unpacked, whatever it is
    if len(content) != entry.file_size:
        raise ValueError(f"{entry.orig_filename!r} unpacks to {len(content)} bytes and not to {entry.file_size}")
    return content


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"

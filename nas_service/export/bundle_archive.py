"""The zip of a bundle: written such as it is read, and read within limits, since a stranger may have made it."""

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nas_service.data.classes import MAX_CLASSES, MAX_LETTERS
from nas_service.errors import ExportError

MIB = 2**20
MAX_BYTES = 7 * 2**28  # of the zip
C_FORMAT = "nas-c/1"  # of a zip of C alone: its manifest names the weights that it was made from, and has none
MANIFEST, WEIGHTS, TEST_IMAGES = "manifest.json", "weights.safetensors", "test.safetensors"
ONNX, QONNX = "network.onnx", "network-qonnx.onnx"
C_SOURCE, C_HEADER, C_SELFTEST, C_MAKEFILE, LOADER = "c/network.c", "c/network.h", "c/selftest.c", "c/Makefile", "packed.py"
C_FILES = (C_SOURCE, C_HEADER, C_SELFTEST, C_MAKEFILE, LOADER)
CARD, C_CARD = "README.md", "README-c.md"  # of the whole, and of what is downloaded as C
MAX_TEST_BYTES = 256 * MIB  # of the file of test images
FREE_TEST_BYTES = 8 * MIB
MAX_TEXT_BYTES = 4 * MIB
MAX_JSON_BYTES = 2 * MIB  # without what is written of every class
_NAME_BYTES = 12 * MAX_LETTERS + 16  # two escapes a letter, quotes, a comma and the indentation
_LISTS_OF_NAMES = 4  # `class_names`, the `classes` of a dataset's settings, `names` and `missing` of `metrics.test_classes`
_NUMBERS_BYTES = 5 * 24  # of a class, in `metrics.test_classes`
MAX_MANIFEST_BYTES = MAX_JSON_BYTES + MAX_CLASSES * (_LISTS_OF_NAMES * _NAME_BYTES + _NUMBERS_BYTES)


class Limit(NamedTuple):
    """What a file may be.

    Attributes:
        unpacked: Most bytes.
        ratio: Most unpacked bytes for each packed one ...
        free: ... of a file that unpacks to more bytes than this.
    """

    unpacked: int
    ratio: int = 200
    free: int = 4 * MIB


# All files of bundles of either kind. Others are refused: Python looks for what `model.py` imports beside it first, also for a
# file torch.py. Together they are less than MAX_BYTES.
LIMITS = {
    MANIFEST: Limit(MAX_MANIFEST_BYTES),
    "genotype.json": Limit(MAX_JSON_BYTES),
    # Trained weights hardly shrink, and a network of zeros takes a hundred times the memory of its bits.
    WEIGHTS: Limit(528 * MIB, ratio=16),
    # Photographs shrink to three quarters, digits to a half or a fifth, line drawings of 28 to 105 pixels to a 16th to a 42nd.
    TEST_IMAGES: Limit(MAX_TEST_BYTES, ratio=64, free=FREE_TEST_BYTES),
    "model.py": Limit(MAX_TEXT_BYTES),
    CARD: Limit(MAX_TEXT_BYTES),
    C_CARD: Limit(MAX_TEXT_BYTES),
    "diagram.svg": Limit(MAX_TEXT_BYTES),
    "config.json": Limit(MAX_JSON_BYTES + MAX_CLASSES * 2 * _NAME_BYTES),
    "preprocessor_config.json": Limit(MAX_TEXT_BYTES),
    C_SOURCE: Limit(64 * MIB),
    C_HEADER: Limit(MAX_TEXT_BYTES),
    C_SELFTEST: Limit(16 * MIB),
    C_MAKEFILE: Limit(MAX_TEXT_BYTES),
    LOADER: Limit(MAX_TEXT_BYTES),
    ONNX: Limit(64 * MIB),
    QONNX: Limit(528 * MIB),  # weights are float32
}
_MAX_DIRECTORY_BYTES = 2**16
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # a bit of an entry's flags
_SECOND_NAME = 0x7075  # an extra field: a name that some programs unpack an entry under, and others do not see
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # so that equal contents make equal files
_READABLE = 0o100644  # a file that everybody may read
_MOST_FOLDERS = 1  # c/, which zip tools write as an entry of its own
_END = struct.Struct("<4s4H2LH")  # signature, 2 disks, entries here and in all, bytes of the directory, its place, comment
_END64 = struct.Struct("<4sLQL")  # where a zip64's own end stands: signature, disk, place, disks
_EXTRA = struct.Struct("<2H")  # type and length
# A damaged zip fails in many ways: zlib.error, EOFError, a compression or an encryption that is none.
_BROKEN = (OSError, zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, RuntimeError, struct.error, MemoryError)


def listing(content: bytes) -> dict[str, object]:
    """Return what a manifest says of a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the zip of a bundle's files, which `unpack` takes; equal files make equal zips.

    A file that shrinks further than `unpack` believes is stored as it is.

    Raises:
        ExportError: If a file is larger than it may be.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.external_attr = _READABLE << 16
            archive.writestr(entry, content, _method(name, content))
    try:
        _check_end(buffer)
        with zipfile.ZipFile(buffer) as archive:
            _check_entries(archive.infolist())
    except ValueError as error:
        raise ExportError(f"no bundle can be made of this: {error}") from error
    return buffer.getvalue()


def _method(name: str, content: bytes) -> int:
    limit = LIMITS[name]
    if len(content) > limit.free and len(content) > limit.ratio * len(zlib.compress(content, wbits=-zlib.MAX_WBITS)):
        return zipfile.ZIP_STORED
    return zipfile.ZIP_DEFLATED


def unpack(path: Path) -> dict[str, bytes]:
    """Return the files of a zip by name; nothing is written anywhere.

    Memory is bounded by the limits above: no more of a file is unpacked than the zip's directory announces.

    Raises:
        ExportError: If it is no zip, is damaged, or is more, or something else, than a bundle may be.
    """
    with _opened(path) as (archive, entries):
        return {entry.orig_filename: _read(archive, entry) for entry in entries}


def look_at(path: Path) -> None:
    """See that there is a zip of what a bundle may hold, reading nothing of what it holds: what is needed for that takes a while.

    Raises:
        ExportError: If it is no zip, or is more, or something else, than a bundle may be.
    """
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """Open a zip whose entries may be in a bundle; what goes wrong until it is closed is an ExportError."""
    try:
        with path.open("rb") as file:
            _check_end(file)
            with zipfile.ZipFile(file) as archive:
                entries = [entry for entry in archive.infolist() if not _is_folder(entry)]
                _check_entries(entries)
                yield archive, entries
    except FileNotFoundError as error:
        raise ExportError(f"{path}: there is no such file") from error
    except _BROKEN as error:
        raise ExportError(f"{path} is not a bundle: {str(error) or type(error).__name__}") from error


def _check_end(file: BinaryIO) -> None:
    """See that a zip is not too large, nor its directory, which is read as a whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _END64.size))
    tail = file.read(_END.size + _END64.size)
    file.seek(0)
    if tail[-_END.size :][:4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        raise ValueError("it does not end as a zip does that has no comment: it is cut off, or something else")
    if tail.startswith(b"PK\6\7"):
        raise ValueError("it is a zip64, which bundles never are")
    *_, entries, directory_bytes, _, _ = _END.unpack(tail[-_END.size :])
    if entries > len(LIMITS) + _MOST_FOLDERS or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise ValueError(f"it announces {entries} files in a directory of {directory_bytes} bytes; allowed: {len(LIMITS)} files")
    if size > MAX_BYTES:
        raise ValueError(f"it has {_mib(size)}; allowed: up to {_mib(MAX_BYTES)}")


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry is the folder of files that may be in a bundle: zip tools write such."""
    name = entry.orig_filename
    return name.endswith("/") and entry.file_size == 0 and any(known.startswith(name) for known in LIMITS)


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.orig_filename
        if name not in LIMITS:
            raise ValueError(f"it holds {name!r}; allowed: {', '.join(sorted(LIMITS))}")
        if name in seen:
            raise ValueError(f"it holds {name!r} twice")
        seen.add(name)
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{name!r} is encrypted")
        if entry.compress_type not in _METHODS:
            raise ValueError(f"{name!r} is packed with method {entry.compress_type}; allowed: stored (0) or deflated (8)")
        if _SECOND_NAME in _extra_fields(entry.extra):
            raise ValueError(f"{name!r} has a second name")
        _check_size(name, entry)


def _check_size(name: str, entry: zipfile.ZipInfo) -> None:
    limit, unpacked, packed = LIMITS[name], entry.file_size, entry.compress_size
    if unpacked > limit.unpacked:
        raise ValueError(f"{name!r} unpacks to {_mib(unpacked)}; allowed: up to {_mib(limit.unpacked)}")
    if unpacked > max(limit.free, limit.ratio * packed):
        allowed = f"up to {limit.ratio} times as much, or {_mib(limit.free)}"
        raise ValueError(f"{name!r} unpacks to {_mib(unpacked)} from {_mib(packed)}; allowed: {allowed}")


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
    return f"{size / MIB:,.1f} MiB"

"""Zips of strangers: looked at before they are unpacked, and unpacked within limits."""

import io
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_service.errors import ExportError
from nas_service.export.bundle_archive import FREE_TEST_BYTES, LIMITS, MAX_BYTES, MAX_MANIFEST_BYTES, MIB, pack, unpack

# Where things stand in an entry of a zip's directory.
FLAGS, METHOD, CRC, PACKED, UNPACKED = 8, 10, 16, 20, 24


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _lying(content: bytes, place: int, form: str, value: int) -> bytes:
    """Return a zip whose directory says something else of its first entry."""
    start = content.index(b"PK\1\2") + place
    return content[:start] + struct.pack(form, value) + content[start + struct.calcsize(form) :]


def _twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.py", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("model.py", "2")
    return buffer.getvalue()


def _renamed() -> bytes:
    """Return a zip whose entry Info-ZIP's unzip unpacks under another name than its directory's."""
    entry = zipfile.ZipInfo("diagram.svg")
    name = b"\1" + struct.pack("<L", zipfile.crc32(b"diagram.svg")) + b"torch.py"  # type: ignore[attr-defined]  # from zlib
    entry.extra = struct.pack("<2H", 0x7075, len(name)) + name
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, "x")
    return buffer.getvalue()


def _commented() -> bytes:
    buffer = io.BytesIO(_zip({"model.py": b"1"}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"hello"
    return buffer.getvalue()


def _zip64() -> bytes:
    """Return a zip with a place for a second directory, which Python would read instead of the first."""
    content = _zip({"model.py": b"1"})
    return content[:-22] + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1) + content[-22:]


ONE = _zip({"model.py": b"1" * 100})
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"no zip", "it does not end as a zip does"),
    "empty": (lambda: b"", "it does not end as a zip does"),
    "cut off": (lambda: ONE[:-1], "it does not end as a zip does"),
    "a comment": (_commented, "it does not end as a zip does"),
    "zip64": (_zip64, "it is a zip64"),
    "many files": (lambda: _zip({str(index): b"" for index in range(30)}), "it announces 30 files"),
    "many files, not announced": (
        lambda: (
            _zip({str(index): b"" for index in range(20)})[:-14]
            + struct.pack("<2H", 1, 1)
            + _zip({str(i): b"" for i in range(20)})[-10:]
        ),
        "it holds '0'; allowed: README-c.md, README.md, c/Makefile, c/network.c, ",
    ),
    "a file that bundles lack, damaged as well": (
        lambda: _lying(_zip({"torch.py": b"1"}), CRC, "<L", 0),
        "it holds 'torch.py'; allowed: README-c.md, README.md",
    ),
    "a large directory": (lambda: ONE[:-10] + struct.pack("<L", 2**31) + ONE[-6:], "in a directory of 2147483648 bytes"),
    "the same name twice": (_twice, "it holds 'model.py' twice"),
    "another name for unzip": (_renamed, "'diagram.svg' has a second name"),
    "encrypted": (lambda: _lying(ONE, FLAGS, "<H", 1), "'model.py' is encrypted"),
    "strongly encrypted": (lambda: _lying(ONE, FLAGS, "<H", 0x41), "'model.py' is encrypted"),
    "bzip2": (
        lambda: _zip({"model.py": b"1" * 100}, zipfile.ZIP_BZIP2),
        "'model.py' is packed with method 12; allowed: stored (0) or deflated",
    ),
    "lzma": (lambda: _zip({"model.py": b"1" * 100}, zipfile.ZIP_LZMA), "'model.py' is packed with method 14"),
    "unknown method": (lambda: _lying(ONE, METHOD, "<H", 77), "'model.py' is packed with method 77"),
    "a large text": (lambda: _zip({"model.py": bytes(5 * MIB)}), "'model.py' unpacks to 5.0 MiB; allowed: up to 4.0 MiB"),
    "a large manifest": (
        lambda: _lying(_zip({"manifest.json": b""}), UNPACKED, "<L", MAX_MANIFEST_BYTES + 1),
        "'manifest.json' unpacks to 95.3 MiB; allowed: up to 95.3",
    ),
    "a large genotype": (
        lambda: _zip({"genotype.json": bytes(3 * MIB)}),
        "'genotype.json' unpacks to 3.0 MiB; allowed: up to 2.0",
    ),
    "large tensors": (
        lambda: _lying(_zip({"weights.safetensors": b""}), UNPACKED, "<L", 3 * 2**30),
        "unpacks to 3,072.0 MiB; allowed: up to 528.0 MiB",
    ),
    "many test images": (
        lambda: _lying(_zip({"test.safetensors": b""}), UNPACKED, "<L", 257 * MIB),
        "unpacks to 257.0 MiB; allowed: up to 256.0 MiB",
    ),
    "test images of zeros": (
        lambda: _zip({"README.md": os.urandom(3 * MIB), "test.safetensors": bytes(9 * MIB)}),
        "'test.safetensors' unpacks to 9.0 MiB from 0.0 MiB; allowed: up to 64 times as much, or 8.0 MiB",
    ),
    "a manifest of spaces": (
        lambda: _zip({"manifest.json": b" " * 5 * MIB}),
        "'manifest.json' unpacks to 5.0 MiB from 0.0 MiB; allowed: up to 200 times as much, or 4.0 MiB",
    ),
    "weights of zeros": (
        lambda: _zip({"weights.safetensors": bytes(5 * MIB)}),
        "'weights.safetensors' unpacks to 5.0 MiB from 0.0 MiB; allowed: up to 16 times as much, or 4.0 MiB",
    ),
    "fewer bytes than announced": (lambda: _lying(ONE, UNPACKED, "<L", 1000), "'model.py' unpacks to 100 bytes and not to 1000"),
    "more bytes than announced": (lambda: _lying(ONE, UNPACKED, "<L", 10), "Bad CRC-32 for file 'model.py'"),
    "other bytes": (lambda: _lying(ONE, CRC, "<L", 0), "Bad CRC-32 for file 'model.py'"),
    "packed bytes beyond the end": (lambda: _lying(_lying(ONE, PACKED, "<L", 2**20), UNPACKED, "<L", 2**20), "is not a bundle: "),
    "control characters in a name": (
        lambda: _zip({"a\x1b[31m\n": bytes(5 * MIB)}),
        r"it holds 'a\x1b[31m\n'; allowed: README-c.md, README.md",
    ),
    "a name of many letters": (lambda: _zip({"a" * 60_000: bytes(5 * MIB)}), "is not a bundle: it holds 'aaaa"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_zip_is_refused_in_one_short_line(case: str, tmp_path: Path) -> None:
    make, reason = HOSTILE[case]
    (tmp_path / "x.zip").write_bytes(make())
    with pytest.raises(ExportError) as caught:
        unpack(tmp_path / "x.zip")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/x.zip is not a bundle: ")
    assert reason in message
    assert message.isprintable()
    assert len(message) <= 500


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no such file"):
        unpack(tmp_path / "gone.zip")
    with pytest.raises(ExportError, match=r"is not a bundle: .*directory"):
        unpack(tmp_path)


def test_a_sound_zip_is_unpacked_stored_or_deflated(tmp_path: Path) -> None:
    files = {"model.py": b"1" * 100, "test.safetensors": bytes(range(256)) * 4096, "README.md": b""}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        (tmp_path / "x.zip").write_bytes(_zip(files, method))
        assert unpack(tmp_path / "x.zip") == files


def test_memory_stays_small_whatever_the_directory_says(tmp_path: Path) -> None:
    """In a process that may have 64 MiB more than it starts with: 256 MiB that announce 1,000 bytes, and 200 MiB, announced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("test.safetensors", "w") as file:
        for _ in range(256):
            file.write(bytes(MIB))
    (tmp_path / "less.zip").write_bytes(_lying(buffer.getvalue(), UNPACKED, "<L", 1000))
    (tmp_path / "more.zip").write_bytes(_lying(buffer.getvalue(), UNPACKED, "<L", 200 * MIB))
    script = f"""
import resource, sys
from pathlib import Path
from nas_service.export.bundle_archive import unpack
from nas_service.errors import ExportError
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 64 * {MIB},) * 2)
for name in ("less", "more"):
    try:
        unpack(Path(f"{{name}}.zip"))
    except ExportError as error:
        print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path)
    less, more = ran.stdout.splitlines()
    assert less == "less.zip is not a bundle: Bad CRC-32 for file 'test.safetensors'"
    assert more.startswith("more.zip is not a bundle: 'test.safetensors' unpacks to 200.0 MiB from 0.2 MiB")


def test_what_shrinks_further_than_is_believed_is_stored_and_read_back(tmp_path: Path) -> None:
    """Every file at its own limit or at 20 MiB: of one byte, which shrinks to a thousandth; and a bit less than is free."""
    for name, limit in LIMITS.items():
        large, small = min(limit.unpacked, 20 * MIB), min(limit.unpacked, limit.free)
        for size, method in ((large, zipfile.ZIP_STORED), (small, zipfile.ZIP_DEFLATED)):
            (tmp_path / "x.zip").write_bytes(pack({name: b"1" * size}))
            assert unpack(tmp_path / "x.zip") == {name: b"1" * size}
            with zipfile.ZipFile(tmp_path / "x.zip") as archive:
                assert archive.infolist()[0].compress_type == (zipfile.ZIP_DEFLATED if large == small else method)


@pytest.mark.parametrize("name", ["model.py", "README.md", "genotype.json", "diagram.svg"])
def test_what_would_not_be_read_back_is_not_written(name: str) -> None:
    with pytest.raises(ExportError, match=rf"^no bundle can be made of this: '{name}' unpacks to 5\.0 MiB; allowed: up to"):
        pack({name: bytes(5 * MIB)})


def test_all_files_together_fit_into_the_largest_zip() -> None:
    assert sum(limit.unpacked for limit in LIMITS.values()) < MAX_BYTES - MIB


def test_default_test_images_of_earlier_versions_are_read_however_they_shrank() -> None:
    """Up to 4 MB of them were written, deflated always, with labels of 8 bytes each."""
    assert FREE_TEST_BYTES > 4_000_000 + 8 * 4_000_000 / 16


def test_what_a_zip_tool_made_of_the_unpacked_files_is_read(tmp_path: Path) -> None:
    """Such a zip has an entry for the folder; and what is unpacked can be read by everybody."""
    content = pack({"manifest.json": b"{}", "c/network.c": b"int x;"})
    path = tmp_path / "again.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as packed, zipfile.ZipFile(path, "w") as again:
        assert {entry.external_attr >> 16 for entry in packed.infolist()} == {0o100644}
        again.writestr(zipfile.ZipInfo("c/"), b"")
        for name in packed.namelist():
            again.writestr(name, packed.read(name))
    assert unpack(path) == {"manifest.json": b"{}", "c/network.c": b"int x;"}

"""Small and read-only disks, mounted for the length of a block."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a disk of that size on a new folder; the test is skipped where that is not permitted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a disk needs root")
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a disk is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - the system's


def fill(folder: Path) -> Path:
    """Take all that is left of a disk, and return the file that holds it."""
    junk = folder / "junk"
    with junk.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return junk


def make_read_only(folder: Path) -> None:
    """Let nobody write on a mounted disk any more."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)  # noqa: S607 - the system's

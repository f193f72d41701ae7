"""Files that are there whole or not at all: many writers of one file, and writers that are killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nas_service.storage.whole_files import GIVEN_UP_S, remove_abandoned, write_whole
from tests.disks import fill, mounted
from tests.waiting import wait_until

WRITER = """
import sys
from pathlib import Path
from nas_service.storage.whole_files import write_whole
folder, name, size, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for round in range(count):
    write_whole(folder / "below" / "one", f"{name}{round % 10}".encode() * size, folder / ".writing")
"""


def _writer(folder: Path, name: str, size: int, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), name, str(size), str(count)])


def _is_whole(content: bytes, size: int) -> bool:
    return len(content) == 2 * size and content == content[:2] * size


def test_writers_in_threads_and_processes_never_meet(tmp_path: Path) -> None:
    """With one temporary name a key, 300 writes met 25 FileNotFoundErrors."""
    failures: list[BaseException] = []
    seen: set[bytes] = set()

    def write(name: str) -> None:
        try:
            for count in range(40):
                write_whole(tmp_path / "below" / "one", f"{name}{count % 10}".encode() * 5000, tmp_path / ".writing")
                seen.add((tmp_path / "below" / "one").read_bytes())
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    processes = [_writer(tmp_path, name, 5000, 100) for name in "AB"]
    threads = [threading.Thread(target=write, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0]
    assert failures == []
    assert all(_is_whole(content, 5000) for content in seen)
    assert list((tmp_path / ".writing").iterdir()) == []


def test_a_writer_that_is_killed_leaves_the_old_file_and_what_can_be_told_and_removed(tmp_path: Path) -> None:
    size, scratch = 20_000_000, tmp_path / ".writing"
    write_whole(tmp_path / "below" / "one", b"aa" * size, scratch)
    process = _writer(tmp_path, "x", size, 1000)
    wait_until(lambda: list(scratch.iterdir()), bool)
    process.send_signal(signal.SIGSTOP)
    left = list(scratch.iterdir())
    assert remove_abandoned(scratch) == 0  # it lives
    process.kill()
    process.wait()
    assert _is_whole((tmp_path / "below" / "one").read_bytes(), size)
    assert remove_abandoned(scratch) == len(left)
    assert list(scratch.iterdir()) == []


def test_what_another_host_writes_is_left_alone_for_a_day(tmp_path: Path) -> None:
    host = socket.gethostname()
    names = [f"elsewhere-{os.getpid()}-a", "elsewhere-1-b", "no-name-of-ours", f"{host}-{2**22}-c", f"{host}-{os.getpid()}-d"]
    for name in names:
        (tmp_path / name).touch()
    yesterday = time.time() - GIVEN_UP_S - 60
    os.utime(tmp_path / "elsewhere-1-b", (yesterday, yesterday))
    assert remove_abandoned(tmp_path) == 2
    assert {file.name for file in tmp_path.iterdir()} == {names[0], names[2], names[4]}


def test_a_process_that_got_the_number_of_a_writer_keeps_its_file_for_a_day(tmp_path: Path) -> None:
    for name, age_s in (("new", 0.0), ("old", GIVEN_UP_S + 60)):
        file = tmp_path / f"{socket.gethostname()}-{os.getpid()}-{name}"
        file.touch()
        os.utime(file, (time.time() - age_s, time.time() - age_s))
    assert remove_abandoned(tmp_path) == 1
    assert [file.name.rpartition("-")[2] for file in tmp_path.iterdir()] == ["new"]


def test_nothing_is_removed_where_nothing_was_written(tmp_path: Path) -> None:
    assert remove_abandoned(tmp_path / ".writing") == 0


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1_000_000) as disk:
        write_whole(disk / "one", b"old", disk / ".writing")
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            write_whole(disk / "one", b"new" * 100_000, disk / ".writing")
        assert (disk / "one").read_bytes() == b"old"
        assert list((disk / ".writing").iterdir()) == []


def test_a_folder_where_the_file_should_be_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one" / "below").mkdir(parents=True)
    with contextlib.suppress(OSError):
        write_whole(tmp_path / "one", b"new", tmp_path / ".writing")
        pytest.fail("a folder was replaced")
    assert list((tmp_path / ".writing").iterdir()) == []

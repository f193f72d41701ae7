"""Parts of what drivers print."""

import io
from pathlib import Path

import pytest

from nas_service.settings import Settings
from workers.driver_logs import PART_BYTES, attempts_kept, open_log, read_after, read_tail
from workers.launcher import log_path


def test_a_log_is_read_on_from_where_the_last_part_ended() -> None:
    log = io.BytesIO(b"one\ntwo\nthr")
    first = read_after(log, 0, whole=False)
    assert (first.lines, first.next, first.size) == (("one", "two"), 8, 11)
    assert read_after(log, first.next, whole=False).lines == ()
    log.seek(0, io.SEEK_END)
    log.write(b"ee\n")
    assert read_after(log, first.next, whole=False).lines == ("three",)


def test_a_last_line_without_an_end_counts_when_nobody_writes_any_more() -> None:
    part = read_after(io.BytesIO(b"one\ntwo"), 0, whole=True)
    assert (part.lines, part.next) == (("one", "two"), 7)


def test_a_place_beyond_the_end_stands_for_the_end() -> None:
    part = read_after(io.BytesIO(b"one\n"), 99, whole=True)
    assert (part.lines, part.next, part.size) == ((), 4, 4)


def test_nothing_is_taken_out_of_lines_but_what_is_no_text_is_marked() -> None:
    part = read_after(io.BytesIO(b"\x1b[31mred\x1b[0m\r50%\n\n" + b"\xff\n"), 0, whole=True)
    assert part.lines == ("\x1b[31mred\x1b[0m\r50%", "", "\ufffd")


@pytest.mark.parametrize("whole", [True, False])
def test_a_long_log_comes_in_parts_that_give_it_whole(whole: bool) -> None:  # noqa: FBT001 - a test's parameter
    lines = [f"line {place} " + "x" * 90 for place in range(9000)]
    log = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
    seen: list[str] = []
    start = 0
    while True:
        part = read_after(log, start, whole=whole)
        if not part.lines:
            break
        assert part.next - start <= PART_BYTES
        seen += part.lines
        start = part.next
    assert (seen, start) == (lines, part.size)


def test_a_line_longer_than_a_part_comes_in_pieces() -> None:
    log = io.BytesIO(b"x" * (PART_BYTES + 10) + b"\n")
    first = read_after(log, 0, whole=False)
    second = read_after(log, first.next, whole=False)
    assert "".join((*first.lines, *second.lines)) == "x" * (PART_BYTES + 10)


def test_the_tail_is_the_last_whole_lines() -> None:
    log = io.BytesIO(b"".join(b"%d\n" % place for place in range(100_000)))
    part = read_tail(log, 3, whole=False)
    assert (part.lines, part.next) == (("99997", "99998", "99999"), part.size)
    everything = read_tail(log, 10**6, whole=False).lines
    assert everything[0] == str(100_000 - len(everything))
    assert read_tail(io.BytesIO(b""), 5, whole=False).lines == ()


def test_logs_are_found_by_job_and_attempt(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert attempts_kept(settings, "a") == []
    for job, attempt in (("a", 2), ("a", 10), ("a-1", 7)):
        log_path(settings, job, attempt).write_text("printed\n")
    assert attempts_kept(settings, "a") == [2, 10]
    assert attempts_kept(settings, "a-1") == [7]
    log = open_log(settings, None, "a", 2)
    assert log is not None
    with log:
        assert read_tail(log, 5, whole=True).lines == ("printed",)
    assert open_log(settings, None, "a", 3) is None


def test_a_launcher_that_keeps_output_elsewhere_is_asked_where_there_is_no_file(tmp_path: Path) -> None:
    class Elsewhere:
        def printed(self, job_id: str, attempt: int) -> str | None:
            return f"{job_id} {attempt}\n" if attempt == 1 else None

    log = open_log(Settings(home=tmp_path), Elsewhere(), "job", 1)
    assert log is not None
    assert read_after(log, 0, whole=False).lines == ("job 1",)
    assert open_log(Settings(home=tmp_path), Elsewhere(), "job", 2) is None


def test_logs_and_a_home_that_is_made_for_them_are_their_users_own(tmp_path: Path) -> None:
    path = log_path(Settings(home=tmp_path / "home"), "one", 1)
    assert [folder.stat().st_mode & 0o777 for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]

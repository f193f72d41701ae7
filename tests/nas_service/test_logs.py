"""Logs that stay short whatever goes on."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from nas_service.logs import Outage, Seldom, adopt_logger, configure_logs, silence_logs
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.session import Database


def test_an_outage_is_one_line_at_its_beginning_and_one_at_its_end() -> None:
    with capture_logs() as lines:
        outage = Outage("store.away", job_id="a")
        outage.over()
        for reason in ("refused", "refused", "timed out"):
            outage.seen(reason)
        outage.over()
        outage.over()
    assert [(line["event"], line["job_id"]) for line in lines] == [("store.away", "a"), ("store.away.over", "a")]
    assert (lines[0]["reason"], outage.reason) == ("refused", None)


def test_what_comes_in_floods_is_told_at_once_and_then_with_how_many_were_not() -> None:
    with capture_logs() as lines:
        seldom = Seldom("request.put_off", every_s=1000)
        for what in ("locked", "locked", "full", "locked"):
            seldom.tell(what, what=f"{what} (for {time.monotonic()} s)")
        again = Seldom("request.put_off", every_s=0)
        again.tell("locked")
        again.tell("locked")
    assert [line["kind"] for line in lines] == ["locked", "full", "locked", "locked"]
    seldom._every_s = 0
    with capture_logs() as later:
        seldom.tell("locked")
    assert later[0]["more_before"] == 2


@pytest.fixture
def _put_back() -> Iterator[None]:
    """Leave logs as they were."""
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


@pytest.mark.usefixtures("_put_back")
def test_lines_of_every_thread_and_library_are_json_with_the_facts_of_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", job_id="a", attempt=2)
    log, library = structlog.get_logger(), logging.getLogger("some.library")
    library.addHandler(logging.StreamHandler(sys.stdout))
    library.propagate = False
    adopt_logger("some.library")
    threads = [
        threading.Thread(target=lambda: log.info("ours", path="a\nb")),
        threading.Thread(target=lambda: library.warning("theirs %s", "c\r\nd")),
        threading.Thread(target=lambda: library.error("failed", exc_info=ZeroDivisionError("by 0"))),
    ]
    for thread in threads:
        thread.start()
        thread.join()
    out, err = capsys.readouterr()
    ours, theirs, failed = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert {(line["job_id"], line["attempt"]) for line in (ours, theirs, failed)} == {("a", 2)}
    assert (ours["path"], theirs["event"], theirs["logger"], theirs["level"]) == (
        "a\nb",
        "theirs c\r\nd",
        "some.library",
        "warning",
    )
    assert "ZeroDivisionError: by 0" in failed["exception"]


@pytest.mark.usefixtures("_put_back")
def test_what_others_chose_ends_no_line_of_text_and_speaks_to_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text")
    structlog.get_logger().info("request", path="a\nlevel=error event=forged\x1b[31m")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "\x1b" not in lines[0]


@pytest.mark.usefixtures("_put_back")
def test_what_a_line_says_itself_goes_before_the_facts_of_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", job_id="a")
    structlog.get_logger().info("other", job_id="b")
    assert json.loads(capsys.readouterr().err)["job_id"] == "b"


@pytest.mark.usefixtures("_put_back")
def test_a_command_that_says_everything_itself_logs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silence_logs()
    structlog.get_logger().error("said twice")
    assert capsys.readouterr() == ("", "")


def test_a_driver_tells_its_job_and_attempt_in_every_line(settings: Settings) -> None:
    """One whose attempt is over ends at once, and says so."""
    database = Database(settings.database)
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
    database.close()
    environment = {**os.environ, **settings.environment()}
    words = [sys.executable, "-m", "workers", job.id, "7"]
    ended = subprocess.run(words, check=False, capture_output=True, text=True, env=environment)
    (line,) = [json.loads(text) for text in ended.stderr.splitlines()]
    assert (line["event"], line["job_id"], line["attempt"]) == ("driver.superseded", job.id, 7)

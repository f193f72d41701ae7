"""Logs that stay short whatever goes on."""

import time

from structlog.testing import capture_logs

from nas_service.logs import Outage, Seldom


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

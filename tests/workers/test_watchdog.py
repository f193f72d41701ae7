"""The watchdog: what is a stall, and what is not. Time is a number here: the rule has no clock of its own."""

import pytest

from workers.watchdog import StallLimits, Watchdog

LIMITS = StallLimits(first_s=1000, floor_s=100, factor=5)


class _Time:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> _Time:
    """Return a time that the test sets."""
    return _Time()


def _is_overdue_after(watchdog: Watchdog, time: _Time, seconds: float) -> bool:
    time.now += seconds
    return watchdog.overdue() is not None


def test_before_the_first_sign_nobody_knows_what_is_usual(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, None, time)
    assert not _is_overdue_after(watchdog, time, 999)
    assert _is_overdue_after(watchdog, time, 2)


def test_several_times_the_longest_stretch_is_a_stall(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, None, time)
    for stretch in (10, 60, 20):
        time.now += stretch
        watchdog.mark()
    assert watchdog.usual_s == 60
    assert not _is_overdue_after(watchdog, time, 300)
    assert _is_overdue_after(watchdog, time, 1)
    assert watchdog.overdue() == (
        "no sign of progress for 301 s; the longest time between two was 60 s: workers, a node or a device are stuck or gone"
    )


def test_however_short_the_usual_time_is_the_floor_holds(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, None, time)
    time.now += 1
    watchdog.mark()
    assert not _is_overdue_after(watchdog, time, 100)
    assert _is_overdue_after(watchdog, time, 1)


def test_what_earlier_attempts_saw_counts(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, 200, time)
    assert not _is_overdue_after(watchdog, time, 1000)
    assert _is_overdue_after(watchdog, time, 1)


def test_a_change_of_phase_is_a_sign_that_says_nothing_of_the_usual_time(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, None, time)
    time.now += 900
    watchdog.mark(usual=False)
    assert watchdog.usual_s is None
    assert not _is_overdue_after(watchdog, time, 999)


def test_waiting_for_something_known_is_no_stall_and_says_nothing_of_the_usual_time(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, 10, time)
    watchdog.rest()
    assert not _is_overdue_after(watchdog, time, 100_000)
    watchdog.mark()
    assert watchdog.usual_s == 10
    assert _is_overdue_after(watchdog, time, 101)

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


def test_several_times_the_longest_silence_is_a_stall(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, None, time)
    for silence in (10, 60, 20):
        time.now += silence
        watchdog.mark(silence, known=True)
    assert watchdog.usual_s == 60
    assert not _is_overdue_after(watchdog, time, 300)
    assert _is_overdue_after(watchdog, time, 1)
    assert watchdog.overdue() == (
        "no sign of progress for 301 s; the longest silence before was 60 s: workers, a node or a device are stuck or gone"
    )


def test_however_short_the_usual_time_is_the_floor_holds(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, None, time)
    watchdog.mark(1, known=True)
    assert not _is_overdue_after(watchdog, time, 100)
    assert _is_overdue_after(watchdog, time, 1)


@pytest.mark.parametrize("usual_s", [200, 2000], ids=["short", "long"])
def test_what_earlier_attempts_saw_counts(usual_s: float, time: _Time) -> None:
    watchdog = Watchdog(LIMITS, usual_s, time)
    watchdog.mark(1, known=True)
    assert not _is_overdue_after(watchdog, time, 5 * usual_s)
    assert _is_overdue_after(watchdog, time, 1)


def test_an_attempt_that_begins_may_be_silent_as_the_first_one_might(time: _Time) -> None:
    """Its data are read, its actors started, its code compiled anew, however short its samples were before."""
    watchdog = Watchdog(LIMITS, 10, time)
    assert not _is_overdue_after(watchdog, time, 999)
    watchdog.mark()
    assert not _is_overdue_after(watchdog, time, 999)


def test_a_sign_that_is_no_work_done_says_nothing_of_the_usual_time(time: _Time) -> None:
    """Data were read, an actor is there: the first sample may take as long as any."""
    watchdog = Watchdog(LIMITS, None, time)
    for _ in range(3):
        time.now += 12
        watchdog.mark()
    assert watchdog.usual_s is None
    assert not _is_overdue_after(watchdog, time, 999)


def test_work_of_an_unknown_kind_may_be_silent_for_longer_than_usual_until_it_is_known(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, None, time)
    watchdog.mark(5, known=True)
    watchdog.mark(5, known=False)
    assert not _is_overdue_after(watchdog, time, 999)
    watchdog.mark()
    assert not _is_overdue_after(watchdog, time, 999)
    watchdog.mark(known=True)
    assert _is_overdue_after(watchdog, time, 101)


def test_waiting_for_something_known_is_no_stall(time: _Time) -> None:
    watchdog = Watchdog(LIMITS, 10, time)
    watchdog.rest()
    assert not _is_overdue_after(watchdog, time, 100_000)
    watchdog.mark(known=True)
    assert _is_overdue_after(watchdog, time, 101)


def test_when_what_was_waited_for_is_there_silence_counts_from_then_on(time: _Time) -> None:
    """However often somebody says that it is there."""
    watchdog = Watchdog(LIMITS, None, time)
    watchdog.rest()
    time.now += 100_000
    watchdog.wake()
    assert not _is_overdue_after(watchdog, time, 600)
    watchdog.wake()
    assert _is_overdue_after(watchdog, time, 401)

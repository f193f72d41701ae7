"""What news of trials says of how long a trial may be silent. Time is a number here."""

import pytest

from tests.reports import epoch_report
from workers.trial import Attacking, Beat, Began, Done, Exporting, Failed, News
from workers.trial_signs import TrialSigns

BEGAN = Began("host:1", "cpu", 0)


class _Time:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> _Time:
    """Return a time that the test sets."""
    return _Time()


@pytest.fixture
def signs(time: _Time) -> TrialSigns:
    """Return signs that read it."""
    return TrialSigns(time)


def _heard(signs: TrialSigns, time: _Time, story: list[tuple[float, News]], name: str = "a") -> list[tuple[float | None, bool]]:
    """Return what each of a trial's news, each after so many seconds of silence, says: the silence, and what is known now."""
    seen = []
    for silent_s, news in story:
        time.now += silent_s
        seen.append((signs.hear(name, news), signs.known))
    return seen


def test_a_trial_is_at_something_new_until_its_first_epoch_is_over_and_while_it_exports(signs: TrialSigns, time: _Time) -> None:
    """Beats before that (between regions that are compiled, say) are signs, and do not say that the next comes as soon."""
    signs.start("a")
    assert not signs.known
    story: list[tuple[float, News]] = [
        (8, BEGAN),
        (100, Beat()),
        (5, Beat()),
        (2, epoch_report(0)),
        (5, Beat()),
        (3, Attacking()),
        (6, Beat()),
        (1, Exporting()),
        (400, Beat()),
        (900, Done(epoch_report(1), {})),
    ]
    assert _heard(signs, time, story) == [
        (None, False),
        (100, False),
        (5, False),
        (2, True),
        (5, True),
        (3, True),
        (6, True),
        (1, False),
        (400, False),
        (None, False),
    ]


def test_epochs_that_are_told_again_are_not_the_first_of_a_process(signs: TrialSigns, time: _Time) -> None:
    story: list[tuple[float, News]] = [(8, Began("host:1", "cpu", 2)), (0, epoch_report(0)), (0, epoch_report(1))]
    assert _heard(signs, time, story) == [(None, False)] * 3
    assert _heard(signs, time, [(200, epoch_report(2))]) == [(200, True)]


def test_a_trial_is_measured_by_itself_although_others_tell_more(signs: TrialSigns, time: _Time) -> None:
    _heard(signs, time, [(0, BEGAN)], "a")
    _heard(signs, time, [(0, BEGAN), *[(5.0, Beat())] * 20], "b")
    assert _heard(signs, time, [(1, epoch_report(0))], "a") == [(101, False)]
    assert _heard(signs, time, [(1, epoch_report(0))], "b") == [(2, True)]


@pytest.mark.parametrize("end", [Done(epoch_report(0), {}), Failed("diverged"), None])
def test_of_trials_that_are_over_nothing_is_expected(end: News | None, signs: TrialSigns, time: _Time) -> None:
    """And before the next one begins nothing is known: its process has to start."""
    for name in "ab":
        _heard(signs, time, [(0, BEGAN)], name)
    _heard(signs, time, [(1, epoch_report(0))], "a")
    if end is None:
        signs.end("b")
    else:
        _heard(signs, time, [(1, end)], "b")
    assert signs.known
    signs.end("a")
    assert not signs.known


def test_a_trial_that_starts_again_is_new_again(signs: TrialSigns, time: _Time) -> None:
    _heard(signs, time, [(0, BEGAN), (1, epoch_report(0))])
    signs.start("a")
    assert not signs.known

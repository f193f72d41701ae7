"""Turns: of many drivers some are asked about at a time, and all of them in turn."""

import time

import pytest

from workers import turns
from workers.turns import Turn

MANY = [(f"job-{place:03}", 1) for place in range(120)]


def test_few_are_looked_at_whenever_half_a_second_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SPAN_S", 0.05)
    turn = Turn()
    assert [turn.takes(key) for key in MANY[:3]] == [True] * 3
    assert not turn.takes(MANY[0])
    time.sleep(0.06)
    assert turn.takes(MANY[0])


def test_many_are_looked_at_a_few_at_a_time_and_nobody_twice_before_everybody_was_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SPAN_S", 0.2)
    turn, looked = Turn(), list[tuple[str, int]]()
    for _ in range(3):
        span = [key for key in MANY if turn.takes(key)]
        assert len(span) <= turns.LOOKS
        looked += span
        time.sleep(0.25)
    assert looked == MANY
    assert [key for key in MANY if turn.takes(key)] == MANY[: turns.LOOKS]


def test_who_was_looked_at_longest_ago_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SPAN_S", 0.0)
    turn = Turn()
    for key in (MANY[2], MANY[0]):
        assert turn.takes(key)
    assert turn.longest_ago(MANY[:3]) == [MANY[1], MANY[2], MANY[0]]
    turn.forget(MANY[0])
    assert turn.longest_ago(MANY[:3]) == [MANY[0], MANY[1], MANY[2]]

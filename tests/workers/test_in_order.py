"""Work beside the caller, in order."""

import threading
import time

import pytest

from workers.in_order import InOrder


def test_pieces_run_in_order_beside_the_caller() -> None:
    """The first piece waits for what the caller does after it gave it away: so the caller did not wait."""
    done: list[int] = []
    caller_goes_on = threading.Event()

    def work(number: int) -> None:
        assert caller_goes_on.wait(30)
        done.append(number)

    with InOrder() as pieces:
        pieces.submit(work, 0)
        caller_goes_on.set()
        for number in range(1, 4):
            pieces.submit(work, number)
    assert done == [0, 1, 2, 3]


def test_an_error_is_raised_by_the_next_piece_or_at_the_end() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), InOrder() as pieces:
        pieces.submit(fail)
        pieces.submit(lambda: None)
    with pytest.raises(ZeroDivisionError), InOrder() as pieces:
        pieces.submit(fail)


def test_the_end_waits_even_if_the_block_fails_and_its_error_is_the_block_s() -> None:
    finished = threading.Event()

    def slow() -> None:
        time.sleep(0.1)
        finished.set()

    with pytest.raises(KeyError), InOrder() as pieces:
        pieces.submit(slow)
        raise KeyError
    assert finished.is_set()

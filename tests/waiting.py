"""Waiting for something with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

LIMIT_S = 300.0


def wait_until(look: Callable[[], Seen], reached: Callable[[Seen], bool], limit_s: float = LIMIT_S) -> Seen:
    """Look again and again until what is seen will do, and return it."""
    deadline = time.monotonic() + limit_s
    while True:
        seen = look()
        if reached(seen):
            return seen
        assert time.monotonic() < deadline, f"after {limit_s} s still {seen}"
        time.sleep(0.05)

"""Waiting for something with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

LIMIT_S = 300.0
LONGEST_PAUSE_S = 0.15


def wait_until(look: Callable[[], Seen], reached: Callable[[Seen], bool], limit_s: float = LIMIT_S) -> Seen:
    """Look again and again until what is seen will do, and return it; the longer it takes the less often, since to look costs."""
    began = time.monotonic()
    while True:
        seen = look()
        if reached(seen):
            return seen
        waited = time.monotonic() - began
        assert waited < limit_s, f"after {limit_s} s still {seen}"
        time.sleep(min(LONGEST_PAUSE_S, 0.01 + waited / 20))

"""Patience: a client that watches goes on watching while the service is away for a moment."""

import time
from collections.abc import Callable
from typing import TypeVar

from api.refusals import ApiError, UnansweredError

Answer = TypeVar("Answer")

LIMIT_S = 120.0  # in which a service restarts, and most locks and networks come back
ASK_EVERY_S = 1.0  # where the service cannot say when to come again


def deadline_in(seconds: float | None) -> float | None:
    """Return the moment so many seconds from now, as `time.monotonic` tells them."""
    return None if seconds is None else time.monotonic() + seconds


class Patience:
    """For one question that changes nothing, asked again while the service or the way to it is away."""

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        """Take what is told, once an absence, what is waited for."""
        self._say = say
        self._since: float | None = None

    def calm(self) -> None:
        """Note that there was an answer."""
        self._since = None

    def pause_s(self, error: ApiError | UnansweredError) -> float:
        """Return when to ask again.

        Raises:
            ApiError: The error, if the service refused, or is away for longer than two minutes.
            UnansweredError: The error, if the way to it is.
        """
        pause_s = _pause_s(error)
        now = time.monotonic()
        begins = self._since is None
        since = now if self._since is None else self._since
        if pause_s is None or now + pause_s - since > LIMIT_S:
            raise error
        self._since = since
        if begins and self._say is not None:
            self._say(f"waiting up to {LIMIT_S:.0f} s for the service: {error}")
        return pause_s


def patiently(ask: Callable[[], Answer], say: Callable[[str], None]) -> Answer:
    """Return the answer to a question that changes nothing, asked again while the service or the way to it is away.

    Args:
        ask: The question.
        say: Is told once what is waited for.

    Raises:
        ApiError: If the service refuses, or is away for longer than two minutes.
        UnansweredError: If the way to it is.
    """
    patience = Patience(say)
    while True:
        try:
            return ask()
        except (ApiError, UnansweredError) as error:
            pause_s = patience.pause_s(error)
        time.sleep(pause_s)


def _pause_s(error: ApiError | UnansweredError) -> float | None:
    """Return when to ask again; None: not at all."""
    if isinstance(error, UnansweredError):
        return ASK_EVERY_S
    if not error.is_passing:
        return None
    return ASK_EVERY_S if error.retry_after_s is None else error.retry_after_s

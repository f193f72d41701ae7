"""Patience: a client that watches goes on watching while the service is away for a moment."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import httpx

from api.refusals import ApiError

Answer = TypeVar("Answer")

LIMIT_S = 120.0  # in which a service restarts, and most locks and networks come back
ASK_EVERY_S = 1.0  # where the service cannot say when to come again
_PASSING = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


def patiently(ask: Callable[[], Answer], say: Callable[[str], None]) -> Answer:
    """Return the answer to a question that changes nothing, asked again while the service or the way to it is away.

    Args:
        ask: The question.
        say: Is told once what is waited for.

    Raises:
        ApiError: If the service refuses, or is away for longer than two minutes.
        httpx.TransportError: If the way to it is.
    """
    since: float | None = None
    while True:
        try:
            return ask()
        except httpx.UnsupportedProtocol:
            raise  # an address that is none
        except (ApiError, httpx.TransportError) as error:
            pause_s = _pause_s(error)
            now = time.monotonic()
            since = now if since is None else since
            if pause_s is None or now + pause_s - since > LIMIT_S:
                raise
            if since == now:
                say(f"waiting up to {LIMIT_S:.0f} s for the service: {error}")
        time.sleep(pause_s)


def _pause_s(error: ApiError | httpx.TransportError) -> float | None:
    """Return when to ask again; None: not at all."""
    if isinstance(error, httpx.TransportError):
        return ASK_EVERY_S
    if error.problem.status not in _PASSING:
        return None
    return ASK_EVERY_S if error.retry_after_s is None else error.retry_after_s

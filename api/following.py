"""Following a stream: server-sent events as they come, and coming back where it breaks off. Needs httpx and pydantic alone."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from api.patience import ASK_EVERY_S, LIMIT_S
from api.refusals import ApiError, raise_for

SILENCE_S = 45.0  # after which a stream is given up: a service that lives says so every 15 s
_PASSING = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True)
class StreamMessage:
    """A message of a stream.

    Attributes:
        kind: Of the event; or `progress`, `log`, `end`.
        data: As its kind has it.
        id: Of the event; None for what is none.
    """

    kind: str
    data: dict[str, Any]
    id: int | None = None


def parse(lines: Iterator[str]) -> Iterator[StreamMessage]:
    """Yield the whole messages among the lines of a stream; comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        elif not line and "data" in fields:
            identifier = int(fields["id"]) if "id" in fields else None
            yield StreamMessage(fields.get("event", "message"), json.loads(fields["data"]), identifier)
            fields = {}


def follow(http: httpx.Client, path: str, after: int | None, *, log: bool) -> Iterator[StreamMessage]:
    """Yield the messages of a stream until it has ended, `end` the last; every event once.

    Args:
        http: The connection.
        path: Of the stream.
        after: Event after which to begin; None: with the next one.
        log: Whether lines of the log are asked for.

    Raises:
        ApiError: If the stream is refused, or the service is away for longer than two minutes.
        httpx.TransportError: If the way to it is.
    """
    heard = time.monotonic()
    while True:
        try:
            for message in _once(http, path, after, log=log):
                heard = time.monotonic()
                after = after if message.id is None else message.id
                yield message
                if message.kind == "end":
                    return
        except httpx.UnsupportedProtocol:
            raise
        except (ApiError, httpx.TransportError) as error:
            is_passing = isinstance(error, httpx.TransportError) or error.problem.status in _PASSING
            if not is_passing or time.monotonic() - heard > LIMIT_S:
                raise
        time.sleep(ASK_EVERY_S)


def _once(http: httpx.Client, path: str, after: int | None, *, log: bool) -> Iterator[StreamMessage]:
    params = {"log": "true"} if log else {}
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    usual = http.timeout
    limits = httpx.Timeout(connect=usual.connect, read=SILENCE_S, write=usual.write, pool=usual.pool)
    with http.stream("GET", path, params=params, headers=headers, timeout=limits) as reply:
        if not reply.is_success:
            reply.read()
        raise_for(reply)
        yield from parse(reply.iter_lines())

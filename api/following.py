"""Streams of server-sent events, as messages. Nothing is sent or received here."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

SILENCE_S = 45.0  # after which a stream is given up: a service that lives says so every 15 s


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


class Parser:
    """Puts messages together, line by line; comments are left out."""

    def __init__(self) -> None:
        """Begin between two messages."""
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> StreamMessage | None:
        """Return the message that a line ends."""
        fields = self._fields
        name, _, value = line.partition(":")
        if line and name:
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        elif not line and "data" in fields:
            identifier = int(fields["id"]) if "id" in fields else None
            self._fields = {}
            return StreamMessage(fields.get("event", "message"), json.loads(fields["data"]), identifier)
        return None


def parse(lines: Iterable[str]) -> Iterator[StreamMessage]:
    """Yield the whole messages among the lines of a stream."""
    parser = Parser()
    for line in lines:
        message = parser.take(line)
        if message is not None:
            yield message

"""Messages of a stream as lines: for people, or a JSON object a line for programs."""

import json
from collections.abc import Iterable

from api.console import console, say
from api.following import StreamMessage


def print_messages(messages: Iterable[StreamMessage], *, as_json: bool) -> None:
    """Print every message as it comes."""
    for message in messages:
        if as_json:
            console.file.write(json.dumps({"event": message.kind, "id": message.id, "data": message.data}) + "\n")
            console.file.flush()
        else:
            told = message.data.get("lines") if message.kind == "log" else None
            for line in told if told is not None else [_line(message)]:
                say(line)


def _line(message: StreamMessage) -> str:
    facts = (f"{name}={_word(value)}" for name, value in message.data.items() if value is not None)
    return " ".join([message.kind, *facts])


def _word(value: object) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value, ensure_ascii=False)

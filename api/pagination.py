"""Keyset pagination with opaque cursors and a cap."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from api.views import Page
from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError

Row = TypeVar("Row")
Item = TypeVar("Item")
Key = TypeVar("Key", str, int)

_KEY = re.compile(r"[0-9a-f-]{36}|[0-9]{1,18}")  # an id, or a number that databases keep

Cursor = Annotated[str | None, Query(description="Cursor from the page before, as it was given.", max_length=500)]
Limit = Annotated[int, Query(ge=1, description="Entries in a page; the service has a cap of its own.")]


def encode_cursor(key: str | int) -> str:
    """Return a cursor that stands for the last entry of a page."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: type[Key]) -> Key | None:
    """Return the key in a cursor.

    Raises:
        InvalidInputError: If this service did not make it.
    """
    if cursor is None:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, UnicodeDecodeError):
        key = None
    if not isinstance(key, kind) or not _KEY.fullmatch(str(key)):
        problem = InvalidFieldError("cursor", cursor, "the value of `next` in a page of the same list")
        raise InvalidInputError([problem])
    return key


def paginate(rows: Sequence[Row], limit: int, key: Callable[[Row], str | int], view: Callable[[Row], Item]) -> Page[Item]:
    """Make a page of up to `limit` rows; a caller asks for one more to know whether there is a next page."""
    shown = rows[:limit]
    following = encode_cursor(key(shown[-1])) if len(rows) > limit else None
    return Page(items=[view(row) for row in shown], next=following)

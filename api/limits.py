"""Refusing what no route should see: bodies that are too large, and text that no database keeps."""

import re
from http import HTTPStatus

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Mapped, problem_response
from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError

_TOO_LARGE = Mapped(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "The body is too large")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class BodyLimit:
    """ASGI middleware: a body above the limit gets 413, whether or not its length was announced."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        """Wrap an application."""
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes of a request's body on their way in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        detail = f"body: the request is larger than {self._limit_bytes} bytes (NAS_MAX_BODY_BYTES)"
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > self._limit_bytes:
            await problem_response(_TOO_LARGE, detail)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            # To the application a body that is too large looks like a client that went away.
            return {"type": "http.disconnect"} if seen > self._limit_bytes else message

        async def guarded(message: Message) -> None:
            if seen <= self._limit_bytes:
                await send(message)

        await self._app(scope, counted, guarded)
        if seen > self._limit_bytes:
            await problem_response(_TOO_LARGE, detail)(scope, receive, send)


def _unstorable(left: list[tuple[str, object]]) -> list[InvalidFieldError]:
    """Look through fields of JSON, without recursion: a body may be nested deeper than Python's stack."""
    found = []
    while left:
        field, given = left.pop()
        if isinstance(given, str) and _UNSTORABLE.search(given):
            found.append(InvalidFieldError(field or "body", given, "text without NUL and without halves of surrogate pairs"))
        elif isinstance(given, dict):
            left += [(field, key) for key in given]
            left += [(f"{field}.{key}".strip("."), below) for key, below in given.items()]
        elif isinstance(given, list):
            left += [(f"{field}.{index}".strip("."), below) for index, below in enumerate(given)]
    return found


async def require_storable_text(request: Request) -> None:
    """Refuse text that no database keeps, in path, query, headers and body alike.

    Raises:
        InvalidInputError: Naming every field that holds it.
    """
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None  # not JSON: the route says so itself, if it reads the body at all
    outside = [*request.path_params.items(), *request.query_params.multi_items(), *request.headers.items()]
    problems = _unstorable([*outside, ("", body)])
    if problems:
        raise InvalidInputError(problems)

"""Refusing what no route should see: bodies that are too large or never end, and text that no database keeps."""

import asyncio
import re
from contextlib import suppress
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import HttpError, problem_response
from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError

_TOO_LARGE = HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "The body is too large")
_TOO_SLOW = HttpError(HTTPStatus.REQUEST_TIMEOUT, "body-too-slow", "The body did not arrive in time")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_GONE: Message = {"type": "http.disconnect"}


class BodyLimit:
    """ASGI middleware: a body above the limit gets 413, announced or not; one that is not there in time gets 408."""

    def __init__(self, app: ASGIApp, limit_bytes: int, limit_s: float) -> None:
        """Wrap an application."""
        self._app = app
        self._limit_bytes = limit_bytes
        self._limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count bytes and seconds of a request's body on its way in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > self._limit_bytes:
            await problem_response(_TOO_LARGE, self._too_large)(scope, receive, send)
            return
        body = _Body(receive, send, self._limit_bytes, asyncio.get_running_loop().time() + self._limit_s)
        with suppress(ClientDisconnect):  # nobody waits for a reply, but for that of a refusal
            await self._app(scope, body.receive, body.send)
        if body.refusal is None or body.is_answered:
            return
        detail = self._too_large if body.refusal is _TOO_LARGE else self._too_slow
        await problem_response(body.refusal, detail)(scope, receive, send)

    @property
    def _too_large(self) -> str:
        return f"body: the request is larger than {self._limit_bytes} bytes (NAS_MAX_BODY_BYTES)"

    @property
    def _too_slow(self) -> str:
        return f"body: the request was not there within {self._limit_s:g} s (NAS_BODY_TIMEOUT_S)"


class _Body:
    """A request's body on its way to the application, to which a refused one looks like a client that went away."""

    def __init__(self, receive: Receive, send: Send, limit_bytes: int, deadline: float) -> None:
        self._receive = receive
        self._send = send
        self._left_bytes = limit_bytes
        self._deadline: float | None = deadline
        self.refusal: HttpError | None = None
        self.is_answered = False

    async def receive(self) -> Message:
        """Pass a part of the body on; after the last one there is no clock: a reply may take as long as it likes."""
        if self.refusal is not None:
            return _GONE
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.refusal = _TOO_SLOW
            return _GONE
        self._left_bytes -= len(message.get("body", b""))
        if self._left_bytes < 0:
            self.refusal = _TOO_LARGE
            return _GONE
        if not message.get("more_body", False):
            self._deadline = None
        return message

    async def send(self, message: Message) -> None:
        """Pass the application's reply on, unless the request is refused and the reply has not begun."""
        if self.refusal is None or self.is_answered:
            self.is_answered = True
            await self._send(message)


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

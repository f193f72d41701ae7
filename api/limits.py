"""Refusing bodies that are too large before anybody reads them."""

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Mapped, problem_response

_TOO_LARGE = Mapped(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "The body is too large")


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

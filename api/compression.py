"""gzip for what is text and long enough; downloads that are compressed already, and streams of events, go as they are."""

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1000
_LEVEL = 5  # of 9: JSON gets hardly smaller above it, in twice the time
_EXCLUDED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream", "application/vnd.apache.parquet")


class Compression:
    """ASGI middleware: gzip, and then a weak ETag, since a strong one says that the bytes are the same."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app
        self._gzip = GZipMiddleware(app, MIN_BYTES, _LEVEL, exclude_content_types=_EXCLUDED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress the reply where its reader understands that."""

        async def weakened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if (b"content-encoding", b"gzip") in headers:
                    message["headers"] = [_weak(*header) for header in headers]
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._gzip(scope, receive, weakened)


def _weak(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return (name, b"W/" + value) if name == b"etag" and value.startswith(b'"') else (name, value)

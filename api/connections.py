"""Connections: how many there may be, and how long one may keep the service waiting. No route is known here."""

import asyncio
import errno
import resource
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from api.views import Problem

log = structlog.get_logger()

TAKEN_AT_ONCE = 32  # connections that the event loop takes before any of them is counted
WAITING = 512  # connections that wait to be taken; the system lets one more try again after a second
RESERVED = 128  # file handles for the database, files, logs and drivers
MOST_HANDLES = 65_536  # what is asked for; more costs programs that walk through all of them
MOST_CONNECTIONS = 4096  # however many handles there are: each takes some 30 kB
_FULL = Problem(
    type="urn:nas:problem:busy",
    title="Every connection is in use",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    detail="the service answers as many requests as it may hold connections: send yours again",
)


def raise_handle_limit() -> int:
    """Raise this process's limit of file handles as far as it may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_HANDLES if hard == resource.RLIM_INFINITY else min(hard, MOST_HANDLES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return MOST_HANDLES if soft == resource.RLIM_INFINITY else soft


@dataclass(frozen=True)
class ConnectionLimits:
    """What connections may take of the service.

    Attributes:
        connections: Most at once.
        header_s: Seconds from a connection, or from a request's first byte, to the end of its headers.
        stalled_s: Seconds in which a client takes nothing of a reply that waits for it.
    """

    connections: int
    header_s: float
    stalled_s: float = 60.0

    @classmethod
    def of_handles(cls, handles: int, header_s: float) -> "ConnectionLimits":
        """Return the limits for a number of file handles: what else needs some keeps half of a few."""
        return cls(min(MOST_CONNECTIONS, handles - min(RESERVED, handles // 2)), header_s)


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration with our limits, read by every connection."""

    def __init__(self, app: Any, limits: ConnectionLimits, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own types
        """Choose the protocol and event loop that the limits are written for."""
        super().__init__(app, http=GuardedProtocol, loop="asyncio", ws="none", backlog=TAKEN_AT_ONCE, access_log=False, **options)
        self.limits = limits


class GuardedProtocol(H11Protocol):
    """A connection that is closed where it keeps others out: idle ones first, then those without a whole request."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Take the limits from the configuration."""
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._since = self.loop.time()  # when the present wait for the client began
        self._headers_due: asyncio.TimerHandle | None = None
        self._reply_due: asyncio.TimerHandle | None = None
        self._untaken_bytes = 0  # of a reply, when the client was last looked at

    @property
    def _request(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn's annotation leaves out that there is none at first

    @property
    def holds_handle(self) -> bool:
        """Whether a file handle is held: a closing connection that still has something to send does."""
        return not self.transport.is_closing() or self.transport.get_write_buffer_size() > 0

    @property
    def is_answering(self) -> bool:
        """Whether a whole request is here and its reply is not done: such a connection is never closed for others."""
        request = self._request
        return request is not None and not request.response_complete and not request.more_body

    @property
    def rank(self) -> tuple[int, float]:
        """Whom to close first: what only waits to close, what idles, what has sent no whole request; of each the oldest."""
        if self.transport.is_closing():
            return 0, self._since
        is_idle = self._request is not None and self._request.response_complete and self._headers_due is None
        return (1 if is_idle else 2), self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Count the connection; where there are too many, make room or turn it away."""
        super().connection_made(transport)
        self._expect_headers()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Start the clock of a request at its first byte, and stop it with the last of its headers."""
        if self._headers_due is None and (self._request is None or self._request.response_complete):
            self._expect_headers()
        super().data_received(data)
        if self._request is not None and not self._request.response_complete:
            self._forget_headers()

    def on_response_complete(self) -> None:
        """Give a client that was answered early some time to end its request, and look whether it takes the reply."""
        super().on_response_complete()
        self._since = self.loop.time()
        if self.cycle.response_complete and self.cycle.more_body:
            self._expect_headers()
        self._watch_reply()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._forget_headers()
        self._forget_reply()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Look whether the client takes what waits for it; a stream that has nothing to say is not meant."""
        super().pause_writing()
        self._watch_reply()

    def resume_writing(self) -> None:
        """Take note that the client took something."""
        self._untaken_bytes = 0
        super().resume_writing()

    def shutdown(self) -> None:
        """End with the service: an answer is brought to its end, a client that has not asked yet is not waited for."""
        if self.is_answering:
            super().shutdown()
        else:
            self.drop()

    def drop(self) -> None:
        """Close the connection now, whatever is left to send."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _make_room(self) -> None:
        others = [
            other for other in self.connections if isinstance(other, GuardedProtocol) and other is not self and other.holds_handle
        ]
        if len(others) < self._limits.connections:
            return
        closable = [other for other in others if not other.is_answering]
        if closable:
            min(closable, key=lambda other: other.rank).drop()
        else:
            self._turn_away()

    def _turn_away(self) -> None:
        body = _FULL.model_dump_json().encode()
        head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
        self.transport.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    def _expect_headers(self) -> None:
        self._forget_headers()
        self._since = self.loop.time()
        self._headers_due = self.loop.call_later(self._limits.header_s, self.drop)

    def _forget_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _watch_reply(self) -> None:
        """Drop a client that takes nothing of what is to be sent until the next look; there is one while something is."""
        self._untaken_bytes = self.transport.get_write_buffer_size()
        if self._untaken_bytes and self._reply_due is None:
            self._reply_due = self.loop.call_later(self._limits.stalled_s, self._look_at_reply)

    def _look_at_reply(self) -> None:
        self._reply_due = None
        if self._untaken_bytes and self.transport.get_write_buffer_size() >= self._untaken_bytes:
            self.drop()
        else:
            self._watch_reply()

    def _forget_reply(self) -> None:
        if self._reply_due is not None:
            self._reply_due.cancel()
            self._reply_due = None


class LoopTrouble:
    """The event loop's own errors: a listener without file handles would write the same traceback without end."""

    EVERY_S = 10.0

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._said_at = -self.EVERY_S

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say that handles ran out once in a while, and everything else as usual."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in {errno.EMFILE, errno.ENFILE}:
            loop.default_exception_handler(context)
        elif loop.time() - self._said_at >= self.EVERY_S:
            self._said_at = loop.time()
            log.error("server.out_of_file_handles", error=error.strerror, advice="raise `ulimit -n`")

"""Requests, each under an id of its own: a line in the log when it is answered, and figures of how many and how fast."""

import asyncio
import time
from http import HTTPStatus

import structlog
from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.request_facts import address_of, method_of, route_of
from api.request_ids import HEADER, begin_request
from nas_service.access import Caller
from nas_service.logs import Seldom
from nas_service.process_figures import REGISTRY

log = structlog.get_logger()

_PROBES = {"/healthz", "/readyz", "/metrics"}  # asked again and again; those that go well are in no log
_FLOODS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_MANY_REQUESTS}
_LEFT = 499  # the client went away before there was a reply; a status of no reply, as other servers log it
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_refused = Seldom("request.refused")
_WAITED = Histogram(
    "nas_http_request_seconds",
    "Time until a reply began, by route, method and class of its status.",
    ["route", "method", "status"],
    buckets=_BUCKETS_S,
    registry=REGISTRY,
)
_REPLIES = Counter("nas_http_replies", "Replies by status; 429 is too much of anything.", ["status"], registry=REGISTRY)
for _status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE):
    _REPLIES.labels(str(_status.value))  # the first is an increase too
_OPEN = Gauge("nas_http_requests_open", "Requests that are being answered, streams included.", registry=REGISTRY)


class _Reply:
    """What became of a request."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._began = time.monotonic()
        self.status: int | None = None
        self.waited_s = 0.0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.waited_s = message["status"], self.passed_s
            MutableHeaders(scope=message)[HEADER] = self._request_id
        await self._send(message)

    @property
    def passed_s(self) -> float:
        return time.monotonic() - self._began

    def end(self, status: int) -> None:
        """Take a status where no reply began."""
        if self.status is None:
            self.status, self.waited_s = status, self.passed_s


class RequestLog:
    """ASGI middleware, outside of all others: names, times, counts and tells requests."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request be answered, and take note of how."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = begin_request(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(send, request_id)
        _OPEN.inc()
        try:
            await self._app(scope, receive, reply.send)
            reply.end(_LEFT)
        except asyncio.CancelledError:
            reply.end(_LEFT)
            raise
        except BaseException:
            reply.end(HTTPStatus.INTERNAL_SERVER_ERROR)  # which is written outside of here
            raise
        finally:
            _OPEN.dec()
            _take_note(scope, reply)


def _take_note(scope: Scope, reply: _Reply) -> None:
    status = int(reply.status or _LEFT)  # a status of the library's own kind would show as such
    route, method = route_of(scope), method_of(scope)
    _REPLIES.labels(str(status)).inc()
    _WAITED.labels(route, method, f"{status // 100}xx").observe(reply.waited_s)
    if route in _PROBES and status < HTTPStatus.BAD_REQUEST:
        return
    caller: Caller | None = scope["state"].get("caller")
    who = {} if caller is None else {"key": caller.prefix, "owner": caller.owner}
    facts = {"method": method, "route": route, "status": status, "ms": round(1000 * reply.passed_s, 1), **who}
    facts["client"] = address_of(scope)
    if status in _FLOODS:
        _refused.tell(f"{status} {caller.prefix if caller else 'without a key'}", **facts)
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request", **facts)
    else:
        log.info("request", **facts)

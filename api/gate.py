"""Who is let in: a key or a browser's cookie for every route but health and the pages, and no more requests than a key may send.

What a key is good for is looked up in the database, and believed for a few seconds, so that a page of many requests asks it once.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import HttpError, map_error, problem_response
from api.pages import ROUTES
from nas_service import access
from nas_service.access import Caller, digest_of
from nas_service.errors import DatabaseAwayError
from nas_service.storage import access_keys
from nas_service.storage.session import Database

COOKIE = "nas_session"
SESSION_PATH = "/v1/session"
_OPEN = {"/healthz", "/readyz", SESSION_PATH}
_SAFE = {"GET", "HEAD", "OPTIONS"}
_BELIEVED_S = 5.0
_MISSES, _MISSES_S, _SLOWED_S = 10, 60.0, 1.0  # wrong keys of one address in so many seconds, and what each further one waits
_KEPT = 10_000  # entries of any table here: keys, cookies and addresses of whoever comes

_NO_KEY = HttpError(HTTPStatus.UNAUTHORIZED, "no-key", "A key is needed")
_NOT_ALLOWED = HttpError(HTTPStatus.FORBIDDEN, "not-allowed", "The key does not allow this")
_TOO_MANY = HttpError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", 1)

T = TypeVar("T")


@dataclass
class _Table(Generic[T]):
    """Entries by name, of which the least recently used go where there are too many."""

    make: Callable[[], T]
    entries: OrderedDict[str, T] = field(default_factory=OrderedDict)

    def of(self, name: str) -> T:
        entry = self.entries.pop(name) if name in self.entries else self.make()
        self.entries[name] = entry
        while len(self.entries) > _KEPT:
            self.entries.popitem(last=False)
        return entry


@dataclass
class _Bucket:
    """Requests that a key may send at once; they come back with time."""

    left: float
    seen: float


@dataclass
class _Look:
    """What was last found of a secret."""

    caller: Caller | None = None
    until: float = 0.0


def needed(method: str, path: str) -> access.Scope:
    """Return the scope that a request needs: an estimate starts nothing, and keys are an administrator's."""
    if path == "/v1/keys" or path.startswith("/v1/keys/"):
        return access.Scope.ADMIN
    return access.Scope.READ if method in _SAFE or path.endswith("/estimate") else access.Scope.SUBMIT


def cookie_of(headers: Headers) -> str:
    """Return the cookie of a browser that showed a key, whatever other programs of this host put beside it; "" for none."""
    return cookie_parser("; ".join(headers.getlist("cookie"))).get(COOKIE, "")


def _bearer(headers: Headers) -> str | None:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def _look_name(secret: str, *, is_browser: bool) -> str:
    """Return what is kept of a secret in memory: a cookie that is believed is no key, and a key no cookie."""
    return f"{'cookie' if is_browser else 'key'} {digest_of(secret)}"


class Gate:
    """Knows who calls, and how often."""

    def __init__(self, database: Database, requests_per_s: float) -> None:
        """Look for keys in `database`."""
        self._database = database
        self._rate = requests_per_s
        self._burst = 4 * requests_per_s
        self._looks: _Table[_Look] = _Table(_Look)
        self._buckets: _Table[_Bucket] = _Table(lambda: _Bucket(self._burst, time.monotonic()))
        self._misses: _Table[deque[float]] = _Table(deque)

    async def caller(self, headers: Headers) -> Caller | None:
        """Return whose key or cookie came with a request.

        Raises:
            DatabaseAwayError: If it cannot be told now.
        """
        text = _bearer(headers)
        secret = cookie_of(headers) if text is None else text
        if not secret:
            return None
        is_browser = text is None
        look = self._looks.of(_look_name(secret, is_browser=is_browser))
        if look.until < time.monotonic():
            look.caller = await run_in_threadpool(self._find, secret, is_browser)
            look.until = time.monotonic() + (_BELIEVED_S if look.caller else 0.0)
        return look.caller

    async def refuse(self, scope: Scope) -> ASGIApp | None:
        """Return the reply to a request that may not be; None, with its caller in the request's state, where it may."""
        headers = Headers(scope=scope)
        try:
            caller = await self.caller(headers)
        except DatabaseAwayError as error:
            return problem_response(map_error(error), str(error))
        if caller is None:
            return await self._turn_away(scope, headers)
        if (
            _bearer(headers) is None and scope["method"] not in _SAFE and "origin" not in headers
        ):  # a foreign one was turned away before
            return problem_response(_NOT_ALLOWED, "Origin: a browser names the page that asks; programs send a key instead")
        if not self._may_ask(caller):
            return problem_response(_TOO_MANY, f"the key {caller.prefix} sends more than {self._rate:g} requests a second")
        need = needed(scope["method"], scope["path"])
        if not caller.scope.covers(need):
            return problem_response(_NOT_ALLOWED, f"the key {caller.prefix} may {caller.scope}; this needs one that may {need}")
        scope.setdefault("state", {})["caller"] = caller
        return None

    def _find(self, text: str, is_browser: bool) -> Caller | None:  # noqa: FBT001 - of this class alone
        with self._database.read() as session:
            caller = access_keys.find_session(session, text) if is_browser else access_keys.find_caller(session, text)
            is_noted = caller is None or access_keys.is_use_noted(session, caller.prefix)
        if caller is not None and not is_noted:
            with self._database.write() as session:
                access_keys.note_use(session, caller.prefix)
        return caller

    def forget(self, cookie: str) -> None:
        """Believe nothing of a cookie any longer."""
        self._looks.entries.pop(_look_name(cookie, is_browser=True), None)

    async def _turn_away(self, scope: Scope, headers: Headers) -> ASGIApp:
        if "authorization" in headers or cookie_of(headers):
            if await self.is_slowed((scope.get("client") or ("", 0))[0]):
                return problem_response(_TOO_MANY, "too many keys that are none came from this address; wait a minute")
            said = "the key is none of this service, has expired or was revoked"
        else:
            said = "this service asks for a key: `Authorization: Bearer nas_...`, NAS_KEY for the command line, or the login page"
        reply = problem_response(_NO_KEY, said)
        reply.headers["WWW-Authenticate"] = "Bearer"
        return reply

    async def is_slowed(self, address: str) -> bool:
        """Count a wrong key of an address; hold it up, and return True, where there were too many."""
        now, misses = time.monotonic(), self._misses.of(address)
        while misses and misses[0] < now - _MISSES_S:
            misses.popleft()
        if len(misses) < _MISSES:
            misses.append(now)
            return False
        await asyncio.sleep(_SLOWED_S)
        return True

    def _may_ask(self, caller: Caller) -> bool:
        bucket, now = self._buckets.of(caller.prefix), time.monotonic()
        bucket.left = min(self._burst, bucket.left + (now - bucket.seen) * self._rate)
        bucket.seen = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True


class Gated:
    """ASGI middleware: 401 without a valid key, 403 for what it is not good for, 429 for too much of anything."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        """Wrap an application."""
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is open to everybody, and what somebody with a key may ask."""
        refusal = None if scope["type"] != "http" or _is_open(scope) else await self._gate.refuse(scope)
        await (refusal or self._app)(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    return scope["path"] in _OPEN or any(route.matches(scope)[0] is Match.FULL for route in ROUTES)

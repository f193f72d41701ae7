"""Who is let in: a key or a browser's cookie for every route but health and the pages, and no more requests than a key may send.

What a key is good for is looked up in the database, and believed for a few seconds, so that a page of many requests asks it once.
"""

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from api.audited import SAFE, TurnedAway, address_of
from api.errors import HttpError, map_error, problem_response
from api.guesses import Guesses, Table
from api.pages import ROUTES
from nas_service import access
from nas_service.access import Caller, digest_of, may_be_cookie, prefix_of
from nas_service.errors import DatabaseAwayError, TooManyAtOnceError
from nas_service.storage import access_keys, audit
from nas_service.storage.session import Database

COOKIE = "nas_session"
SESSION_PATH = "/v1/session"
OPEN = {"/healthz", "/readyz", SESSION_PATH}
_BY_ADMINISTRATORS = ("/v1/keys", "/v1/audit")
_BELIEVED_S = 5.0
AT_ONCE = 8  # requests of one key that are worked on; others of it wait, and those of others have threads left

_NO_KEY = HttpError(HTTPStatus.UNAUTHORIZED, "no-key", "A key is needed")
_NOT_ALLOWED = HttpError(HTTPStatus.FORBIDDEN, "not-allowed", "The key does not allow this")
_TOO_MANY = HttpError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", 1)
_ASKS = "this service asks for a key: `Authorization: Bearer nas_...`, NAS_KEY for the command line, or the login page"
_WRONG = "the key is none of this service, has expired or was revoked"
_GUESSES = "too many keys that are none came from this address; wait a minute"


@dataclass
class _Bucket:
    """Requests that a key may send at once; they come back with time."""

    left: float
    seen: float


@dataclass
class _Look:
    """What was last found of a secret that was good once."""

    caller: Caller
    until: float


class _Said:
    """A reply that is sent again and again: what a flood is answered with is made once."""

    def __init__(self, reply: Response) -> None:
        self._status, self._headers, self._body = reply.status_code, tuple(reply.raw_headers), bytes(reply.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": self._status, "headers": list(self._headers)})
        await send({"type": "http.response.body", "body": self._body})


_GUESSED = _Said(problem_response(_TOO_MANY, _GUESSES))


def _unauthorized(said: str) -> _Said:
    reply = problem_response(_NO_KEY, said)
    reply.headers["WWW-Authenticate"] = "Bearer"
    return _Said(reply)


_UNASKED, _MISTAKEN = _unauthorized(_ASKS), _unauthorized(_WRONG)


def needed(method: str, path: str) -> access.Scope:
    """Return the scope that a request needs: an estimate starts nothing, and keys and audit events are an administrator's."""
    if any(path == own or path.startswith(f"{own}/") for own in _BY_ADMINISTRATORS):
        return access.Scope.ADMIN
    return access.Scope.READ if method in SAFE or path.endswith("/estimate") else access.Scope.SUBMIT


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

    def __init__(self, database: Database, requests_per_s: float, turned_away: TurnedAway) -> None:
        """Look for keys in `database`, and tell `turned_away` of whom is refused."""
        self._database = database
        self._rate = requests_per_s
        self._burst = 4 * requests_per_s
        self._looks: Table[_Look | None] = Table(lambda: None)
        self._buckets: Table[_Bucket] = Table(lambda: _Bucket(self._burst, time.monotonic()))
        self._turns: Table[asyncio.Semaphore] = Table(lambda: asyncio.Semaphore(AT_ONCE))
        self._said: Table[_Said | None] = Table(lambda: None)
        self._guesses = Guesses()
        self._turned_away = turned_away

    async def caller(self, headers: Headers, address: str) -> Caller | None:
        """Return whose key or cookie came with a request.

        Raises:
            DatabaseAwayError: If it cannot be told now.
            TooManyAtOnceError: If too many wrong ones came from the address.
        """
        text = _bearer(headers)
        secret = cookie_of(headers) if text is None else text
        return await self.caller_of(secret, address, is_browser=text is None) if secret else None

    async def caller_of(self, secret: str, address: str, *, is_browser: bool = False) -> Caller | None:
        """Return whose key, or cookie, a text is; raises as `caller`."""
        try:
            caller = await self._caller_of(secret, address, is_browser=is_browser)
        except TooManyAtOnceError:
            self._turned_away.note(HTTPStatus.TOO_MANY_REQUESTS, address)
            raise
        if caller is None:
            self._turned_away.note(HTTPStatus.UNAUTHORIZED, address)
        return caller

    async def _caller_of(self, secret: str, address: str, *, is_browser: bool) -> Caller | None:
        name = _look_name(secret, is_browser=is_browser)
        look = self._looks.entries.get(name)
        if look is not None and look.until >= time.monotonic():
            self._looks.entries.move_to_end(name)
            return look.caller
        if self._guesses.is_known(name):
            return None
        is_slowed = look is None and self._guesses.is_slowed(address)
        could_be = may_be_cookie(secret) if is_browser else prefix_of(secret) is not None
        if is_slowed and not (could_be and await self._guesses.wait(address)):
            raise TooManyAtOnceError(_GUESSES)
        caller = await run_in_threadpool(self._find, secret, is_browser) if could_be else None
        if caller is not None:
            self._looks.of(name)
            self._looks.entries[name] = _Look(caller, time.monotonic() + _BELIEVED_S)
            return caller
        self._looks.entries.pop(name, None)
        self._guesses.note(name, address)
        if is_slowed:
            raise TooManyAtOnceError(_GUESSES)
        return None

    async def refuse(self, scope: Scope) -> ASGIApp | None:
        """Return the reply to a request that may not be; None, with its caller in the request's state, where it may."""
        headers, address = Headers(scope=scope), address_of(scope)
        try:
            caller = await self.caller(headers, address)
        except DatabaseAwayError as error:
            return problem_response(map_error(error), str(error))
        except TooManyAtOnceError:
            return _GUESSED
        if caller is None:
            return _MISTAKEN if "authorization" in headers or cookie_of(headers) else _UNASKED
        if not self._may_ask(caller):
            self._turned_away.note(HTTPStatus.TOO_MANY_REQUESTS, address, caller)
            return self._slow_down(caller)
        refused = self._is_forbidden(scope, headers, caller)
        if refused is not None:
            self._turned_away.note(HTTPStatus.FORBIDDEN, address, caller, scope)
            return problem_response(_NOT_ALLOWED, refused)
        scope.setdefault("state", {})["caller"] = caller
        return None

    def _is_forbidden(self, scope: Scope, headers: Headers, caller: Caller) -> str | None:
        """Return why a request may not be, if so."""
        is_browser = _bearer(headers) is None
        if is_browser and scope["method"] not in SAFE and "origin" not in headers:  # a foreign one was turned away before
            return "Origin: a browser names the page that asks; programs send a key instead"
        need = needed(scope["method"], scope["path"])
        if not caller.scope.covers(need):
            return f"the key {caller.prefix} may {caller.scope}; this needs one that may {need}"
        return None

    def _find(self, text: str, is_browser: bool) -> Caller | None:  # noqa: FBT001 - of this class alone
        with self._database.read() as session:
            caller = access_keys.find_session(session, text) if is_browser else access_keys.find_caller(session, text)
            is_noted = caller is None or access_keys.is_use_noted(session, caller.prefix)
        if caller is not None and not is_noted:
            with audit.done_by(None), self._database.write() as session:
                access_keys.note_use(session, caller.prefix)
        return caller

    def forget(self, cookie: str) -> None:
        """Believe nothing of a cookie any longer."""
        self._looks.entries.pop(_look_name(cookie, is_browser=True), None)

    def turn(self, scope: Scope) -> AbstractAsyncContextManager[None]:
        """Return what waits for the turn of a request that was not refused; a stream has none, since it has no end."""
        caller: Caller | None = scope.get("state", {}).get("caller")
        return nullcontext() if caller is None or scope["path"].endswith("/stream") else self._turns.of(caller.prefix)

    def _slow_down(self, caller: Caller) -> ASGIApp:
        said = self._said.of(caller.prefix)
        if said is None:
            told = f"the key {caller.prefix} sends more than {self._rate:g} requests a second (NAS_KEY_REQUESTS_PER_S)"
            said = self._said.entries[caller.prefix] = _Said(problem_response(_TOO_MANY, told))
        return said

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
        if scope["type"] != "http" or _is_open(scope):
            await self._app(scope, receive, send)
            return
        refusal = await self._gate.refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        async with self._gate.turn(scope):
            await self._app(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    return scope["path"] in OPEN or any(route.matches(scope)[0] is Match.FULL for route in ROUTES)

"""Who is let in: a key or a browser's cookie for every route but health and the pages, and no more requests than a key may send.

What a key is good for is looked up in the database, and believed for a few seconds, so that a page of many requests asks it once.
"""

import asyncio
import re
import time
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audited import SAFE, TurnedAway
from api.errors import SESSION_PATH, HttpError, map_error, problem_response
from api.guesses import Guesses, Table
from api.pages import ROUTES
from api.request_facts import address_of
from nas_service import access
from nas_service.access import Caller, digest_of, may_be_cookie, prefix_of
from nas_service.errors import DatabaseAwayError, TooManyAtOnceError
from nas_service.storage import access_keys, audit
from nas_service.storage.session import Database

COOKIE = "nas_session"
OPEN = {"/healthz", "/readyz", SESSION_PATH}
_BY_ADMINISTRATORS = ("/v1/keys", "/v1/audit")
_BELIEVED_S = 5.0
ESTIMATES = {"/v1/searches/estimate", "/v1/trainings/estimate"}  # are asked for by POST, and start nothing
_STREAM = re.compile("/v1(/(searches|trainings)/[^/]+)?/stream")
AT_ONCE = 8  # requests of one key that are worked on; others of it wait, and those of others have threads left
WAITING = 4 * AT_ONCE  # others of it that wait; more are turned away, and those of others have connections left

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


@dataclass
class _Turns:
    """The turns of a key's requests."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0

    async def take(self) -> bool:
        """Wait for a turn; return False, at once, where too many wait."""
        if self.waiting >= WAITING:
            return False
        self.waiting += 1
        try:
            await self.free.acquire()
        finally:
            self.waiting -= 1
        return True


def needed(method: str, path: str) -> access.Scope:
    """Return the scope that a request needs: an estimate starts nothing, and keys and audit events are an administrator's."""
    if any(path == own or path.startswith(f"{own}/") for own in _BY_ADMINISTRATORS):
        return access.Scope.ADMIN
    is_estimate = method == "POST" and path in ESTIMATES
    return access.Scope.READ if method in SAFE or is_estimate else access.Scope.SUBMIT


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
        self._turns: Table[_Turns] = Table(_Turns)
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
            return problem_response(_TOO_MANY, _GUESSES)
        if caller is None:
            return self._unauthorized(headers, address)
        scope.setdefault("state", {})["caller"] = caller  # also of what is refused: the log names the key
        try:
            self.let_ask(caller, address)
        except TooManyAtOnceError as error:
            return problem_response(_TOO_MANY, str(error))
        refused = self._is_forbidden(scope, headers, caller)
        if refused is not None:
            self._turned_away.note(HTTPStatus.FORBIDDEN, address, caller, scope)
            return problem_response(_NOT_ALLOWED, refused)
        return None

    def _unauthorized(self, headers: Headers, address: str) -> ASGIApp:
        """Return the reply to nobody; who showed something was counted where it was found to be wrong."""
        is_unasked = "authorization" not in headers and not cookie_of(headers)
        if is_unasked:
            self._turned_away.note(HTTPStatus.UNAUTHORIZED, address)
        reply = problem_response(_NO_KEY, _ASKS if is_unasked else _WRONG)
        reply.headers["WWW-Authenticate"] = "Bearer"
        return reply

    def let_ask(self, caller: Caller, address: str) -> None:
        """Count a request of somebody.

        Raises:
            TooManyAtOnceError: If the key sends more than it may.
        """
        if not self._may_ask(caller):
            self._turned_away.note(HTTPStatus.TOO_MANY_REQUESTS, address, caller)
            raise TooManyAtOnceError(
                f"the key {caller.prefix} sends more than {self._rate:g} requests a second (NAS_KEY_REQUESTS_PER_S)"
            )

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

    async def in_turn(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that was not refused when it is its turn, until its reply begins: whoever takes one slowly holds none.

        A stream has no turn: its reply begins when it likes, and streams have a limit of their own.
        """
        caller: Caller | None = scope.get("state", {}).get("caller")
        if caller is None or (scope["method"] == "GET" and _STREAM.fullmatch(scope["path"])):
            await app(scope, receive, send)
            return
        turns, is_held = self._turns.of(caller.prefix), True
        if not await turns.take():
            self._turned_away.note(HTTPStatus.TOO_MANY_REQUESTS, address_of(scope), caller)
            await problem_response(_TOO_MANY, f"{WAITING} requests of the key {caller.prefix} wait already")(scope, receive, send)
            return

        def give_back() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                turns.free.release()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                give_back()
            await send(message)

        try:
            await app(scope, receive, sent)
        finally:
            give_back()

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
        await self._gate.in_turn(self._app, scope, receive, send)


def _is_open(scope: Scope) -> bool:
    return scope["path"] in OPEN or any(route.matches(scope)[0] is Match.FULL for route in ROUTES)

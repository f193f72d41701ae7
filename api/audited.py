"""What goes into the audit events: every request that changes anything, and those that are turned away, counted."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import structlog
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from api.request_facts import address_of, method_of, route_of
from nas_service.access import Caller
from nas_service.errors import DatabaseAwayError
from nas_service.logs import Outage
from nas_service.storage import audit
from nas_service.storage.audit import Deed
from nas_service.storage.session import Database

log = structlog.get_logger()

EVERY_S = 60.0  # between two times that refusals are written down
KINDS = 30  # of them that are told apart in that time, with a key and without one: a flood must not fill a disk
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # they change nothing
_ANYTHING = "any request"

_Kind = tuple[int, str, str | None, str | None, str]  # status, address, owner, key, action


class Audited:
    """ASGI middleware: whatever a request commits that may change anything is its caller's deed."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry a request out in the name of whoever sent it."""
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self._app(scope, receive, send)
            return
        state: dict[str, Any] = scope.get("state") or {}
        caller: Caller | None = state.get("caller")
        deed = Deed(scope["method"], address_of(scope), request_id=state.get("request_id"))
        if caller is not None:
            deed.owner, deed.key = caller.owner, caller.prefix
        with audit.done_by(deed):
            await self._app(scope, receive, send)


async def tell_route(request: Request) -> None:
    """Say of what is being done which route it is, to what, and what the reply will be; of every route a dependency."""
    deed, route = audit.deed_under_way(), request.scope.get("route")
    if deed is None or route is None:
        return
    start = "/v1" if request.url.path.startswith("/v1/") and not route.path.startswith("/v1/") else ""
    deed.action = f"{request.method} {start}{route.path}"
    deed.resource = "/".join(map(str, request.path_params.values())) or None
    deed.status = route.status_code or 200


def _no_counts() -> dict[bool, Counter[_Kind]]:
    """Return empty counts of who showed a good key and who did not: strangers push nobody out who has a name."""
    return {True: Counter(), False: Counter()}


class TurnedAway:
    """Requests that were turned away at the gate, counted by who and why, and written down once a minute."""

    def __init__(self, database: Database) -> None:
        """Begin with none."""
        self._database = database
        self._counts = _no_counts()
        self._outage = Outage("audit.not_written")
        self._task: asyncio.Task[None] | None = None

    def note(self, status: int, address: str, caller: Caller | None = None, scope: Scope | None = None) -> None:
        """Count one; `scope` where it matters what was asked for."""
        action = _ANYTHING if scope is None else f"{method_of(scope)} {route_of(scope)}"
        who = (None, None) if caller is None else (caller.owner, caller.prefix)
        kind = (status, address, *who, action)
        counts = self._counts[caller is not None]
        if kind not in counts and len(counts) >= KINDS:
            kind = (status, "others", None, None, _ANYTHING)
        counts[kind] += 1

    def start(self) -> None:
        """Write down once in a while, on the event loop that runs now."""
        self._task = asyncio.create_task(self._write_on(), name="turned-away")

    async def stop(self) -> None:
        """Write down what is left, and write no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.write()

    async def write(self) -> None:
        """Write down what was counted; with a database that is away it is kept for the next time, but not what none takes."""
        counts, self._counts = self._counts, _no_counts()
        if not any(counts.values()):
            return
        try:
            await run_in_threadpool(self._record, counts[True] + counts[False])
            self._outage.over()
        except DatabaseAwayError as error:
            self._outage.seen(f"{type(error).__name__}: {error}")
            for is_named, kept in counts.items():
                self._counts[is_named].update(kept)
        except Exception as error:
            lost = sum(count for kinds in counts.values() for count in kinds.values())
            log.exception("audit.dropped", refusals=lost, exc_info=error)

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.write()

    def _record(self, counts: Counter[_Kind]) -> None:
        rows = [
            (Deed(action, address, owner=owner, key=key, status=status), count)
            for (status, address, owner, key, action), count in counts.items()
        ]
        with self._database.write() as session:
            audit.record(session, rows)

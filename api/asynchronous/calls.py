"""Calls over HTTP: what every method of `AsyncNasClient` is made of."""

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx
from pydantic import BaseModel, PrivateAttr

from api.following import SILENCE_S, Parser, StreamMessage
from api.patience import ASK_EVERY_S, Patience
from api.refusals import ApiError, BrokenReplyError, UnansweredError, in_our_words, raise_for, read
from api.rows import AsyncRows
from api.saving import saving
from api.views import Page, View
from nas_service.connections import connect_http_async, key_headers, service_url

if TYPE_CHECKING:
    from api.asynchronous.client import AsyncNasClient

Item = TypeVar("Item", bound=BaseModel)

TIMEOUT_S = 60.0


class AsyncBound(View):
    """Base of views that can ask the service for more."""

    _client: "AsyncNasClient" = PrivateAttr()


class AsyncCalls:
    """A connection to a service.

    Attributes:
        url: Its address.
    """

    def __init__(self, url: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Connect, when something is asked first.

        Args:
            url: Address of the service; None: that of the environment (`NAS_URL`), else `http://127.0.0.1:8000`.
            timeout_s: Seconds that an answer may take.

        Raises:
            AddressError: If the address is none.
            NotReadyError: If the environment names a proxy that cannot be used.
        """
        self.url = service_url(url)
        self._timeout_s = timeout_s
        self._http = connect_http_async(self.url, timeout_s, key_headers())

    def __reduce__(self) -> tuple[type[Self], tuple[str, float]]:
        """Make a connection of one's own, where it is pickled or copied: with it jobs and results go to other processes."""
        return type(self), (self.url, self._timeout_s)

    async def __aenter__(self) -> Self:
        """Use it in an `async with` block."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; what came through it, jobs and lists, opens another one where it is asked for more."""
        await self._http.aclose()

    def _connected(self) -> httpx.AsyncClient:
        if self._http.is_closed:
            self._http = connect_http_async(self.url, self._timeout_s, key_headers())
        return self._http

    async def _request(self, verb: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own options
        with in_our_words(self.url, f"{verb} {path}"):
            reply = await self._connected().request(verb, path, **options)
        raise_for(reply)
        return reply

    async def _read(self, view: type[Item], verb: str, path: str, **options: Any) -> Item:  # noqa: ANN401 - as above
        reply = await self._request(verb, path, **options)
        return self._bind(read(view, reply, self.url, f"{verb} {path}"))

    async def _one(self, path: str, view: type[Item], params: Mapping[str, Any] | None = None) -> Item:
        return await self._read(view, "GET", path, params=params)

    async def _submit(self, kind: str, view: type[Item], spec: Mapping[str, Any], key: str | None, priority: int = 0) -> Item:
        headers = {"Idempotency-Key": key} if key else {}
        params = {"priority": priority} if priority else {}
        return await self._read(view, "POST", f"/v1/{kind}", json=dict(spec), headers=headers, params=params)

    def _all(self, path: str, view: type[Item], filters: Mapping[str, Any]) -> AsyncRows[Item]:
        async def more(cursor: str | None) -> Page[Item]:
            params = dict(filters) | ({"cursor": cursor} if cursor else {})
            page = await self._read(cast("type[Page[Item]]", Page[view]), "GET", path, params=params)  # type: ignore[valid-type]
            for entry in page.items:
                self._bind(entry)
            return page

        return AsyncRows(more, view)

    def _bind(self, entry: Item) -> Item:
        """Return a view that can ask for more, if it is one that does."""
        if isinstance(entry, AsyncBound):
            entry._client = cast("AsyncNasClient", self)
        return entry

    async def _save(self, path: str, params: Mapping[str, str], target: str | os.PathLike[str] | None, name: str) -> Path:
        """Receive a file; the place is opened before it is asked for, and keeps what it held if that fails."""
        asked = f"GET {path}"
        with saving(target, name) as place:
            with in_our_words(self.url, asked):
                async with self._connected().stream("GET", path, params=params) as reply:
                    if not reply.is_success:
                        await reply.aread()
                    raise_for(reply)
                    place.name_after(reply)
                    async for part in reply.aiter_bytes():
                        place.write(part)
            return place.path

    async def _follow(self, path: str, after: int | None, *, log: bool) -> AsyncIterator[StreamMessage]:
        """Yield the messages of a stream until it has ended, `end` the last; every event once.

        Args:
            path: Of the stream.
            after: Event after which to begin; None: with the next one.
            log: Whether lines of the log are asked for.
        """
        patience = Patience()
        while True:
            pause_s = ASK_EVERY_S
            try:
                async for message in self._listen(path, after, log=log):
                    patience.calm()
                    after = after if message.id is None else message.id
                    yield message
                    if message.kind == "end":
                        return
            except (ApiError, UnansweredError) as error:
                pause_s = patience.pause_s(error)
            await self._pause(pause_s)

    async def _listen(self, path: str, after: int | None, *, log: bool) -> AsyncIterator[StreamMessage]:
        usual, asked, parser = self._connected().timeout, f"GET {path}", Parser()
        options: dict[str, Any] = {
            "params": {"log": "true"} if log else {},
            "headers": {} if after is None else {"Last-Event-ID": str(after)},
            "timeout": httpx.Timeout(connect=usual.connect, read=SILENCE_S, write=usual.write, pool=usual.pool),
        }
        with in_our_words(self.url, asked):
            async with self._connected().stream("GET", path, **options) as reply:
                if not reply.is_success:
                    await reply.aread()
                raise_for(reply)
                async for line in reply.aiter_lines():
                    try:
                        message = parser.take(line)
                    except ValueError as error:
                        raise BrokenReplyError(self.url, asked, line) from error
                    if message is not None:
                        yield message

    async def _pause(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - there where an event loop is, and slow to load where there is none

        await asyncio.sleep(seconds)

# Written by `python -m docs.synchronous` from api/asynchronous/calls.py: change that.
"""Calls over HTTP: what every method of `NasClient` is made of."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx
from pydantic import BaseModel, PrivateAttr

from api.following import SILENCE_S, Parser, StreamMessage
from api.patience import ASK_EVERY_S, Patience
from api.refusals import ApiError, BrokenReplyError, UnansweredError, in_our_words, raise_for, read
from api.rows import Rows
from api.saving import saving
from api.views import Page, View
from nas_service.connections import connect_http, key_headers, service_url

if TYPE_CHECKING:
    from api.synchronous.client import NasClient

Item = TypeVar("Item", bound=BaseModel)

TIMEOUT_S = 60.0


class Bound(View):
    """Base of views that can ask the service for more."""

    _client: "NasClient" = PrivateAttr()


class Calls:
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
        self._http = connect_http(self.url, timeout_s, key_headers())

    def __reduce__(self) -> tuple[type[Self], tuple[str, float]]:
        """Make a connection of one's own, where it is pickled or copied: with it jobs and results go to other processes."""
        return type(self), (self.url, self._timeout_s)

    def __enter__(self) -> Self:
        """Use it in an `with` block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; what came through it, jobs and lists, opens another one where it is asked for more."""
        self._http.close()

    def _connected(self) -> httpx.Client:
        if self._http.is_closed:
            self._http = connect_http(self.url, self._timeout_s, key_headers())
        return self._http

    def _request(self, verb: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own options
        with in_our_words(self.url, f"{verb} {path}"):
            reply = self._connected().request(verb, path, **options)
        raise_for(reply)
        return reply

    def _read(self, view: type[Item], verb: str, path: str, **options: Any) -> Item:  # noqa: ANN401 - as above
        reply = self._request(verb, path, **options)
        return self._bind(read(view, reply, self.url, f"{verb} {path}"))

    def _one(self, path: str, view: type[Item], params: Mapping[str, Any] | None = None) -> Item:
        return self._read(view, "GET", path, params=params)

    def _submit(self, kind: str, view: type[Item], spec: Mapping[str, Any], key: str | None, priority: int = 0) -> Item:
        headers = {"Idempotency-Key": key} if key else {}
        params = {"priority": priority} if priority else {}
        return self._read(view, "POST", f"/v1/{kind}", json=dict(spec), headers=headers, params=params)

    def _all(self, path: str, view: type[Item], filters: Mapping[str, Any]) -> Rows[Item]:
        def more(cursor: str | None) -> Page[Item]:
            params = dict(filters) | ({"cursor": cursor} if cursor else {})
            page = self._read(cast("type[Page[Item]]", Page[view]), "GET", path, params=params)  # type: ignore[valid-type]
            for entry in page.items:
                self._bind(entry)
            return page

        return Rows(more, view)

    def _bind(self, entry: Item) -> Item:
        """Return a view that can ask for more, if it is one that does."""
        if isinstance(entry, Bound):
            entry._client = cast("NasClient", self)
        return entry

    def _save(self, path: str, params: Mapping[str, str], target: str | os.PathLike[str] | None, name: str) -> Path:
        """Receive a file; the place is opened before it is asked for, and keeps what it held if that fails."""
        asked = f"GET {path}"
        with saving(target, name) as place:
            with in_our_words(self.url, asked), self._connected().stream("GET", path, params=params) as reply:
                if not reply.is_success:
                    reply.read()
                raise_for(reply)
                place.name_after(reply)
                for part in reply.iter_bytes():
                    place.write(part)
            return place.path

    def _follow(self, path: str, after: int | None, *, log: bool) -> Iterator[StreamMessage]:
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
                for message in self._listen(path, after, log=log):
                    patience.calm()
                    after = after if message.id is None else message.id
                    yield message
                    if message.kind == "end":
                        return
            except (ApiError, UnansweredError) as error:
                pause_s = patience.pause_s(error)
            self._pause(pause_s)

    def _listen(self, path: str, after: int | None, *, log: bool) -> Iterator[StreamMessage]:
        usual, asked, parser = self._connected().timeout, f"GET {path}", Parser()
        options: dict[str, Any] = {
            "params": {"log": "true"} if log else {},
            "headers": {} if after is None else {"Last-Event-ID": str(after)},
            "timeout": httpx.Timeout(connect=usual.connect, read=SILENCE_S, write=usual.write, pool=usual.pool),
        }
        with in_our_words(self.url, asked), self._connected().stream("GET", path, **options) as reply:
            if not reply.is_success:
                reply.read()
            raise_for(reply)
            for line in reply.iter_lines():
                try:
                    message = parser.take(line)
                except ValueError as error:
                    raise BrokenReplyError(self.url, asked, line) from error
                if message is not None:
                    yield message

    def _pause(self, seconds: float) -> None:
        import time  # noqa: PLC0415 - there where an event loop is, and slow to load where there is none

        time.sleep(seconds)

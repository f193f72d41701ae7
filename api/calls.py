"""Calls over HTTP: what every method of `NasClient` is made of."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from api.refusals import raise_for
from api.views import JobView, Page
from nas_service.connections import connect_http

Item = TypeVar("Item", bound=BaseModel)

TIMEOUT_S = 60.0


class Calls:
    """A connection to a service."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """Connect lazily to `url`.

        Raises:
            NotReadyError: If the environment names a proxy that cannot be used.
        """
        self.url = url
        self._http = connect_http(url, timeout_s)

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection."""
        self._http.close()

    def _submit(self, kind: str, spec: Mapping[str, Any], key: str | None) -> JobView:
        headers = {"Idempotency-Key": key} if key else {}
        return JobView.model_validate_json(self._request("POST", f"/v1/{kind}", json=dict(spec), headers=headers).content)

    def _ask(self, plural: str, job_id: str, action: str) -> JobView:
        return JobView.model_validate_json(self._request("POST", f"/v1/{plural}/{job_id}/{action}").content)

    def _one(self, path: str, view: type[Item], params: Mapping[str, Any] | None = None) -> Item:
        return view.model_validate_json(self._request("GET", path, params=params).content)

    def _all(self, path: str, view: type[Item], filters: Mapping[str, Any]) -> Iterator[Item]:
        cursor: str | None = None
        while True:
            params = dict(filters) | ({"cursor": cursor} if cursor else {})
            page = Page[view].model_validate_json(self._request("GET", path, params=params).content)  # type: ignore[valid-type]
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def _request(self, verb: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own options
        reply = self._http.request(verb, path, **options)
        raise_for(reply)
        return reply

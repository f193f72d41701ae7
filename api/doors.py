"""Who a request is for, and which page sent it: names that this service answers to, and what every reply tells a browser.

A page on the web reaches a service on its reader's machine by having a name of its own lead to 127.0.0.1 (DNS rebinding): the
browser then takes the service for that page's. The `Host` of such a request is the page's name, so only names that are known
are answered. A number is no name, and cannot be made to lead elsewhere.
"""

import ipaddress
import re
from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import HttpError, problem_response

_OTHER_NAME = HttpError(HTTPStatus.MISDIRECTED_REQUEST, "unknown-host", "The service does not go by this name")
_OTHER_PAGE = HttpError(HTTPStatus.FORBIDDEN, "foreign-origin", "A page of another site asked")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_PORTS = {"http": "80", "https": "443"}
_SHOWN = 200  # characters of a header that are sent back
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# What is no page needs nothing; a picture that is opened by itself has styles of its own. The pages have policies of their own.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_PAGE_POLICY = "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"  # /docs and /redoc, which bring scripts of their own


def split_authority(given: str) -> tuple[str, str] | None:
    """Return host (in lower case, without brackets) and port ("" where it is left out); None where it is no such thing."""
    found = _AUTHORITY.fullmatch(given)
    return (found["host"].strip("[]").rstrip(".").lower(), found["port"] or "") if found else None


def answers_to(host: str, names: Sequence[str]) -> bool:
    """Return whether a service with these names answers to a host: numbers and localhost always; `*.` stands for names below."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        known = ("localhost", "*.localhost", *(name.lower() for name in names))
        return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in known)
    return True


def _is_own(origin: str, host: str) -> bool:
    """Return whether a page's origin is the host that it asks; a proxy in front may have taken https off."""
    scheme, _, authority = origin.partition("://")
    page, asked = split_authority(authority), split_authority(host)
    usual = _PORTS.get(scheme)
    if page is None or asked is None or usual is None:
        return False
    return page[0] == asked[0] and (page[1] or usual) == (asked[1] or usual)


class Doors:
    """ASGI middleware: 421 for a `Host` that is not ours, 403 for an `Origin` that is not, and headers for browsers."""

    def __init__(self, app: ASGIApp, names: Sequence[str], origins: Sequence[str]) -> None:
        """Wrap an application that goes by `names`, and that pages of `origins` may ask beside its own."""
        self._app = app
        self._names = names
        self._origins = [origin.lower() for origin in origins]  # browsers send small letters, people write others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is meant for this service."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _guard(MutableHeaders(scope=message))
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refuse(headers.getlist("host"), headers.getlist("origin"))
        await (refusal or self._app)(scope, receive, guarded)

    def _refuse(self, hosts: list[str], origins: list[str]) -> ASGIApp | None:
        host = hosts[0] if len(hosts) == 1 else ""
        asked = split_authority(host)
        if asked is None or not answers_to(asked[0], self._names):
            given = ascii(", ".join(hosts)[:_SHOWN])
            return problem_response(
                _OTHER_NAME, f"Host: {given} is no name of this service; allowed: numbers, localhost, names in NAS_ALLOWED_HOSTS"
            )
        for origin in origins:
            if origin.lower() not in self._origins and not _is_own(origin, host):
                given = ascii(origin[:_SHOWN])
                return problem_response(
                    _OTHER_PAGE,
                    f"Origin: {given} is another site; allowed: the service's own pages, sites in NAS_ALLOWED_ORIGINS",
                )
        return None


def _guard(headers: MutableHeaders) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    is_page = headers.get("content-type", "").startswith("text/html")
    headers.setdefault("Content-Security-Policy", _PAGE_POLICY if is_page else _POLICY)

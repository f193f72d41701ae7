"""The doctor on the service itself: the port that it would listen on, and what answers where clients look for it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version

import httpx
from pydantic import ValidationError

from api.doctor.database import MOST_SKEW_S
from api.doctor.findings import Finding, broken, note, ok, warning
from api.readiness import OK, SOFT
from api.server import listening
from api.system_views import SystemView
from api.views import Readiness
from nas_service.connections import URL_VARIABLE, AddressError, bare_address, connect_http, is_loopback, key_headers, service_url
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.storage.engines import database_file, parse_url
from nas_service.wording import printable

_TIME_OUTS = httpx.Timeout(7.0, connect=2.0)  # readiness itself looks for five seconds
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not listened on


def see_port(settings: Settings) -> Iterator[Finding]:
    """Look whether a service could listen where it should, or does."""
    if settings.port == 0:
        yield ok("port", "any free one is taken")
        return
    where = f"port {settings.port} of {settings.host}"
    try:
        with listening(settings.host, settings.port):
            pass
    except NotReadyError as error:
        if _is_ours(settings):
            yield ok("port", f"a service of ours listens on {where}")
            return
        said, _, advice = str(error).rpartition(": " if "no address" in str(error) else "; ")
        yield broken("port", said, advice)
    else:
        yield ok("port", f"{where} is free: no service runs on it")


def _is_ours(settings: Settings) -> bool:
    host = _EVERYWHERE.get(settings.host, settings.host)
    try:
        with connect_http(f"http://{host}:{settings.port}", _TIME_OUTS) as http:
            Readiness.model_validate_json(http.get("/readyz").content)
    except (httpx.HTTPError, httpx.InvalidURL, ValidationError):
        return False
    return True


def see_service(settings: Settings) -> Iterator[Finding]:
    """Ask the service that clients of this environment ask."""
    try:
        url = service_url(settings.url)
    except AddressError as error:
        yield broken(
            "service",
            f"NAS_URL is {printable(bare_address(settings.url))!r}, which is no address",
            "write it as http://HOST:PORT",
        )
        del error
        return
    try:
        with connect_http(url, _TIME_OUTS, key_headers()) as http:
            yield from _see_answers(url, http)
    except httpx.HTTPError as error:
        said = f"no service answers at {bare_address(url)} ({printable(str(error)) or type(error).__name__})"
        advice = "start one with `nas serve`, or say where it is with NAS_URL"
        is_missed = URL_VARIABLE in os.environ and not _never_ran(settings)
        yield broken("service", said, advice) if is_missed else note("service", said, advice)
    except NotReadyError:
        return  # of proxies, which has a check of its own


def _never_ran(settings: Settings) -> bool:
    """Return whether the service that is asked would be this machine's own, and has no database yet: it is not started yet."""
    url = httpx.URL(settings.url)
    try:
        file = database_file(parse_url(settings.database))
    except NotReadyError:
        return False  # another check's matter
    return is_loopback(url.host) and url.port == settings.port and file is not None and not file.exists()


def _see_answers(url: str, http: httpx.Client) -> Iterator[Finding]:
    asked_at = datetime.now(UTC)
    reply = http.get("/readyz")
    here = asked_at + (datetime.now(UTC) - asked_at) / 2
    if reply.status_code == HTTPStatus.MISDIRECTED_REQUEST:
        host = httpx.URL(url).host
        yield broken(
            "service", f"the service does not go by the name {host}", f"put {host} into NAS_ALLOWED_HOSTS of the service"
        )
        return
    try:
        told = Readiness.model_validate_json(reply.content)
    except ValidationError:
        said = f"what answers at {bare_address(url)} (status {reply.status_code}) is no service of ours"
        yield broken("service", said, "see what listens there, or mend NAS_URL")
        return
    yield ok("service", f"answers at {bare_address(url)}, and is {told.status}")
    yield from _readiness(told)
    yield from _skew(reply.headers.get("Date"), here)
    yield from _see_versions(http)


def _readiness(told: Readiness) -> Iterator[Finding]:
    for name, said in told.checks.items():
        if said != OK:
            level = warning if name in SOFT else broken
            yield level(
                "service", f"it says of its {name}: {printable(said)}", "see to that on its machine: run `nas doctor` there"
            )


def _skew(date: str | None, here: datetime) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return
    skew_s = (there - here).total_seconds()
    if abs(skew_s) > MOST_SKEW_S:
        said = f"the service's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
        yield warning("clock", said, "let both go by a time server (chrony, systemd-timesyncd)")
    else:
        yield ok("clock", "the service's clock and this machine's agree")


def _see_versions(http: httpx.Client) -> Iterator[Finding]:
    reply = http.get("/v1/system")
    if reply.status_code == HTTPStatus.UNAUTHORIZED:
        if key_headers():
            yield broken("service", "it does not take the key in NAS_KEY", "ask its administrator for another one, or unset it")
        else:
            yield warning("service", "it asks for a key, and NAS_KEY has none", "set NAS_KEY to yours")
        return
    if not reply.is_success:
        return  # its readiness says why
    try:
        told = SystemView.model_validate_json(reply.content)
    except ValidationError:
        yield warning("service", "its API is not the one that this version speaks", "install the version of the service here")
        return
    try:
        ours = version("nas-service")
    except PackageNotFoundError:
        return
    theirs = told.versions.get("nas", "")
    if theirs != ours:
        yield warning(
            "service", f"it is version {theirs}, and {ours} is installed here", "install the version of the service here"
        )

"""Connections over HTTP to services of ours: this machine is asked directly, whatever proxies the environment names."""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from nas_service.errors import NasError, NotReadyError
from nas_service.wording import printable

URL_VARIABLE = "NAS_URL"
KEY_VARIABLE = "NAS_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"  # where `nas serve` listens


class AddressError(NasError, ValueError):
    """What was given is no address of a service."""

    def __init__(self, url: str) -> None:
        """Keep it, and say what one looks like."""
        self.url = url
        super().__init__(
            f"'{printable(url)}' is no address of a service; allowed: http://HOST:PORT, with --url, NasClient(url) or "
            f"{URL_VARIABLE}"
        )


def service_url(given: str | None = None) -> str:
    """Return the address of the service: what is given, else what the environment says, else this machine's.

    Raises:
        AddressError: If it is none: without `http://` or `https://`, or without a host.
    """
    url = os.environ.get(URL_VARIABLE, DEFAULT_URL) if given is None else given
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressError(url) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise AddressError(url)
    return url


def key_headers() -> dict[str, str]:
    """Return the headers that show the environment's key to a service; none where there is no key."""
    key = os.environ.get(KEY_VARIABLE, "")
    return {"Authorization": f"Bearer {key}"} if key else {}


def bare_address(url: str) -> str:
    """Return scheme, host and port of an address alone, for people to read: the rest may hold a password."""
    scheme = url.partition("://")[0] + "://" if "://" in url else ""
    # A password that nobody escaped may have anything in it: what is after the last "@" is none of it.
    host = re.split(r"[/?#]", url.removeprefix(scheme).rpartition("@")[2], maxsplit=1)[0]
    return f"{scheme}{host}"


def is_loopback(host: str) -> bool:
    """Return whether an address, or a name that never leads elsewhere, is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def connect_http(url: str, timeout: float | httpx.Timeout, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a connection that is made when it is first used.

    Raises:
        NotReadyError: If the environment names a proxy that cannot be used.
    """
    with _through_proxies(url) as direct:
        return httpx.Client(base_url=url, timeout=timeout, headers=dict(headers or {}), trust_env=not direct)


def connect_http_async(url: str, timeout: float | httpx.Timeout, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """As `connect_http`, for an event loop."""
    with _through_proxies(url) as direct:
        return httpx.AsyncClient(base_url=url, timeout=timeout, headers=dict(headers or {}), trust_env=not direct)


@contextmanager
def _through_proxies(url: str) -> Iterator[bool]:
    """Tell whether an address is asked directly, and say in our words which proxy cannot be used."""
    host = httpx.URL(url).host
    try:
        yield not host or is_loopback(host)  # without one it is no address, which whoever asks is told
    except (ImportError, ValueError) as error:  # httpx's words for a kind of proxy that it does not know
        said = str(error).split(". ")[0]
        raise NotReadyError(
            f"the proxy that the environment names (ALL_PROXY, HTTPS_PROXY or HTTP_PROXY) cannot be used: {said}; unset it, or "
            f"put {host} into NO_PROXY"
        ) from error

"""Connections over HTTP to services of ours: this machine is asked directly, whatever proxies the environment names."""

import ipaddress
from collections.abc import Mapping

import httpx

from nas_service.errors import NotReadyError


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
    host = httpx.URL(url).host
    direct = not host or is_loopback(host)  # without one it is no address, which whoever asks is told
    try:
        return httpx.Client(base_url=url, timeout=timeout, headers=dict(headers or {}), trust_env=not direct)
    except (ImportError, ValueError) as error:  # httpx's words for a kind of proxy that it does not know
        said = str(error).split(". ")[0]
        raise NotReadyError(
            f"the proxy that the environment names (ALL_PROXY, HTTPS_PROXY or HTTP_PROXY) cannot be used: {said}; unset it, or "
            f"put {host} into NO_PROXY"
        ) from error

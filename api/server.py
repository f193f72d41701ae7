"""The server: a port that is taken before anything else happens, limits on clients, and an end within seconds."""

import asyncio
import errno
import gc
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from api.connections import WAITING, ConnectionLimits, GuardedConfig, LoopTrouble, raise_handle_limit
from nas_service.errors import NotReadyError
from nas_service.settings import Settings

log = structlog.get_logger()

_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
DRAIN_S = 3  # for answers that are under way when the service is asked to end
END_S = 9.0  # for everything that the end takes; Docker kills after 10


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Give sockets that listen on every address of `host`, so that nobody else can take the port; 0 takes any free one.

    Raises:
        NotReadyError: If the port is taken, or the address is not one of this machine.
    """
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        absent: OSError | None = None
        for family, address in _addresses(host):
            taken = sockets[0].getsockname()[1] if sockets else port
            try:
                listener = socket.create_server((address, taken), family=family, backlog=WAITING)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise NotReadyError(f"port {taken} of {host} {_reason(error)}; choose one with --port or NAS_PORT") from error
                absent = error  # a name may stand for an IPv6 address too where there is no IPv6
            else:
                # Connections inherit it. asyncio sets it for sockets of its own making only, and every second write would
                # wait some 40 ms for the client's system to say that it got the first.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets.append(opened.enter_context(listener))
        if not sockets:
            raise NotReadyError(f"{host} is no address of this machine: choose one with --host or NAS_HOST") from absent
        yield sockets


def _reason(error: OSError) -> str:
    known = {errno.EADDRINUSE: "is in use (another nas serve?)", errno.EACCES: "is not open to this user"}
    return known.get(error.errno or 0, f"cannot be listened on ({error.strerror})")


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return []
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def url_of(sockets: Sequence[socket.socket]) -> str:
    """Return the address that a client on this machine uses."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class GuardedServer(uvicorn.Server):
    """uvicorn's server that ends drivers the moment it is asked to end, not after its clients are done."""

    def __init__(self, config: uvicorn.Config, end_drivers: Callable[[], None], end_streams: Callable[[], None]) -> None:
        """Keep what is to be called once when the end begins: in a thread, and on the event loop."""
        super().__init__(config)
        self._end_drivers = end_drivers
        self._end_streams = end_streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, with an ear for what the event loop complains of."""
        asyncio.get_running_loop().set_exception_handler(LoopTrouble())
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(WAITING)  # uvicorn and asyncio have one figure for both: what waits, and what is taken at once

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams at once, and drivers while other answers are brought to their end; leave what does not end in time."""
        self._end_streams()
        drivers = asyncio.create_task(asyncio.to_thread(self._end_drivers))
        try:
            async with asyncio.timeout(END_S):
                await super().shutdown(sockets)
                await drivers
        except TimeoutError:
            log.warning("server.ended_early", limit_s=END_S)  # a driver that is left goes on or is taken over: the lease decides


def _settle() -> None:
    """Do what the first requests would hold up everybody with: importing the catalogue, and garbage collection.

    A full collection walks through everything that torch and its like made, some 0.4 s in which no thread runs. None of it is
    ever garbage, so it is taken out of what is walked through.
    """
    from nas_service.catalogue import load_entries  # noqa: PLC0415 - it loads torch, and whether the port is free is told first

    load_entries()
    gc.collect()
    gc.freeze()


def serve_application(app: FastAPI, sockets: list[socket.socket], settings: Settings) -> None:
    """Serve the application of `api.app.create_app` until SIGTERM or SIGINT."""
    _settle()
    limits = ConnectionLimits.of_handles(raise_handle_limit(), settings.header_timeout_s)
    proxies = os.environ.get(
        "FORWARDED_ALLOW_IPS", ""
    )  # uvicorn's own variable; by itself it believes every program of this host
    config = GuardedConfig(
        app, limits, log_level="warning", log_config=None, timeout_graceful_shutdown=DRAIN_S, forwarded_allow_ips=proxies
    )
    streams = app.state.service.streams
    streams.most = min(streams.most, limits.connections // 2)  # a stream's connection is never closed for others
    GuardedServer(config, app.state.end_drivers, streams.close).run(sockets)

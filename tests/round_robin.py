"""A load balancer without sticky sessions: every connection goes to the next replica that answers."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


class RoundRobin:
    """Forwards connections by turns.

    Attributes:
        served: How many connections each replica got.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        """Keep the replicas' addresses."""
        self._places = [(parts.hostname or "", parts.port or 80) for parts in map(urlsplit, urls)]
        self._turns = itertools.cycle(range(len(urls)))
        self.served = [0] * len(urls)

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection with the next replica that takes one."""
        for _ in self._places:
            place = next(self._turns)
            try:
                upstream = await asyncio.open_connection(*self._places[place])
            except OSError:
                continue
            self.served[place] += 1
            with suppress(asyncio.CancelledError):  # the block ended
                await asyncio.gather(_pipe(reader, upstream[1]), _pipe(upstream[0], writer))
            return
        writer.close()


@contextmanager
def round_robin(urls: Sequence[str]) -> Iterator[tuple[str, RoundRobin]]:
    """Balance inside the block; give the address and what counts connections."""
    balancer, ready, stopping = RoundRobin(urls), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    address: list[str] = []

    async def serve() -> None:
        server = await asyncio.start_server(balancer.forward, "127.0.0.1", 0)
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await stopping.wait()
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="balancer")
    thread.start()
    ready.wait()
    try:
        yield address[0], balancer
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()

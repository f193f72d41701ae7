"""Wrong keys and cookies: how many an address tried, and how it is slowed.

A wrong text is looked up once a minute, however often it comes: a browser whose cookie has expired, or a program whose key was
revoked, guesses nothing. An address that tried too many different ones waits in a short line for every further one, and is turned
away at once where that is full, so that neither the database nor anybody's connection is kept busy.
"""

import asyncio
import ipaddress
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MOST, WITHIN_S, SLOWED_S = 10, 60.0, 1.0  # wrong texts of one address in so many seconds, and what each further one waits
LINE = 4  # texts of one address that wait at once
_KEPT = 10_000  # entries of any table: what strangers send must not take memory without end

T = TypeVar("T")


@dataclass
class Table(Generic[T]):
    """Entries by name, of which the least recently used go where there are too many."""

    make: Callable[[], T]
    entries: OrderedDict[str, T] = field(default_factory=OrderedDict)

    def of(self, name: str) -> T:
        """Return an entry, made now if there is none."""
        entry = self.entries.pop(name) if name in self.entries else self.make()
        self.entries[name] = entry
        while len(self.entries) > _KEPT:
            self.entries.popitem(last=False)
        return entry


def network_of(address: str) -> str:
    """Return whom an address belongs to: one of IPv6 is one of 2^64 that whoever has it may use."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    mapped = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if mapped is None else str(mapped)


class Guesses:
    """What was tried and was wrong."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._wrong: Table[float] = Table(lambda: 0.0)
        self._tried: Table[deque[float]] = Table(deque)
        self._line: Counter[str] = Counter()

    def is_known(self, name: str) -> bool:
        """Return whether a text was found to be wrong a moment ago."""
        return self._wrong.entries.get(name, 0.0) > time.monotonic()

    def note(self, name: str, address: str) -> None:
        """Keep that a text of an address is wrong."""
        now = time.monotonic()
        self._wrong.of(name)
        self._wrong.entries[name] = now + WITHIN_S
        tried = self._tried.of(network_of(address))
        tried.append(now)
        while len(tried) > MOST:
            tried.popleft()

    def is_slowed(self, address: str) -> bool:
        """Return whether an address tried too many."""
        tried = self._tried.entries.get(network_of(address))
        return tried is not None and len(tried) >= MOST and tried[0] > time.monotonic() - WITHIN_S

    @contextmanager
    def _place(self, network: str) -> Iterator[bool]:
        if self._line[network] >= LINE:
            yield False
            return
        self._line[network] += 1
        try:
            yield True
        finally:
            self._line[network] -= 1
            if not self._line[network]:
                del self._line[network]

    async def wait(self, address: str) -> bool:
        """Wait in the line of an address that is slowed; return False, at once, where it is full."""
        with self._place(network_of(address)) as is_there:
            if is_there:
                await asyncio.sleep(SLOWED_S)
            return is_there

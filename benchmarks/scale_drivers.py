"""Drivers that are acted: they do to the database what drivers do, and nothing else."""

import heapq
import multiprocessing
import queue
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.synchronize import Event as Signal
from multiprocessing.synchronize import Semaphore

from benchmarks.scale_fill import Made
from nas_service.capacity import Capacity
from nas_service.errors import LateResultError
from nas_service.lifecycle import JobState
from nas_service.storage import attempts, jobs, samples
from nas_service.storage.attempts import Hold
from nas_service.storage.session import TRANSIENT_ERRORS, Database
from workers.context import TICK_S
from workers.launcher import Exit

Key = tuple[str, int]
SLOW_S = 60.0  # after which an actor that should have ended is left


class SilentLauncher:
    """A launcher that starts nothing and knows of no end: what it would cost is left out."""

    def capacity(self) -> Capacity:
        """Return enough."""
        return Capacity(cpus=10_000, gpus=1000)

    def trouble(self) -> str | None:
        """Return None: it can always start one."""
        return None

    def launch(self, job_id: str, attempt: int) -> None:
        """Start nothing."""

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return None: nobody ended."""
        del job_id, attempt
        return None

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """Stop nothing."""

    def tidy(self) -> None:
        """Tidy nothing."""

    def close(self, *, grace_s: float) -> list[Key]:
        """Leave the drivers alone, as on a cluster."""
        del grace_s
        return []


@dataclass(frozen=True)
class Script:
    """What an acted driver does.

    Attributes:
        lease_s: Renewed every fourth of it, as drivers do.
        wave_s: Between two commits of a wave of 8 samples.
        lasts_s: From its start to its success.
    """

    lease_s: float
    wave_s: float
    lasts_s: float


@dataclass
class Deeds:
    """What the drivers of one process did: seconds that each deed took, and by how many it began late."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    late: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def add(self, deed: str, taken_s: float, late_s: float) -> None:
        """Take note of one."""
        self.taken.setdefault(deed, []).append(taken_s)
        self.late.setdefault(deed, []).append(max(0.0, late_s))

    def merge(self, other: "Deeds") -> None:
        """Take in what others did."""
        for mine, theirs in ((self.taken, other.taken), (self.late, other.late)):
            for deed, values in theirs.items():
                mine.setdefault(deed, []).extend(values)
        for deed, count in other.failed.items():
            self.failed[deed] = self.failed.get(deed, 0) + count


class ActingLauncher(SilentLauncher):
    """Hands every attempt to processes whose threads act its driver; they share few connections, as behind a pooler."""

    def __init__(self, url: str, script: Script, processes: int, threads: int) -> None:
        """Start the processes."""
        spawn = multiprocessing.get_context("spawn")
        self._lines = _Lines(spawn.Queue(), spawn.Queue(), spawn.Semaphore(0), spawn.Event())
        self._processes = [
            spawn.Process(target=_act, args=(url, script, threads, self._lines), daemon=True) for _ in range(processes)
        ]
        for process in self._processes:
            process.start()
        for _ in self._processes:
            self._lines.ready.acquire(timeout=SLOW_S)

    @property
    def pids(self) -> list[int]:
        """The processes that act."""
        return [process.pid for process in self._processes if process.pid is not None]

    def launch(self, job_id: str, attempt: int) -> None:
        """Let one of the processes take it."""
        self._lines.keys.put((job_id, attempt))

    def finish(self) -> Deeds:
        """End the processes, and return what their drivers did."""
        self._lines.over.set()
        deeds = Deeds()
        for _ in self._processes:
            deeds.merge(self._lines.deeds.get(timeout=SLOW_S))
        for process in self._processes:
            process.join(SLOW_S)
        return deeds


@dataclass(frozen=True)
class _Lines:
    """Between the launcher and its processes."""

    keys: "multiprocessing.Queue[Key]"
    deeds: "multiprocessing.Queue[Deeds]"
    ready: Semaphore
    over: Signal


def _act(url: str, script: Script, threads: int, lines: _Lines) -> None:
    stage = _Stage(Database(url, connections=2 * threads), script)
    lines.ready.release()
    with ThreadPoolExecutor(threads) as pool:
        while not lines.over.is_set():
            while (key := _next_key(lines.keys)) is not None:
                stage.enter(key)
            stage.play(pool, threads)
    lines.deeds.put(stage.deeds)


def _next_key(keys: "multiprocessing.Queue[Key]") -> Key | None:
    try:
        return keys.get_nowait()
    except queue.Empty:
        return None


class _Stage:
    """The drivers of one process: what is due is done by whichever thread is free."""

    def __init__(self, database: Database, script: Script) -> None:
        self.deeds = Deeds()
        self._database, self._script, self._made = database, script, Made.of_catalogue()
        self._due: list[tuple[float, str, Hold, float]] = []  # when, what, whose, and when that driver's work is over
        self._done: dict[str, int] = {}  # samples by job
        self._lock = threading.Lock()
        self._busy = 0

    def enter(self, key: Key) -> None:
        """Let a driver begin now."""
        hold = Hold(*key, timedelta(seconds=self._script.lease_s))
        self._put(time.monotonic(), "start", hold, time.monotonic() + self._script.lasts_s)

    def play(self, pool: ThreadPoolExecutor, most: int) -> None:
        """Hand out what is due, to no more threads than there are."""
        with self._lock:
            now, free = time.monotonic(), most - self._busy
            due = [heapq.heappop(self._due) for _ in range(free) if self._due and self._due[0][0] <= now]
            self._busy += len(due)
        for entry in due:
            pool.submit(self._do, *entry)
        if not due:
            time.sleep(0.005)

    def _put(self, when: float, deed: str, hold: Hold, ends: float) -> None:
        with self._lock:
            heapq.heappush(self._due, (when, deed, hold, ends))

    def _do(self, when: float, deed: str, hold: Hold, ends: float) -> None:
        began = time.monotonic()
        try:
            getattr(self, f"_{deed}")(hold)
            self.deeds.add(deed, time.monotonic() - began, began - when)
            self._go_on(when, deed, hold, ends)
        except LateResultError:
            if began >= ends:
                return  # it succeeded meanwhile
            self.deeds.failed["superseded"] = self.deeds.failed.get("superseded", 0) + 1
        except TRANSIENT_ERRORS as error:
            self.deeds.failed[str(error)] = self.deeds.failed.get(str(error), 0) + 1
            self._put(when + TICK_S, deed, hold, ends)
        finally:
            with self._lock:
                self._busy -= 1

    def _go_on(self, when: float, deed: str, hold: Hold, ends: float) -> None:
        """Do it again in its time; a driver whose time is over succeeds with its last look, and does nothing more."""
        if deed == "start":
            spread = (hash(hold.job_id) % 1000) / 1000  # as drivers that began at different moments
            for other, every in (("look", TICK_S), ("renew", hold.lease.total_seconds() / 4), ("wave", self._script.wave_s)):
                self._put(when + every * (0.5 + spread), other, hold, ends)
        elif when < ends:
            every = {"look": TICK_S, "renew": hold.lease.total_seconds() / 4, "wave": self._script.wave_s}[deed]
            self._put(max(when + every, time.monotonic()), deed, hold, ends)
        elif deed == "look":
            self._put(when, "succeed", hold, ends)

    def _start(self, hold: Hold) -> None:
        with self._database.write() as session:
            attempts.start(session, hold)

    def _look(self, hold: Hold) -> None:
        with self._database.read() as session:
            attempts.state_of(session, hold)

    def _renew(self, hold: Hold) -> None:
        with self._database.write() as session:
            attempts.renew(session, hold)

    def _wave(self, hold: Hold) -> None:
        first = self._done.get(hold.job_id, 0)
        with self._database.write() as session:
            samples.commit_wave(session, hold, self._made.record(first))
        self._done[hold.job_id] = first + len(self._made.wave)

    def _succeed(self, hold: Hold) -> None:
        with self._database.write() as session:
            jobs.move(session, hold.job_id, JobState.SUCCEEDED, attempt=hold.attempt)


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return p50 and p99."""
    if len(values) == 1:
        return values[0], values[0]
    return statistics.median(values), statistics.quantiles(values, n=100)[98]

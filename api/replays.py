"""Replaying searches: arms as they were after any number of samples, worked out in threads of their own and kept for a while."""

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from nas_service.catalogue import build_space, search_strategy
from nas_service.earlier_searches import prior_of
from nas_service.errors import UnavailableError
from nas_service.search.bandit import Arm
from nas_service.search.history import History
from nas_service.specs import SearchSpec
from nas_service.storage import arm_rounds
from nas_service.storage.models import Job
from nas_service.storage.samples import history_of
from nas_service.storage.session import Database

Answer = TypeVar("Answer")
_Piece = tuple["Future[Any]", Callable[[], object]]

THREADS = 2  # the interpreter runs one at a time, but numpy and databases wait beside it
WAIT_S = 20.0  # that a request waits; the work goes on, and the next request finds it done
WAITING = 200  # pieces of work at once
_ENDING = "the service is ending: ask again in a moment"
KEPT_ANSWERS = 200  # a table of 540 arms takes about 150 kB
KEPT_SEARCHES = 8  # 5,000 samples on 60 edges take about 30 MB


class ReplayTakesLongError(UnavailableError):
    """A replay is not done yet; asking again finds it further on."""


class SearchReplay:
    """A search's samples, and its strategy with what it remembers of them; for one thread at a time.

    Attributes:
        job_id: Of the search.
        spec: Of it.
        space: What is searched.
        strategy: Of the search; to be asked about histories only in `Replays.ask`.
        keys: Every arm in the space's order.
    """

    def __init__(self, database: Database, job: Job) -> None:
        """Build what the spec names."""
        self._database, self.job_id = database, job.id
        self._history: History = ()
        self.spec = SearchSpec.model_validate(job.spec)
        self.space = build_space(self.spec.space)
        with database.read() as session:
            prior = prior_of(session, self.spec)
        self.strategy = search_strategy(self.spec, prior)
        self.keys = self.space.arms()

    def history(self, samples: int) -> History:
        """Return the first samples."""
        known = len(self._history)
        if known < samples:
            with self._database.read() as session:
                self._history = (*self._history, *history_of(session, self.job_id, known, samples))
        return self._history[:samples]

    def arms(self, samples: int) -> tuple[Arm, ...]:
        """Return every arm after so many samples: as it was kept, or by replay."""
        with self._database.read() as session:
            kept = arm_rounds.arms_at(session, self.job_id, samples, self.keys)
        return self.strategy.arms(self.history(samples)) if kept is None else kept


class Replays:
    """All replays of a process; of a search one piece of work after the other, so that none takes every thread."""

    def __init__(self, database: Database) -> None:
        """Start no thread yet."""
        self._database = database
        self._lock = threading.Lock()
        self._searches: OrderedDict[str, SearchReplay] = OrderedDict()
        self._answers: OrderedDict[Hashable, tuple[Future[Any], int]] = OrderedDict()
        self._waiting: OrderedDict[str, deque[_Piece]] = OrderedDict()  # by search, the next one first
        self._busy: set[str] = set()  # searches for which a thread works
        self._is_closed = False

    def start(self) -> None:
        """Take work again, where an application is begun again after `close`."""
        with self._lock:
            self._is_closed = False

    def close(self) -> None:
        """Begin no more work and refuse who waits for some; what is under way goes on, and holds no end up."""
        with self._lock:
            self._is_closed = True
            left = [piece for pieces in self._waiting.values() for piece in pieces]
            self._waiting.clear()
        for future, _ in left:
            future.set_exception(ReplayTakesLongError(_ENDING))

    def search(self, job: Job) -> SearchReplay:
        """Return the replay of a search."""
        with self._lock:
            found = self._searches.pop(job.id, None)
        if found is None:
            found = SearchReplay(self._database, job)
        with self._lock:
            self._searches[job.id] = found
            while len(self._searches) > KEPT_SEARCHES:
                self._searches.popitem(last=False)
        return found

    async def ask(self, key: Hashable, search: SearchReplay, work: Callable[[], Answer], weight: int = 1) -> Answer:
        """Return what `work` gives, or gave under this key; many who ask at once wait for one piece of work.

        Args:
            key: Of the answer, which must not change.
            search: What is replayed.
            work: Makes the answer.
            weight: Of the answer, among those that are kept.

        Raises:
            ReplayTakesLongError: If it is not done in time, or too much else is asked for.
        """
        future = self._future(key, search, work, weight)
        try:
            return cast("Answer", await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), WAIT_S))
        except TimeoutError as error:
            message = f"replaying these samples takes longer than {WAIT_S:.0f} s; it goes on, so ask again"
            raise ReplayTakesLongError(message) from error

    def _future(self, key: Hashable, search: SearchReplay, work: Callable[[], Answer], weight: int) -> "Future[Any]":
        with self._lock:
            future, _ = self._answers.pop(key, (None, 0))
            if future is None or (future.done() and future.exception() is not None):
                if sum(not entry.done() for entry, _ in self._answers.values()) >= WAITING:
                    message = "too many replays are being worked out"
                    raise ReplayTakesLongError(message)
                if self._is_closed:
                    raise ReplayTakesLongError(_ENDING)
                future = Future()
                self._waiting.setdefault(search.job_id, deque()).append((future, work))
                self._begin()
            self._answers[key] = future, weight
            over = sum(entry for _, entry in self._answers.values()) - KEPT_ANSWERS
            for old, (kept, entry) in list(self._answers.items())[:-1]:
                if over > 0 and kept.done():
                    del self._answers[old]
                    over -= entry
            return future

    def _begin(self) -> None:
        """Give idle threads work; to be called with the lock held."""
        for job_id in list(self._waiting):
            if len(self._busy) >= THREADS:
                return
            if job_id in self._busy:
                continue
            future, work = self._waiting[job_id].popleft()
            self._waiting.move_to_end(job_id)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
            self._busy.add(job_id)
            # A daemon: nobody waits for it at the end of the process.
            threading.Thread(target=self._do, args=(job_id, future, work), name=f"replay-{job_id}", daemon=True).start()

    def _do(self, job_id: str, future: "Future[Any]", work: Callable[[], object]) -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            future.set_exception(error)
        finally:
            with self._lock:
                self._busy.discard(job_id)
                self._begin()

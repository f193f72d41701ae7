"""Readiness: what the service stands on, looked at in threads of its own, so that it is told whatever else is stuck."""

import asyncio
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from api.views import Readiness
from nas_service.errors import UnavailableError
from nas_service.lifecycle import HELD, JobState
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.engines import TimeOuts
from nas_service.storage.schema import current_revision, head_revision, try_write
from nas_service.storage.service_figures import ServiceFigures, read_figures
from nas_service.storage.session import Database

log = structlog.get_logger()

OK = "ok"
LOOK_S = 5.0  # longest that anybody waits for a look
FRESH_S = 1.0  # for which a look is told again; one that only reads is not
STORE_FRESH_S = 10.0  # a look at an object store costs money
_TIME_OUTS = TimeOuts(lock_s=2.0, statement_s=2.0, connect_s=2.0, pool_s=2.0)
SOFT = {"space", "launcher"}  # the service works on without, for now


class Stepping(Protocol):
    """What readiness reads of a controller."""

    @property
    def is_alive(self) -> bool:
        """Whether its loop runs."""
        ...

    @property
    def last_good_step_age_s(self) -> float | None:
        """Seconds since the last step that met no trouble; None before the first."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why no driver can be started now, in the launcher's words."""
        ...


@dataclass(frozen=True)
class Seen:
    """What one look saw: a sentence a check, and jobs by kind and state where the database could be asked."""

    checks: dict[str, str]
    counts: Mapping[tuple[str, str], int] | None = None
    figures: ServiceFigures | None = None


@dataclass
class _Look:
    """A look that several may wait for; a new one begins only when the last is over and old."""

    name: str
    see: Callable[[], Seen]
    fresh_s: float
    _latest: "Future[Seen] | None" = None
    _ended: float = 0.0

    async def seen(self) -> Seen:
        if self._latest is None or (self._latest.done() and time.monotonic() - self._ended > self.fresh_s):
            self._latest = Future()
            threading.Thread(target=self._run, args=(self._latest,), name=f"look-{self.name}", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._latest)), LOOK_S)
        except TimeoutError:
            return Seen({self.name: f"no answer within {LOOK_S:g} s"})

    def _run(self, result: "Future[Seen]") -> None:
        try:
            seen = self.see()
        except UnavailableError as error:
            seen = Seen({self.name: str(error)})
        except Exception as error:
            # Whatever else is wrong is told too: a look that raises would leave those who wait without an answer.
            log.exception("readiness.look_failed", look=self.name)
            seen = Seen({self.name: f"it failed ({type(error).__name__}); the log says more"})
        self._ended = time.monotonic()
        result.set_result(seen)


class ReadinessWatch:
    """Looks at the database, the artifact store, free space and the controller."""

    def __init__(self, settings: Settings, store: ArtifactStore, controller: Stepping | None) -> None:
        """Keep what is looked at; the database through connections of its own, which no request can take."""
        self._settings = settings
        self._database = Database(settings.database, _TIME_OUTS, connections=2)
        self._store = store
        self._controller = controller
        self._figures = _Look("figures", self._see_figures, FRESH_S)
        self.free_bytes: dict[str, int] = {}  # by place, as last seen
        self._looks = (
            _Look("database", self._see_database, 0.0),
            _Look("write", self._see_write, FRESH_S),
            _Look("store", self._see_store, STORE_FRESH_S if store.local_root is None else FRESH_S),
            _Look("space", self._see_space, FRESH_S),
        )

    async def look(self) -> tuple[Readiness, Mapping[tuple[str, str], int] | None]:
        """Return the readiness, and the jobs by kind and state where the database could be asked."""
        every = await asyncio.gather(*(look.seen() for look in self._looks))
        checks = {name: told for seen in every for name, told in seen.checks.items()} | self._see_controller()
        counts = next((seen.counts for seen in every if seen.counts is not None), None)
        failing = {name for name, told in checks.items() if told != OK}
        by_state: Counter[str] = Counter()
        for (_, state), count in (counts or {}).items():
            by_state[state] += count
        return Readiness(
            status="not-ready" if failing - SOFT else "degraded" if failing else "ready",
            checks=checks,
            queued=by_state[JobState.QUEUED.value],
            running=sum(by_state[state.value] for state in HELD),
        ), counts

    async def figures(self) -> ServiceFigures | None:
        """Return figures of the whole service; None where the database does not give them in time."""
        return (await self._figures.seen()).figures

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _see_database(self) -> Seen:
        current, head = current_revision(self._database.engine), head_revision()
        if current != head:
            return Seen({"database": OK, "migrations": f"at {current}, needs {head}: run `nas migrate`"})
        with self._database.read() as session:
            return Seen({"database": OK, "migrations": OK}, jobs.count_by_state(session))

    def _see_figures(self) -> Seen:
        with self._database.read() as session:
            return Seen({}, figures=read_figures(session))

    def _see_write(self) -> Seen:
        try_write(self._database.engine)
        return Seen({"write": OK})

    def _see_store(self) -> Seen:
        self._store.try_write()
        return Seen({"store": OK})

    def _see_space(self) -> Seen:
        places = {"home": self._settings.home, "artifact store": self._store.local_root}
        self.free_bytes = {
            name: shutil.disk_usage(_existing(folder)).free for name, folder in places.items() if folder is not None
        }
        for name, free in self.free_bytes.items():
            if free < self._settings.min_free_bytes:
                asked = f"NAS_MIN_FREE_BYTES asks for {_megabytes(self._settings.min_free_bytes)}"
                return Seen({"space": f"the {name} has {_megabytes(free)} left, {asked}: make room"})
        return Seen({"space": OK})

    def _see_controller(self) -> dict[str, str]:
        if self._controller is None:
            return {}
        age_s, limit_s = self._controller.last_good_step_age_s, self._settings.step_limit_s
        if not self._controller.is_alive:
            loop = "its loop is not running: restart the service"
        elif age_s is None:
            loop = "it has made no good step yet"
        else:
            loop = OK if age_s <= limit_s else f"its last good step was {age_s:.0f} s ago (limit {limit_s:g} s); its log says why"
        return {"controller": loop, "launcher": self._controller.trouble or OK}


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"

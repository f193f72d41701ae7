"""Garbage: what lies in the artifact store, and in the logs, for nobody. `nas gc` looks for it; the tidier only deletes litter.

What goes is written down as litter in the transaction that finds it useless, and deleted after it: a process that ends between
the two leaves the rest to the controller.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nas_service.errors import ConflictError
from nas_service.settings import Settings
from nas_service.storage import file_holds, litter
from nas_service.storage.artifacts import ArtifactStore, ListedFile
from nas_service.storage.jobs import TRAINING, is_any_unfinished
from nas_service.storage.models import Job
from nas_service.storage.session import Database, Session
from nas_service.storage.stock import Stock, Use, existing_ids, take_stock
from nas_service.storage.uploads import Upload
from nas_service.storage.whole_files import GIVEN_UP_S
from workers.launcher import log_name

_LOST_NAMED = 20  # keys of lost files that are named
_BUSY = "a training is not over, and may need them"


@dataclass(frozen=True)
class Pile:
    """Files of one kind.

    Attributes:
        kind: What they are.
        files: How many.
        size_bytes: All together.
        goes: Whether they are removed, or would be.
        why: They stay.
    """

    kind: str
    files: int
    size_bytes: int
    goes: bool
    why: str


@dataclass(frozen=True)
class Found:
    """What `nas gc` found.

    Attributes:
        piles: By kind; what is used comes first.
        lost: Keys of files that rows describe and the store has lost, the first of them.
        lost_count: How many those are.
        stuck: Keys that could not be deleted now; the controller tries again.
    """

    piles: tuple[Pile, ...]
    lost: tuple[str, ...]
    lost_count: int
    stuck: tuple[str, ...] = ()


class GarbageCollector:
    """One look, or one collection."""

    def __init__(self, settings: Settings, database: Database, store: ArtifactStore, *, age_s: float, with_caches: bool) -> None:
        """Take what to look at.

        Args:
            settings: Of this installation.
            database: Its database.
            store: Its store.
            age_s: What was written since stays: its writer may be about to say what it is. Never less than `NAS_LITTER_S`.
            with_caches: Whether full-precision networks go too.
        """
        self._settings, self._database, self._store = settings, database, store
        self._age_s, self._with_caches = max(age_s, settings.litter_s), with_caches

    def look(self) -> Found:
        """Return what is there, and change nothing."""
        files = self._store.files()
        with self._database.read() as session:
            goes = self._sorted(session, files)
        return self._found(goes)

    def collect(self) -> Found:
        """Remove what is garbage, and return what was there.

        Raises:
            ConflictError: If a backup is under way.
        """
        files = self._store.files()
        with self._database.write() as session:
            if file_holds.is_held(session):
                minutes = file_holds.HOLD.total_seconds() / 60
                raise ConflictError(
                    f"a backup is under way, or broke off less than {minutes:.0f} minutes ago: nothing may go now"
                )
            goes = self._sorted(session, files)
            litter.drop(session, goes.keys)
        found = self._found(goes)
        stuck = tuple(key for key in goes.keys if not self._delete(key))
        with self._database.write() as session:
            litter.picked_up(session, set(goes.keys) - set(stuck))
        self._store.remove_abandoned()
        for upload in goes.uploads:
            self._store.abort_upload(upload)
        for log in goes.logs:
            log.unlink(missing_ok=True)
        return replace(found, stuck=stuck)

    def _delete(self, key: str) -> bool:
        try:
            self._store.delete(key)
        except OSError:
            return False
        return True

    def _sorted(self, session: Session, files: list[ListedFile]) -> "_Going":
        stock, old = take_stock(session, files), time.time() - self._age_s
        keeps = "asked for with --caches" if not self._with_caches else _BUSY if is_any_unfinished(session, TRAINING) else ""
        uses = {Use.ORPHAN} | ({Use.CACHE} if not keeps else set())
        return _Going(
            stock=stock,
            keys=tuple(file.key for file in stock.of(*uses) if file.changed_at <= old),
            abandoned=frozenset(self._store.abandoned()),
            uploads=tuple(self._store.unfinished_uploads(max(self._age_s, GIVEN_UP_S))),
            logs=self._logs(session, old),
            caches=keeps,
        )

    def _logs(self, session: Session, old: float) -> tuple[Path, ...]:
        """Return this host's logs of jobs that are gone."""
        folder = (self._settings.home / log_name("any", 0)).parent
        named = {path: path.stem.rpartition("-")[0] for path in folder.glob("*-*.log")}
        there = existing_ids(session, Job.id, set(named.values()))
        return tuple(path for path, job_id in sorted(named.items()) if job_id not in there and path.stat().st_mtime <= old)

    def _found(self, goes: "_Going") -> Found:
        """Return what is there by kind."""
        lost = [row.key for row in goes.stock.lost if not self._store.exists(row.key)]  # others came since the files were listed
        images = [path.stat().st_size for path in self._settings.dataset_cache.rglob("*") if path.is_file()]
        limit = "NAS_DATASET_CACHE_BYTES limits them"
        piles = [*goes.piles(), Pile("decoded images", len(images), sum(images), goes=False, why=limit)]
        return Found(tuple(pile for pile in piles if pile.files), tuple(lost[:_LOST_NAMED]), len(lost))


@dataclass(frozen=True)
class _Going:
    """What a look found, and what of it goes.

    Attributes:
        stock: Everything in the store.
        keys: Of it that go.
        abandoned: Keys of half-written files whose writers are gone.
        uploads: In parts, that nobody ended.
        logs: Of jobs that are gone.
        caches: Why full-precision networks stay; empty: they go.
    """

    stock: Stock
    keys: tuple[str, ...]
    abandoned: frozenset[str]
    uploads: tuple[Upload, ...]
    logs: tuple[Path, ...]
    caches: str

    def piles(self) -> Iterator[Pile]:
        """Yield what is there by kind: first what is used."""
        going, new = set(self.keys), "written too lately to tell"
        yield _pile("results", self.stock.of(Use.RESULT), "rows describe them")
        yield _pile("work of jobs", self.stock.of(Use.WORK), "jobs may take it up again")
        caches = self.stock.of(Use.CACHE)
        yield _pile("full-precision networks", [file for file in caches if file.key not in going], self.caches or new)
        yield _pile("full-precision networks", [file for file in caches if file.key in going])
        yield _pile("litter", self.stock.of(Use.LITTER), "the controller deletes it")
        orphans = self.stock.of(Use.ORPHAN)
        yield _pile("orphans", [file for file in orphans if file.key not in going], new)
        yield _pile("orphans", [file for file in orphans if file.key in going])
        half = self.stock.of(Use.HALF_WRITTEN)
        yield _pile("half-written", [file for file in half if file.key not in self.abandoned], "writers may be at work")
        yield _pile("half-written", [file for file in half if file.key in self.abandoned])
        yield Pile("unfinished uploads", len(self.uploads), sum(upload.size_bytes for upload in self.uploads), goes=True, why="")
        yield Pile("logs of deleted jobs", len(self.logs), sum(log.stat().st_size for log in self.logs), goes=True, why="")
        yield _pile("unknown", self.stock.of(Use.UNKNOWN), "they have no name of ours")


def _pile(kind: str, files: list[ListedFile], why: str = "") -> Pile:
    return Pile(kind, len(files), sum(file.size_bytes for file in files), goes=not why, why=why)

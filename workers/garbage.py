"""Garbage: what lies in the artifact store, and in the logs, for nobody. `nas gc` looks for it; the tidier only deletes litter.

Orphans stay orphans: no job comes back. They are written down as litter and then deleted, so that a process that ends between the
two leaves the rest to the controller.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
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

_AT_ONCE = 200  # keys in one transaction
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
        return self._found(self._going())

    def collect(self) -> Found:
        """Remove what is garbage, and return what was there.

        Raises:
            ConflictError: If a backup is under way, or nothing in the store is of this database.
        """
        self._require_no_hold()
        goes = self._going()
        _require_same(goes.stock)
        found, left = self._found(goes), iter(goes.orphans)
        while part := list(islice(left, _AT_ONCE)):  # in parts: meanwhile drivers write, too
            with self._database.write() as session:
                _require_no_hold_in(session)
                litter.drop(session, part)
        stuck = [key for key in goes.orphans if not self._delete(key)]
        with self._database.write() as session:
            litter.picked_up(session, set(goes.orphans) - set(stuck))
        stuck += self._delete_caches(goes.caches)
        self._store.remove_abandoned()
        for upload in goes.uploads:
            self._store.abort_upload(upload)
        for log in goes.logs:
            log.unlink(missing_ok=True)
        return replace(found, stuck=tuple(stuck))

    def _require_no_hold(self) -> None:
        with self._database.read() as session:
            _require_no_hold_in(session)

    def _delete_caches(self, keys: Sequence[str]) -> list[str]:
        """Delete networks that trainings share, as long as none is at work; return those that could not be.

        They are no litter: a training that begins later makes the same ones anew.
        """
        stuck = []
        for key in keys:
            with self._database.read() as session:
                if file_holds.is_held(session) or is_any_unfinished(session, TRAINING):
                    break
            if not self._delete(key):
                stuck.append(key)
        return stuck

    def _delete(self, key: str) -> bool:
        try:
            self._store.delete(key)
        except OSError:
            return False
        return True

    def _going(self) -> "_Going":
        """Sort what is there. The store is listed before the database is asked, so that nothing new is taken for an orphan."""
        files, abandoned = self._store.files(), frozenset(self._store.abandoned())
        uploads = tuple(self._store.unfinished_uploads(max(self._age_s, GIVEN_UP_S)))
        old = time.time() - self._age_s
        with self._database.read() as session:
            stock, is_busy = take_stock(session, files), is_any_unfinished(session, TRAINING)
            logs = self._logs(session, old)
        keeps = "asked for with --caches" if not self._with_caches else _BUSY if is_busy else ""
        caches = () if keeps else stock.of(Use.CACHE)
        return _Going(
            stock=stock,
            orphans=tuple(file.key for file in stock.of(Use.ORPHAN) if file.changed_at <= old),
            caches=tuple(file.key for file in caches if file.changed_at <= old),
            abandoned=abandoned,
            uploads=uploads,
            logs=logs,
            why_caches=keeps,
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
        orphans: Keys of it that go.
        caches: Likewise of full-precision networks.
        abandoned: Keys of half-written files whose writers are gone.
        uploads: In parts, that nobody ended.
        logs: Of jobs that are gone.
        why_caches: Why full-precision networks stay; empty: they go.
    """

    stock: Stock
    orphans: tuple[str, ...]
    caches: tuple[str, ...]
    abandoned: frozenset[str]
    uploads: tuple[Upload, ...]
    logs: tuple[Path, ...]
    why_caches: str

    def piles(self) -> Iterator[Pile]:
        """Yield what is there by kind: first what is used."""
        going, new = {*self.orphans, *self.caches}, "written too lately to tell"
        yield _pile("results", self.stock.of(Use.RESULT), "rows describe them")
        yield _pile("work of jobs", self.stock.of(Use.WORK), "jobs may take it up again")
        caches = self.stock.of(Use.CACHE)
        yield _pile("full-precision networks", [file for file in caches if file.key not in going], self.why_caches or new)
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
        yield _pile("unknown", self.stock.of(Use.UNKNOWN), "they have no name of ours, or one that is newer than this database")


def _require_no_hold_in(session: Session) -> None:
    if file_holds.is_held(session):
        minutes = file_holds.HOLD.total_seconds() / 60
        raise ConflictError(f"a backup is under way, or broke off less than {minutes:.0f} minutes ago: nothing may go now")


def _require_same(stock: Stock) -> None:
    """Refuse a store that is another service's: then everything in it would look like garbage.

    Raises:
        ConflictError: Saying what to look at.
    """
    ours = len(stock.of(Use.RESULT, Use.WORK, Use.LITTER))
    others = len(stock.of(Use.ORPHAN, Use.UNKNOWN))
    if others and not ours:
        raise ConflictError(
            f"this database knows none of the {others} files in the store: "
            "look at NAS_DATABASE_URL, NAS_HOME and NAS_ARTIFACT_URL"
        )


def _pile(kind: str, files: list[ListedFile], why: str = "") -> Pile:
    return Pile(kind, len(files), sum(file.size_bytes for file in files), goes=not why, why=why)

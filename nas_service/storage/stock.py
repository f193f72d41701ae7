"""Taking stock: what every file of the artifact store is there for, by the database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import InstrumentedAttribute

from nas_service.lifecycle import CANDIDATE_FINISHED, FINISHED
from nas_service.storage.artifacts import SCRATCH, ListedFile, StoredFile
from nas_service.storage.keys import supernet_key
from nas_service.storage.models import Artifact, Candidate, Job, Litter, SampleRow

_AT_ONCE = 500  # ids in one statement
_LONGEST_KEY = 200  # as litter holds them


class Use(StrEnum):
    """What a file is there for."""

    RESULT = "result"  # a row describes it
    WORK = "work"  # a job that is there works with it, or may take it up again
    CACHE = "cache"  # trainings share it; without it they make it again
    LITTER = "litter"  # it was written down that nobody needs it
    ORPHAN = "orphan"  # its job or candidate is gone, or over, and no row describes it
    HALF_WRITTEN = "half-written"  # of a writer that may be at work
    UNKNOWN = "unknown"  # it has no name of ours, or of a job that is newer than any of this database


@dataclass(frozen=True)
class Stock:
    """What lies in the store and what should.

    Attributes:
        uses: Every file with what it is there for.
        described: What rows say of files, by key.
        lost: What rows describe and the list of files had not; where that list is older than the rows, they may be new.
    """

    uses: tuple[tuple[ListedFile, Use], ...]
    described: Mapping[str, StoredFile]
    lost: tuple[StoredFile, ...]

    def of(self, *uses: Use) -> list[ListedFile]:
        """Return the files that are there for one of these."""
        return [file for file, use in self.uses if use in uses]


def take_stock(session: Session, files: Sequence[ListedFile]) -> Stock:
    """Say what files are there for.

    Args:
        session: An open session.
        files: What lies in the store. Listed before the session began, none of them is taken for an orphan that is none: files of
            a job are written after its row, and no job comes back.
    """
    owners = _Owners(session, files)  # first: whoever ends meanwhile leaves its rows with it
    described = {row.key: row for row in map(StoredFile.of_row, session.scalars(select(Artifact)))}
    dropped = set(session.scalars(select(Litter.key)))
    uses = tuple((file, _use(file.key, described, dropped, owners)) for file in files)
    there = {file.key for file in files}
    return Stock(uses, described, tuple(row for key, row in described.items() if key not in there))


def resume_keys(session: Session) -> list[str]:
    """Return where the shared weights lie that searches which are not over go on from."""
    unfinished = Job.state.not_in([state.value for state in FINISHED])
    counted = select(SampleRow.job_id, func.count()).join(Job).where(unfinished).group_by(SampleRow.job_id)
    return [supernet_key(job_id, samples) for job_id, samples in session.execute(counted)]


def existing_ids(session: Session, column: InstrumentedAttribute[str], ids: set[str], *where: ColumnElement[Any]) -> set[str]:
    """Return those of some ids that a column has, however many they are."""
    left, found = iter(sorted(ids)), set[str]()
    while part := list(islice(left, _AT_ONCE)):
        found.update(session.scalars(select(column).where(column.in_(part), *where)))
    return found


class _Owners:
    """The jobs and candidates of a few files that are there, by the folder of the store that is named after them."""

    def __init__(self, session: Session, files: Iterable[ListedFile]) -> None:
        named: dict[str, set[str]] = defaultdict(set)
        for file in files:
            folder, _, rest = file.key.partition("/")
            named[folder].add(rest.partition("/")[0])
        unfinished = Job.state.not_in([state.value for state in FINISHED])
        untrained = Candidate.state.not_in([state.value for state in CANDIDATE_FINISHED])
        self._there = {
            folder: existing_ids(session, Job.id, named[folder], unfinished)
            for folder in ("supernets", "trainings", "registrations")
        }
        self._there["searches"] = existing_ids(session, Job.id, named["searches"])
        # Ids are sorted by when they were made. What is newer than everything here is of another database, or of a later one.
        self._newest = max(session.scalar(select(func.max(column))) or "" for column in (Job.id, Candidate.id))
        self._there["candidates"] = existing_ids(session, Candidate.id, named["candidates"], untrained)

    def work(self, key: str) -> bool | None:
        """Return whether the owner of a file may work with it; None: it has no name that could tell, or a newer one."""
        folder, _, rest = key.partition("/")
        owner, _, inside = rest.partition("/")
        return owner in self._there[folder] if folder in self._there and inside and owner <= self._newest else None


def _use(key: str, described: dict[str, StoredFile], dropped: set[str], owners: _Owners) -> Use:
    if key in described:
        return Use.RESULT
    if any(name in dropped for name in _folders(key)):
        return Use.LITTER
    if key.startswith(f"{SCRATCH}/"):
        return Use.HALF_WRITTEN
    if key.startswith("teachers/"):
        return Use.CACHE
    works = owners.work(key)
    if works is None or len(key) > _LONGEST_KEY:
        return Use.UNKNOWN
    return Use.WORK if works else Use.ORPHAN


def _folders(key: str) -> Iterator[str]:
    """Yield a key and the folders that it lies in, as litter names them."""
    yield key
    parts = key.split("/")
    for end in range(1, len(parts)):
        yield "/".join(parts[:end]) + "/"

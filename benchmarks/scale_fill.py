"""Rows by the thousand for `scale`: jobs, and samples that are copies of a few that were committed as drivers commit them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, Table, cast, func, insert, literal, select, text

from benchmarks.dashboard_fill import arms_of, big_spec, genotypes_of
from nas_service.reports import SearchPhase, SearchProgress
from nas_service.search.bandit import Arm
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.storage import samples
from nas_service.storage.attempts import Hold
from nas_service.storage.jobs import SEARCH, listed_names
from nas_service.storage.models import Event, Job, SampleRow
from nas_service.storage.session import Database, new_id

BATCH = 1000
WAVE = 8
LEASE = timedelta(hours=1)
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
COST = {"binary_parameters": 12_000, "float_parameters": 800, "flops": 10**6, "bops": 10**7, "packed_bytes": 5000, "ops": 1.5e6}


@dataclass(frozen=True)
class Made:
    """What every filled job has in common: a search with the most arms of the catalogue.

    Attributes:
        spec: Of it.
        arms: All of them, as after some samples.
        wave: Samples to be committed, as often as asked.
    """

    spec: dict[str, Any]
    arms: tuple[Arm, ...]
    wave: tuple[Sample, ...]

    @classmethod
    def of_catalogue(cls) -> "Made":
        """Draw the architectures once; every wave holds them."""
        spec = big_spec()
        draw = random.Random(0)  # noqa: S311 - not for secrets
        arms = tuple(Arm(arm.key, draw.randrange(100), draw.random()) for arm in arms_of(spec))
        drawn = genotypes_of(spec, WAVE)
        wave = tuple(Sample(place, genotype, 0.5 + place / 1000) for place, genotype in enumerate(drawn))
        return cls(spec.model_dump(mode="json"), arms, wave)

    def record(self, first: int, history: tuple[Sample, ...] = ()) -> samples.WaveRecord:
        """Return what a driver commits when so many samples are there already; every arm's figures change with a wave."""
        new = tuple(Sample(first + place, sample.genotype, sample.reward) for place, sample in enumerate(self.wave))
        evaluations = tuple(Evaluation(0.5, 0.7, diverged=False, seconds=1.234, worker="gpu-017:4711", steps=100) for _ in new)
        progress = SearchProgress(
            phase=SearchPhase.SAMPLING, samples=first + len(new), total=10**6, arms=len(self.arms), arms_left=len(self.arms)
        )
        width = random.Random(first).random() / 3  # noqa: S311 - every bound is another number of all digits after every wave
        after = tuple(replace(arm, lower=(arm.mean or 0) - width, upper=(arm.mean or 0) + width) for arm in self.arms)
        wave = Wave(new, evaluations, (*history, *new))
        return samples.WaveRecord(wave, (COST,) * len(new), after, progress, before=self.arms)


def add_jobs(database: Database, made: Made, state: str, count: int, kind: str = SEARCH) -> list[str]:
    """Insert searches in a state, those that are held with a lease that outlasts the measurement; return their ids."""
    rows = [_job(made, state, kind, place) for place in range(count)]
    with database.engine.begin() as connection:
        for part in _parts(rows):
            connection.execute(insert(Job), part)
        if database.engine.dialect.name == "postgresql":  # SQLite's events want ids, and these tell nothing
            for part in _parts([_event(row) for row in rows]):
                connection.execute(insert(Event), part)
    return [row["id"] for row in rows]


def hold_of(job_id: str) -> Hold:
    """Return the hold of a job that was added as running."""
    return Hold(job_id, 1, LEASE)


def add_samples(database: Database, made: Made, job_id: str, count: int) -> None:
    """Bring a running search to so many samples: some are committed, the others are copies of those."""
    with database.write() as session:
        done = samples.count_samples(session, job_id)
        while done < min(count, 10 * WAVE):
            samples.commit_wave(session, hold_of(job_id), made.record(done))
            done += WAVE
    with database.engine.begin() as connection:
        while done < count:
            done += _copy(connection, job_id, job_id, done, min(done, count - done))


def copy_samples(database: Database, source: str, targets: list[str], each: int) -> None:
    """Give every target the first samples of a search that has so many."""
    with database.engine.begin() as connection:
        for target in targets:
            _copy(connection, source, target, 0, each)


def settle(database: Database) -> None:
    """Leave PostgreSQL as its autovacuum does within minutes of so many rows."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _copy(connection: Connection, source: str, target: str, shift: int, count: int) -> int:
    """Copy a search's first samples, their indices higher by `shift`."""
    table = SampleRow.__table__
    assert isinstance(table, Table)  # noqa: S101 - for the type checker
    given = {"job_id": literal(target), "index": cast(table.c["index"] + shift, Integer)}
    columns = [given.get(column.name, column) for column in table.columns]
    rows = select(*columns).where(table.c.job_id == source, table.c["index"] < count)
    connection.execute(insert(table).from_select([column.name for column in table.columns], rows))
    return count


def count_rows(connection: Connection, table: Table) -> int:
    """Return how many rows a table has."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _parts(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def _job(made: Made, state: str, kind: str, place: int) -> dict[str, Any]:
    is_held = state in {"starting", "running", "pausing", "cancelling"}
    progress = {"kind": "search", "phase": "sampling", "samples": 200, "total": 400, "arms": 540, "arms_left": 99}
    return {
        "id": new_id(),
        "kind": kind,
        "name": f"job {place}",
        "folded_name": f"job {place}",
        "state": state,
        "spec": made.spec,
        "note": "",
        "attempt": 0 if state == "queued" else 1,
        "stalls": 0,
        "lease_expires_at": datetime.now(UTC) + LEASE if is_held else None,
        "progress": {} if state == "queued" else progress,
        "created_at": BEGUN,
        "started_at": None if state == "queued" else BEGUN,
        "finished_at": BEGUN if state in {"succeeded", "failed", "cancelled"} else None,
        **listed_names(kind, made.spec),
    }


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {"job_id": row["id"], "kind": "state", "data": {"state": row["state"]}, "created_at": row["created_at"]}

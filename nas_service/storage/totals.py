"""Totals: what the whole service has counted since its database was made, whichever process counted it.

A total is a few rows, and a transaction adds to one of them just before it commits: it holds no lock for longer than that, those
who commit at the same time seldom wait for one another, and reading a total never means counting what it is made of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from nas_service.lifecycle import Loss
from nas_service.storage.models import Total
from nas_service.storage.visibility import EVERYBODYS

SHARDS = 16
SAMPLES = "samples"
WORK_SECONDS = "work_seconds"  # for which drivers had jobs: these three are counted with `usage`, and are its sums
CPU_SECONDS = "cpu_seconds"
GPU_SECONDS = "gpu_seconds"
ARTIFACT_BYTES = "artifact_bytes"  # of the files that rows name now: what goes is taken off
WAITED = "queue_wait"  # a job a bucket, from when it was submitted to when its first driver was started
WAIT_BUCKETS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_LOST = "attempts_lost"
_PENDING = "totals"

_ADD = text(
    "INSERT INTO totals (name, shard, value) VALUES (:name, :shard, :value) "
    "ON CONFLICT (name, shard) DO UPDATE SET value = totals.value + excluded.value"
)


@dataclass(frozen=True)
class Waits:
    """How long jobs waited: how many not longer than each of the buckets, how many in all, and their seconds added up."""

    within: Sequence[tuple[float, int]]
    count: int
    seconds: float


def count(session: Session, whose: str, name: str, amount: float = 1.0) -> None:
    """Add to a total when the transaction commits; `whose` is the id of what it is counted for, a job's say."""
    pending = session.info.setdefault(_PENDING, {})
    key = (name, crc32(whose.encode()) % SHARDS)
    pending[key] = pending.get(key, 0.0) + amount


def count_work(session: Session, job_id: str, seconds: float, cpus: float, gpus: float) -> None:
    """Count that a driver had a job for some time, and what its actors and trials had of processors and GPUs."""
    for name, devices in ((WORK_SECONDS, 1.0), (CPU_SECONDS, cpus), (GPU_SECONDS, gpus)):
        if devices:
            count(session, job_id, name, seconds * devices)


def count_lost(session: Session, job_id: str, why: Loss) -> None:
    """Count an attempt that was lost."""
    count(session, job_id, f"{_LOST}:{why.value}")


def count_wait(session: Session, job_id: str, waited_s: float) -> None:
    """Count how long a job waited."""
    bucket = next((f"{limit_s:g}" for limit_s in WAIT_BUCKETS_S if waited_s <= limit_s), "inf")
    count(session, job_id, f"{WAITED}:{bucket}")
    count(session, job_id, f"{WAITED}_seconds", waited_s)


def write_counted(session: Session) -> None:
    """Write what the transaction counted, as the last thing that it does: in one order, so that no two wait for each other."""
    pending = session.info.pop(_PENDING, {})
    if pending:
        session.flush()
        rows = [{"name": name, "shard": shard, "value": value} for (name, shard), value in sorted(pending.items())]
        session.execute(_ADD, rows, execution_options=EVERYBODYS)


def read_totals(session: Session) -> dict[str, float]:
    """Return every total by its name."""
    rows = session.execute(select(Total.name, func.sum(Total.value)).group_by(Total.name))
    return {name: float(value) for name, value in rows}


def losses_in(totals: Mapping[str, float]) -> dict[Loss, float]:
    """Return the attempts that were lost, by why."""
    return {why: totals.get(f"{_LOST}:{why.value}", 0.0) for why in Loss}


def waits_in(totals: Mapping[str, float]) -> Waits:
    """Return how long jobs waited."""
    within, so_far = [], 0
    for limit_s in WAIT_BUCKETS_S:
        so_far += round(totals.get(f"{WAITED}:{limit_s:g}", 0.0))
        within.append((limit_s, so_far))
    longer = round(totals.get(f"{WAITED}:inf", 0.0))
    return Waits(within, so_far + longer, totals.get(f"{WAITED}_seconds", 0.0))

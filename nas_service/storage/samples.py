"""Samples and arms: a wave is committed whole or not at all."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from nas_service.errors import NotFoundError
from nas_service.lifecycle import JobState
from nas_service.reports import SearchProgress
from nas_service.search.bandit import Arm
from nas_service.search.history import Sample
from nas_service.search.loop import Wave
from nas_service.search.rounds import Snapshot
from nas_service.storage import arm_rounds, attempts, events, totals
from nas_service.storage.attempts import Hold
from nas_service.storage.models import ArmTable, SampleRow
from nas_service.storage.session import database_now
from nas_service.wave_events import told_of_wave
from search_spaces.genotype import Genotype


@dataclass(frozen=True)
class WaveRecord:
    """What a driver commits after a wave.

    Attributes:
        wave: The samples and what came of them.
        costs: One cost a sample.
        arms: The statistics of every arm after the wave, in the space's order.
        progress: The job's new progress.
        usual_s: The longest that work was silent so far and then was not, if somebody watched.
        before: The statistics of every arm before the wave; empty before the first sample.
        snapshots: Arms to be kept: at the ends of rounds, for one.
    """

    wave: Wave
    costs: tuple[dict[str, Any], ...]
    arms: tuple[Arm, ...]
    progress: SearchProgress
    usual_s: float | None = None
    before: tuple[Arm, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()


def commit_wave(session: Session, hold: Hold, record: WaveRecord) -> JobState:
    """Write samples, arms, progress, what changed as events, and the renewed lease; return the job's state, for cancelling.

    Raises:
        LateResultError: If the attempt is over.
        sqlalchemy.exc.IntegrityError: If a sample of that index is there already; nothing is counted twice.
    """
    state = attempts.renew(session, hold, record.progress, record.usual_s)
    now, job_id = database_now(session), hold.job_id
    wave = record.wave
    rows = [
        {
            "job_id": job_id,
            "index": sample.index,
            "wave": wave.samples[0].index,
            "genotype": sample.genotype.to_dict(),
            "digest": sample.genotype.digest,
            "reward": sample.reward,
            "clean_accuracy": evaluation.clean_accuracy,
            "attacked_accuracy": evaluation.attacked_accuracy,
            "parent_reward": evaluation.parent_reward,
            "fidelity": sample.fidelity,
            "steps": evaluation.steps,
            "loss": evaluation.loss,
            "diverged": evaluation.diverged,
            "cost": cost,
            "seconds": evaluation.seconds,
            "worker": evaluation.worker,
            "attempt": hold.attempt,
            "created_at": now,
        }
        for sample, evaluation, cost in zip(wave.samples, wave.evaluations, record.costs, strict=True)
    ]
    session.execute(insert(SampleRow), rows)
    totals.count(session, job_id, totals.SAMPLES, len(rows))
    replace_arms(session, job_id, record.arms)
    arm_rounds.add_snapshots(session, job_id, record.snapshots)
    ended = {kept.round: kept.samples for kept in record.snapshots if kept.round is not None}
    for told in told_of_wave(wave, record.before, record.arms, ended or None):
        events.record(session, job_id, told)
    return state


def replace_arms(session: Session, job_id: str, arms: tuple[Arm, ...]) -> None:
    """Write the arm table of a search anew; the names of arms only where they are others than before."""
    names, figures = arm_rounds.names_of(arms), arm_rounds.columns_of(arms)
    known = session.scalar(select(ArmTable.names).where(ArmTable.job_id == job_id))
    if known is None:
        session.execute(insert(ArmTable), {"job_id": job_id, "names": names, "figures": figures})
    else:
        changed: dict[str, Any] = {"figures": figures} if known == names else {"names": names, "figures": figures}
        session.execute(update(ArmTable).where(ArmTable.job_id == job_id).values(changed))


def history_of(session: Session, job_id: str, first: int = 0, until: int | None = None) -> tuple[Sample, ...]:
    """Return the committed samples of a search in order, from the index `first` on and before `until`."""
    figures = (SampleRow.reward, SampleRow.parent_reward, SampleRow.fidelity, SampleRow.attacked_accuracy)
    query = select(SampleRow.index, SampleRow.genotype, *figures).where(SampleRow.job_id == job_id, SampleRow.index >= first)
    query = query.order_by(SampleRow.index)
    if until is not None:
        query = query.where(SampleRow.index < until)
    rows = session.execute(query)
    return tuple(Sample(index, Genotype.from_dict(genotype), *told) for index, genotype, *told in rows)


def standings_of(session: Session, job_id: str) -> tuple[tuple[float, float], ...]:
    """Return fidelity and reward of the committed samples of a search, in order."""
    query = select(SampleRow.fidelity, SampleRow.reward).where(SampleRow.job_id == job_id).order_by(SampleRow.index)
    return tuple((fidelity, reward) for fidelity, reward in session.execute(query))


def costs_of(session: Session, job_id: str) -> dict[str, dict[str, Any]]:
    """Return the cost of every sampled genotype by its digest."""
    rows = session.execute(select(SampleRow.digest, SampleRow.cost).where(SampleRow.job_id == job_id))
    return {row.digest: row.cost for row in rows}


def list_samples(session: Session, job_id: str, *, limit: int, after: int = -1) -> list[SampleRow]:
    """Return samples with an index above `after`, in order."""
    query = select(SampleRow).where(SampleRow.job_id == job_id, SampleRow.index > after)
    return list(session.scalars(query.order_by(SampleRow.index).limit(limit)))


def count_samples(session: Session, job_id: str) -> int:
    """Return how many samples of a search are committed."""
    last = session.scalar(select(func.max(SampleRow.index)).where(SampleRow.job_id == job_id))
    return 0 if last is None else last + 1


def get_sample(session: Session, job_id: str, index: int) -> SampleRow:
    """Return one sample of a search.

    Raises:
        NotFoundError: If there is none of that index.
    """
    row = session.get(SampleRow, (job_id, index))
    if row is None:
        kind = "sample"
        raise NotFoundError(kind, str(index))
    return row


def list_arms(session: Session, job_id: str) -> tuple[Arm, ...]:
    """Return the arm table of a search as of its last committed wave."""
    return arms_now(session, job_id)[1]


def arms_now(session: Session, job_id: str) -> tuple[int, tuple[Arm, ...]]:
    """Return how many samples are committed, and the arm table after them, from one look at the database."""
    count = select(func.max(SampleRow.index) + 1).where(SampleRow.job_id == job_id).scalar_subquery()
    found = session.execute(select(ArmTable.names, ArmTable.figures, count).where(ArmTable.job_id == job_id)).one_or_none()
    if found is None:
        return 0, ()
    names, figures, samples = found
    return samples or 0, arm_rounds.arms_from(names, figures)

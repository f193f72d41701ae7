"""Candidates: architectures trained with one method and one seed, and their epochs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from nas_service.comparison import TrainedCandidate
from nas_service.errors import NotFoundError
from nas_service.reports import EpochReport
from nas_service.storage.models import Architecture, Candidate, CandidateEpoch
from nas_service.storage.session import new_id, utc_now


class CandidateState(StrEnum):
    """Where a candidate stands."""

    WAITING = "waiting"
    TRAINING = "training"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"  # early, by a scheduler: it has epochs and no files
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How a candidate's training ended well."""

    validation_accuracy: float
    test_accuracy: float
    metrics: dict[str, Any]
    cost: dict[str, Any]


@dataclass(frozen=True)
class PlannedCandidate:
    """What is to be trained."""

    architecture_id: str
    method: dict[str, Any]
    seed: int


def plan_candidates(session: Session, job_id: str, planned: list[PlannedCandidate]) -> list[Candidate]:
    """Insert the candidates of a training if they are not there yet, and return them in order."""
    rows = candidates_of(session, job_id)
    if rows:
        return rows
    rows = [
        Candidate(
            id=new_id(),
            job_id=job_id,
            position=position,
            architecture_id=plan.architecture_id,
            method=plan.method,
            seed=plan.seed,
            state=CandidateState.WAITING.value,
            epochs_done=0,
            metrics={},
            cost={},
            seconds=0.0,
            created_at=utc_now(),
        )
        for position, plan in enumerate(planned)
    ]
    session.add_all(rows)
    session.flush()
    return rows


def candidates_of(session: Session, job_id: str) -> list[Candidate]:
    """Return the candidates of a training in order."""
    return list(session.scalars(select(Candidate).where(Candidate.job_id == job_id).order_by(Candidate.position)))


def get_candidate(session: Session, candidate_id: str) -> Candidate:
    """Return a candidate.

    Raises:
        NotFoundError: If there is none of that id.
    """
    row = session.get(Candidate, candidate_id)
    if row is None:
        kind = "candidate"
        raise NotFoundError(kind, candidate_id)
    return row


def list_candidates(
    session: Session,
    *,
    limit: int,
    before: str | None = None,
    job_id: str | None = None,
    architecture_id: str | None = None,
    search_id: str | None = None,
) -> list[Candidate]:
    """Return candidates, newest first, older than the id `before`."""
    query = select(Candidate).order_by(Candidate.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Candidate.id < before)
    if job_id is not None:
        query = query.where(Candidate.job_id == job_id)
    if architecture_id is not None:
        query = query.where(Candidate.architecture_id == architecture_id)
    if search_id is not None:
        found = select(Architecture.id).where(Architecture.job_id == search_id)
        query = query.where(Candidate.architecture_id.in_(found))
    return list(session.scalars(query))


def add_epoch(session: Session, candidate_id: str, report: EpochReport) -> bool:
    """Keep an epoch's figures; return whether they are new (a resumed training repeats epochs, it does not count them)."""
    if session.get(CandidateEpoch, (candidate_id, report.epoch)) is not None:
        return False
    session.execute(
        insert(CandidateEpoch),
        {
            "candidate_id": candidate_id,
            "epoch": report.epoch,
            "phase": report.phase,
            "train_loss": report.train_loss,
            "train_accuracy": report.train_accuracy,
            "validation_accuracy": report.validation_accuracy,
            "flip_ratio": report.flip_ratio,
            "sign_balance": report.sign_balance,
            "bimodality": report.bimodality,
            "seconds": report.seconds,
            "extra": report.extra,
        },
    )
    row = get_candidate(session, candidate_id)
    row.state = CandidateState.TRAINING.value
    row.epochs_done = report.epoch + 1
    row.seconds += report.seconds
    row.validation_accuracy = report.validation_accuracy
    return True


def finish_candidate(session: Session, candidate_id: str, outcome: Outcome) -> None:
    """Keep what a training led to."""
    row = get_candidate(session, candidate_id)
    row.state = CandidateState.SUCCEEDED.value
    row.error = None
    row.validation_accuracy = outcome.validation_accuracy
    row.test_accuracy = outcome.test_accuracy
    row.metrics = outcome.metrics
    row.cost = outcome.cost
    row.finished_at = utc_now()


def stop_candidate(session: Session, candidate_id: str) -> None:
    """Keep that a training was ended early because others did better."""
    row = get_candidate(session, candidate_id)
    row.state = CandidateState.STOPPED.value
    row.finished_at = utc_now()


def fail_candidate(session: Session, candidate_id: str, error: str) -> None:
    """Keep why a training failed."""
    row = get_candidate(session, candidate_id)
    row.state = CandidateState.FAILED.value
    row.error = error
    row.finished_at = utc_now()


def trained_of(session: Session, job_id: str) -> list[TrainedCandidate]:
    """Return what can be compared of a training so far: its finished candidates, in order."""
    query = (
        select(Candidate, Architecture.score)
        .join(Architecture, Candidate.architecture_id == Architecture.id)
        .where(Candidate.job_id == job_id, Candidate.state == CandidateState.SUCCEEDED.value)
        .order_by(Candidate.position)
    )
    found = []
    for row, score in session.execute(query):
        assert row.test_accuracy is not None and row.validation_accuracy is not None  # noqa: S101, PT018 - it succeeded
        accuracies = row.test_accuracy, row.validation_accuracy
        found.append(TrainedCandidate(row.architecture_id, score, row.method, *accuracies, row.cost["packed_bytes"], row.seconds))
    return found


def curves_of(session: Session, candidate_id: str, *, limit: int, after: int = -1) -> list[CandidateEpoch]:
    """Return the epochs of a candidate above `after`, in order."""
    query = select(CandidateEpoch).where(CandidateEpoch.candidate_id == candidate_id, CandidateEpoch.epoch > after)
    return list(session.scalars(query.order_by(CandidateEpoch.epoch).limit(limit)))

"""Candidates: architectures trained with one method and one seed, and their epochs."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from nas_service.errors import NotFoundError
from nas_service.job_events import CandidateTold
from nas_service.lifecycle import AT_WORK, CANDIDATE_FINISHED, CandidateState, candidate_sources_of
from nas_service.reports import CandidateMetrics, EpochReport
from nas_service.storage import events, litter, totals
from nas_service.storage.keys import checkpoint_key
from nas_service.storage.models import ATTACK_SECONDS, Architecture, Candidate, CandidateEpoch, Job
from nas_service.storage.session import database_now, new_id


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
    now = database_now(session)
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
            created_at=now,
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


def move(
    session: Session,
    candidate_id: str,
    target: CandidateState,
    *,
    resumed_from: int = 0,
    by_search: bool = False,
    **values: object,
) -> bool:
    """Move a candidate to `target` if the table of moves allows it, setting other columns too; return whether it moved.

    Whoever calls renews the job's lease in the same transaction, which refuses an attempt that is over.
    """
    sources = [state.value for state in candidate_sources_of(target)]
    statement = update(Candidate).where(Candidate.id == candidate_id, Candidate.state.in_(sources))
    if target in CANDIDATE_FINISHED:
        values["finished_at"] = database_now(session)
    result = session.execute(
        statement.values(state=target.value, **values).returning(Candidate.job_id).execution_options(synchronize_session=False)
    )
    job_id = result.scalar_one_or_none()
    if job_id is None:
        return False
    if target in CANDIDATE_FINISHED:
        litter.drop(session, [checkpoint_key(candidate_id)])
    told = {key: values[key] for key in ("error", "worker", "device") if values.get(key) is not None}
    told |= {"candidate": candidate_id, "state": target, "resumed_from": resumed_from or None, "by_search": by_search or None}
    events.record(session, job_id, CandidateTold.model_validate(told))
    return True


def begin(session: Session, candidate_id: str, worker: str, device: str, resumed_from: int, *, by_search: bool = False) -> bool:
    """Keep that a trial took the candidate up: where it runs, after how many epochs, and when the first one did.

    Args:
        session: An open session.
        candidate_id: The candidate.
        worker: Host and process of the trial.
        device: Where it computes.
        resumed_from: Epochs that are done.
        by_search: Whether the search that found the architecture did them.
    """
    started = func.coalesce(Candidate.started_at, database_now(session))
    values = {"worker": worker, "device": device, "started_at": started}
    return move(session, candidate_id, CandidateState.TRAINING, resumed_from=resumed_from, by_search=by_search, **values)


def succeed(
    session: Session, candidate_id: str, metrics: CandidateMetrics, cost: dict[str, Any], attack_seconds: float | None = None
) -> bool:
    """Keep what a training led to, and how long the attacks took, if there were any."""
    timed = {} if attack_seconds is None else {ATTACK_SECONDS: attack_seconds}
    return move(
        session,
        candidate_id,
        CandidateState.SUCCEEDED,
        error=None,
        validation_accuracy=metrics.validation_accuracy,
        test_accuracy=metrics.test_accuracy,
        metrics=metrics.model_dump(mode="json", exclude_none=True) | timed,
        cost=cost,
    )


def put_back(session: Session, job_id: str) -> None:
    """Let the candidates that an attempt left unfinished wait for the next one."""
    for candidate_id in _in_states(session, job_id, AT_WORK):
        move(session, candidate_id, CandidateState.WAITING)


def end_open(session: Session, job_id: str, target: CandidateState, error: str | None = None) -> None:
    """End every candidate of a job that is over."""
    for candidate_id in _in_states(session, job_id, frozenset(CandidateState) - CANDIDATE_FINISHED):
        move(session, candidate_id, target, error=error)


def _in_states(session: Session, job_id: str, states: frozenset[CandidateState]) -> list[str]:
    wanted = [state.value for state in states]
    query = select(Candidate.id).where(Candidate.job_id == job_id, Candidate.state.in_(wanted)).order_by(Candidate.position)
    return list(session.scalars(query))


def add_epoch(session: Session, candidate_id: str, report: EpochReport) -> bool:
    """Keep an epoch's figures; return whether they are new (a resumed training repeats epochs, it does not count them)."""
    if session.get(CandidateEpoch, (candidate_id, report.epoch)) is not None:
        return False
    session.execute(insert(CandidateEpoch), {"candidate_id": candidate_id, **report.model_dump()})
    row = get_candidate(session, candidate_id)
    row.epochs_done = report.epoch + 1
    row.seconds += report.seconds
    row.validation_accuracy = report.validation_accuracy
    job = session.get_one(Job, row.job_id)
    totals.count_work(session, job.id, report.seconds, (job.spec.get("resources") or {}).get("gpus_per_trial", 0.0))
    return True


def curves_of(session: Session, candidate_id: str, *, limit: int, after: int = -1) -> list[CandidateEpoch]:
    """Return the epochs of a candidate above `after`, in order."""
    query = select(CandidateEpoch).where(CandidateEpoch.candidate_id == candidate_id, CandidateEpoch.epoch > after)
    return list(session.scalars(query.order_by(CandidateEpoch.epoch).limit(limit)))

"""Jobs: every move of a job's state is one guarded UPDATE and one event row, here and nowhere else.

Candidates follow their job: they wait again when an attempt is over and end when it ends, in the same transaction.
What drivers and controllers do with a job they hold is in `attempts.py`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CursorResult, Update, func, select, update
from sqlalchemy.orm import Session

from nas_service.access import NOBODYS, Whose
from nas_service.errors import ConflictError, NotFoundError
from nas_service.job_events import StateTold
from nas_service.lifecycle import FINISHED, HELD, CandidateState, JobState, sources_of
from nas_service.storage import candidates, events, keys, litter, usage
from nas_service.storage.models import Job
from nas_service.storage.session import database_now, new_id

SEARCH = "search"
TRAINING = "training"
REGISTRATION = "registration"
KINDS = (SEARCH, TRAINING, REGISTRATION)
LANES = ((SEARCH, TRAINING), (REGISTRATION,))  # kinds that wait for one another: minutes of work do not wait for a night's


def create_job(
    session: Session, kind: str, name: str, spec: dict[str, Any], parent_id: str | None = None, whose: Whose = NOBODYS
) -> Job:
    """Insert a queued job and its first event; one that a job started is whose that is, and of its priority."""
    parent = None if parent_id is None else session.get(Job, parent_id)
    if parent is not None:
        whose = Whose(parent.owner, parent.project)
    job = Job(
        id=new_id(),
        kind=kind,
        name=name,
        state=JobState.QUEUED.value,
        folded_name=name.casefold(),
        spec=spec,
        note="",
        parent_id=parent_id,
        begins_from=(spec.get("from_search") or {}).get("search"),
        owner=whose.owner,
        project=whose.project,
        priority=0 if parent is None else parent.priority,
        attempt=0,
        stalls=0,
        progress={},
        created_at=database_now(session),
        **listed_names(kind, spec),
    )
    session.add(job)
    session.flush()
    events.record(session, job.id, StateTold(state=JobState.QUEUED))
    return job


def listed_names(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the names in a spec that lists show and are filtered by; a registration's dataset is what it registers."""
    names: dict[str, Any] = {field: (spec.get(field) or {}).get("name") for field in ("space", "dataset", "strategy")}
    if kind == REGISTRATION:
        names["dataset"] = spec.get("name")
    section = (spec.get("training") or {}) if kind == SEARCH else spec
    methods = [entry["name"] for entry in section.get("methods", [])]
    return names | {"methods": list(dict.fromkeys(methods))}


def get_job(session: Session, job_id: str, kind: str | None = None) -> Job:
    """Return a job.

    Raises:
        NotFoundError: If there is none of that id, or it is of another kind.
    """
    job = session.get(Job, job_id, populate_existing=True)
    if job is None or (kind is not None and job.kind != kind):
        raise NotFoundError(kind or "job", job_id, None if job is None else job.kind)
    return job


def hold(session: Session, job_id: str) -> bool:
    """Keep a job from being deleted until the transaction ends; return whether it is there."""
    return session.scalar(select(Job.id).where(Job.id == job_id).with_for_update(key_share=True)) is not None


def list_jobs(
    session: Session,
    kind: str,
    *,
    limit: int,
    before: str | None = None,
    states: Sequence[str] = (),
    parent_id: str | None = None,
) -> list[Job]:
    """Return jobs, newest first, older than the id `before`."""
    query = select(Job).where(Job.kind == kind).order_by(Job.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Job.id < before)
    if states:
        query = query.where(Job.state.in_(states))
    if parent_id is not None:
        query = query.where(Job.parent_id == parent_id)
    return list(session.scalars(query))


def count_by_state(session: Session) -> dict[tuple[str, str], int]:
    """Return the number of jobs by (kind, state)."""
    # Grouped as the index on states is sorted: by kind too, every job would be put into a tree of its own first.
    by_kind = [func.count().filter(Job.kind == kind) for kind in KINDS]
    rows = session.execute(select(Job.state, *by_kind).group_by(Job.state)).all()
    found = {(kind, state): int(count) for state, *counts in rows for kind, count in zip(KINDS, counts, strict=True)}
    return {key: count for key, count in found.items() if count}


def is_any_unfinished(session: Session, kind: str) -> bool:
    """Return whether a job of a kind is not over."""
    unfinished = select(Job.id).where(Job.kind == kind, Job.state.not_in([state.value for state in FINISHED]))
    return session.scalars(unfinished.limit(1)).first() is not None


def update_one(session: Session, statement: Update) -> bool:
    """Carry out an UPDATE; return whether it found its one row."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101 - for the type checker; an UPDATE gives one
    return result.rowcount == 1


def set_values(session: Session, job_id: str, **values: object) -> None:
    """Overwrite columns of a job that are not its state."""
    update_one(session, update(Job).where(Job.id == job_id).values(**values))


def move(session: Session, job_id: str, target: JobState, *, attempt: int | None = None, error: str | None = None) -> bool:
    """Move a job, and with it its candidates, to `target` if the table of moves allows it; return whether it moved.

    Args:
        session: An open write session.
        job_id: The job.
        target: Where to.
        attempt: Move only if this is still the job's attempt.
        error: Kept with the job and its event.
    """
    values: dict[str, Any] = {"state": target.value}
    if target in FINISHED:
        values |= {"finished_at": database_now(session), "lease_expires_at": None, "waiting_for": None, "error": error}
    if target in {JobState.QUEUED, JobState.LOST, JobState.PAUSED}:
        values |= {"lease_expires_at": None, "waiting_for": None}
    statement = update(Job).where(Job.id == job_id, Job.state.in_([state.value for state in sources_of(target)]))
    if attempt is not None:
        statement = statement.where(Job.attempt == attempt)
    if not update_one(session, statement.values(values)):
        return False
    if target not in HELD:
        usage.count(session, job_id, ends=True)
    events.record(session, job_id, StateTold(state=target, error=error or None))
    _let_follow(session, job_id, target, error)
    return True


def _let_follow(session: Session, job_id: str, target: JobState, error: str | None) -> None:
    """Move the candidates of a job that moved, and let go of files that nobody needs any more."""
    if target in {JobState.LOST, JobState.PAUSED, JobState.QUEUED}:
        candidates.put_back(session, job_id)
    elif target is JobState.CANCELLED:
        candidates.end_open(session, job_id, CandidateState.CANCELLED)
    elif target is JobState.FAILED:
        candidates.end_open(session, job_id, CandidateState.FAILED, f"its training failed: {error}")
    if target in FINISHED:
        litter.drop(session, [keys.supernet_folder(job_id), keys.training_folder(job_id)])
    if target in FINISHED - {JobState.SUCCEEDED}:
        litter.drop(session, [keys.registration_folder(job_id)])


def request_cancel(session: Session, job_id: str, kind: str) -> Job:
    """Ask for a job's end; the driver, or the controller if there is none, carries it out.

    Cancelling twice is not an error.

    Raises:
        NotFoundError: If there is no such job.
        ConflictError: If the job is over.
    """
    return _request(session, job_id, kind, (JobState.CANCELLING,), {JobState.CANCELLED}, "cancelled")


def request_pause(session: Session, job_id: str, kind: str) -> Job:
    """Ask a job to let go of its processes and keep what it has; one that is queued rests at once. Raises as `request_cancel`."""
    resting = JobState.PAUSED, JobState.PAUSING
    for_good = update(Job).where(Job.id == job_id, Job.state.in_([state.value for state in resting])).values(made_room=False)
    while True:
        _request(session, job_id, kind, resting, set(), "paused")
        if update_one(session, for_good):
            return get_job(session, job_id, kind)


def request_resume(session: Session, job_id: str, kind: str) -> Job:
    """Put a paused job back into the queue, in its old place. Raises as `request_cancel`."""
    job = get_job(session, job_id, kind)
    if job.state == JobState.PAUSING.value and job.made_room:
        return job  # it goes on by itself
    if job.state == JobState.PAUSING.value:
        raise ConflictError(f"{kind} {job_id} is pausing; resume it when it is paused")
    if job.state == JobState.LOST.value:
        raise ConflictError(f"{kind} {job_id} is {job.state} and cannot be resumed")
    return _request(session, job_id, kind, (JobState.QUEUED,), {JobState.STARTING, JobState.RUNNING}, "resumed")


def _request(session: Session, job_id: str, kind: str, targets: Sequence[JobState], already: set[JobState], asked: str) -> Job:
    """Move to the first of `targets` that can be reached; being there, or in one of `already`, is no error."""
    job = get_job(session, job_id, kind)
    while True:
        state = JobState(job.state)
        if state in {*targets, *already}:
            return job
        if any(state in sources_of(target) and move(session, job_id, target) for target in targets):
            return get_job(session, job_id, kind)
        job = get_job(session, job_id, kind)
        if JobState(job.state) is state:
            raise ConflictError(f"{kind} {job_id} is {job.state} and cannot be {asked}")
        # It moved meanwhile, as when a controller claims it: what is asked holds for where it is now.

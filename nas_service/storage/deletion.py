"""Deleting jobs with all their history; only what is over can go, and nothing that others still need.

What another project made of them stands in the way like everything else, but is not named.
"""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError
from nas_service.lifecycle import FINISHED, JobState
from nas_service.storage import jobs, litter
from nas_service.storage.artifacts import forget_artifacts
from nas_service.storage.keys import candidate_folder, whole_trainings_folder
from nas_service.storage.models import Architecture, Candidate, Job
from nas_service.storage.visibility import EVERYBODYS


def delete_job(session: Session, job_id: str, kind: str, *, with_trainings: bool) -> None:
    """Delete a job that is over, with its candidates; their files become litter.

    A search takes along the trainings of the architectures that it found, where that is asked for.

    Raises:
        NotFoundError: If there is no such job.
        ConflictError: If the job, or a training that needs it, is not over, trainings would go that nobody named, or another
            search begins from it.
    """
    session.execute(
        select(Job.id).where(Job.id == job_id).with_for_update()
    )  # a search that begins from it is queued now or never
    job = jobs.get_job(session, job_id, kind)
    going = [job, *(_trainings_of(session, job_id) if kind == jobs.SEARCH else ())]
    _require_seen(session, going)
    for entry in going:
        if JobState(entry.state) not in FINISHED:
            raise ConflictError(f"{entry.kind} {entry.id} is {entry.state}; cancel it, and delete when it is over")
    if len(going) > 1 and not with_trainings:
        named = ", ".join(entry.id for entry in going[1:4])
        raise ConflictError(
            f"search {job_id} has {len(going) - 1} training(s) whose networks would go too ({named}); "
            "delete those first, or ask for that (trainings=true, or --trainings)"
        )
    _require_unfollowed(session, job_id)
    ids = [entry.id for entry in going]
    trained = list(session.scalars(select(Candidate.id).where(Candidate.job_id.in_(ids))))
    _require_untaught(session, set(trained))
    forget_artifacts(session, trained)
    session.execute(delete(Job).where(Job.id.in_(ids)))
    litter.drop(session, map(candidate_folder, trained))
    if kind == jobs.SEARCH:
        litter.drop(session, [whole_trainings_folder(job_id)])


def _trainings_of(session: Session, search_id: str) -> list[Job]:
    """Return the trainings that a search started, and those that train what it found."""
    trained = select(Candidate.job_id).join(Architecture).where(Architecture.job_id == search_id)
    query = select(Job).where(Job.kind == jobs.TRAINING, (Job.parent_id == search_id) | Job.id.in_(trained))
    waiting = select(Job).where(Job.kind == jobs.TRAINING, Job.state.not_in([state.value for state in FINISHED]))
    found = {row.id: row for row in session.scalars(query, execution_options=EVERYBODYS)}
    own = set(session.scalars(select(Architecture.id).where(Architecture.job_id == search_id)))
    for row in session.scalars(waiting, execution_options=EVERYBODYS):  # one that has not begun has no candidates yet
        if own & set(row.spec["architectures"]):
            found[row.id] = row
    return [found[key] for key in sorted(found)]


def _require_seen(session: Session, needed: Sequence[Job]) -> None:
    """Refuse to delete what another project needs.

    Raises:
        ConflictError: Without a name or an id of the other's.
    """
    ids = {row.id for row in needed}
    seen = set(session.scalars(select(Job.id).where(Job.id.in_(ids))))
    if ids - seen:
        raise ConflictError("another project has jobs that need it: an administrator can delete it with them")


def _require_unfollowed(session: Session, search_id: str) -> None:
    """Refuse to delete a search whose samples another one, over or not, depends on: its figures are worked out from both.

    Raises:
        ConflictError: Naming the other.
    """
    query = select(Job).where(Job.begins_from == search_id).order_by(Job.id).limit(1)
    other = session.scalar(query, execution_options=EVERYBODYS)
    if other is not None:
        _require_seen(session, [other])
        raise ConflictError(f"search {other.id} begins from the samples of {search_id} (from_search); delete that one first")


def _require_untaught(session: Session, candidate_ids: set[str]) -> None:
    """Refuse to delete a candidate that teaches in a training that is not over.

    Raises:
        ConflictError: Naming the training.
    """
    query = select(Job).where(Job.kind == jobs.TRAINING, Job.state.not_in([state.value for state in FINISHED]))
    for row in session.scalars(query, execution_options=EVERYBODYS):
        if row.spec.get("teacher") in candidate_ids:
            _require_seen(session, [row])
            raise ConflictError(f"candidate {row.spec['teacher']} teaches in training {row.id}, which is {row.state}")

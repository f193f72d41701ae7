"""Deleting jobs with all their history; only what is over can go, and nothing that others still need."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError
from nas_service.lifecycle import FINISHED, JobState
from nas_service.storage import jobs, litter
from nas_service.storage.keys import candidate_folder, whole_trainings_folder
from nas_service.storage.models import Architecture, Artifact, Candidate, Job


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
    session.execute(delete(Artifact).where(Artifact.owner_id.in_(trained)))
    session.execute(delete(Job).where(Job.id.in_(ids)))
    litter.drop(session, map(candidate_folder, trained))
    if kind == jobs.SEARCH:
        litter.drop(session, [whole_trainings_folder(job_id)])


def _trainings_of(session: Session, search_id: str) -> list[Job]:
    """Return the trainings that a search started, and those that train what it found."""
    trained = select(Candidate.job_id).join(Architecture).where(Architecture.job_id == search_id)
    query = select(Job).where(Job.kind == jobs.TRAINING, (Job.parent_id == search_id) | Job.id.in_(trained))
    waiting = select(Job).where(Job.kind == jobs.TRAINING, Job.state.not_in([state.value for state in FINISHED]))
    found = {row.id: row for row in session.scalars(query)}
    own = set(session.scalars(select(Architecture.id).where(Architecture.job_id == search_id)))
    for row in session.scalars(waiting):  # one that has not begun has no candidates yet
        if own & set(row.spec["architectures"]):
            found[row.id] = row
    return [found[key] for key in sorted(found)]


def _require_unfollowed(session: Session, search_id: str) -> None:
    """Refuse to delete a search whose samples another one, over or not, depends on: its figures are worked out from both.

    Raises:
        ConflictError: Naming the other.
    """
    other = session.scalar(select(Job.id).where(Job.begins_from == search_id).order_by(Job.id).limit(1))
    if other is not None:
        raise ConflictError(f"search {other} begins from the samples of {search_id} (from_search); delete that one first")


def _require_untaught(session: Session, candidate_ids: set[str]) -> None:
    """Refuse to delete a candidate that teaches in a training that is not over.

    Raises:
        ConflictError: Naming the training.
    """
    query = select(Job).where(Job.kind == jobs.TRAINING, Job.state.not_in([state.value for state in FINISHED]))
    for row in session.scalars(query):
        if row.spec.get("teacher") in candidate_ids:
            raise ConflictError(f"candidate {row.spec['teacher']} teaches in training {row.id}, which is {row.state}")

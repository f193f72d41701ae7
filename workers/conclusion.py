"""How a job ends early, whoever ends it: its driver, or the controller where the driver is gone. A search keeps its best."""

from nas_service.lifecycle import JobState
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.architectures import Discovery, add_architectures
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.models import Job
from nas_service.storage.samples import costs_of, history_of
from nas_service.storage.session import Database, Session
from workers.supernet_worker import build_search


def checkpoint_folder(job_id: str) -> str:
    """Return the folder of a search's supernet checkpoints in the artifact store."""
    return f"supernets/{job_id}"


def checkpoint_key(job_id: str, samples: int) -> str:
    """Return where the shared weights after so many samples lie."""
    return f"{checkpoint_folder(job_id)}/{samples:08d}.safetensors"


def forget_checkpoints(store: ArtifactStore, job_id: str) -> None:
    """Delete the supernet checkpoints of a search that is over."""
    store.delete_folder(checkpoint_folder(job_id))


def end_early(database: Database, store: ArtifactStore, job: Job, state: JobState, error: str | None = None) -> bool:
    """Move a job to its last state, if `job.attempt` still holds it, with what it found so far; return whether it moved."""
    with database.write() as session:
        moved = jobs.move(session, job.id, state, attempt=job.attempt, error=error)
        if moved:
            keep_sampled(session, job)
    if moved:
        forget_checkpoints(store, job.id)
    return moved


def keep_sampled(session: Session, job: Job) -> None:
    """Keep the best of what a search sampled before it was ended: architectures with the costs that were counted then."""
    history = history_of(session, job.id) if job.kind == jobs.SEARCH else ()
    if not history:
        return
    job_id, spec = job.id, SearchSpec.model_validate(job.spec)
    _, strategy = build_search(spec)
    costs = costs_of(session, job_id)
    ranked = [entry for entry in strategy.rank(history, spec.keep) if entry.genotype.digest in costs]
    add_architectures(session, job_id, [Discovery(entry.genotype, entry.score, costs[entry.genotype.digest]) for entry in ranked])

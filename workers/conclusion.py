"""How a job ends early and how an attempt is let go, whoever does it: its driver, or the controller where the driver is gone.

A search keeps its best, a training's candidates end or wait with it.
"""

from nas_service.catalogue import build_space, build_strategy
from nas_service.lifecycle import FINISHED, JobState
from nas_service.specs import SearchSpec
from nas_service.storage import attempts, jobs
from nas_service.storage.architectures import Discovery, add_architectures
from nas_service.storage.models import Job
from nas_service.storage.samples import costs_of, history_of
from nas_service.storage.session import Session


def conclude(session: Session, job: Job, state: JobState, error: str | None = None) -> bool:
    """Move a job to its last state, if `job.attempt` still holds it, with what it found so far; return whether it moved."""
    moved = jobs.move(session, job.id, state, attempt=job.attempt, error=error)
    if moved:
        _keep_sampled(session, job)
    return moved


def release(session: Session, job: Job, reason: str, max_stalls: int) -> JobState:
    """Finish what a driver left that is gone, as `attempts.release`, and return where the job stands now."""
    state = attempts.release(session, job, reason, max_stalls)
    if state in FINISHED:
        _keep_sampled(session, job)
    return state


def _keep_sampled(session: Session, job: Job) -> None:
    """Keep the best of what a search sampled before it was ended: architectures with the costs that were counted then."""
    history = history_of(session, job.id) if job.kind == jobs.SEARCH else ()
    if not history:
        return
    spec = SearchSpec.model_validate(job.spec)
    strategy = build_strategy(spec.strategy, build_space(spec.space), spec.seed)
    costs = costs_of(session, job.id)
    ranked = [entry for entry in strategy.rank(history, spec.keep) if entry.genotype.digest in costs]
    add_architectures(session, job.id, [Discovery(entry.genotype, entry.score, costs[entry.genotype.digest]) for entry in ranked])

"""How a job ends early and how an attempt is let go, whoever does it: its driver, or the controller where the driver is gone.

A search keeps its best, a training's candidates end or wait with it. The best are ranked before anything is written: a long
history takes seconds, in which nobody else could write.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from nas_service.catalogue import search_strategy
from nas_service.earlier_searches import prior_of
from nas_service.job_events import BestNotKept
from nas_service.lifecycle import FINISHED, JobState, Loss
from nas_service.specs import SearchSpec
from nas_service.storage import attempts, events, jobs, litter
from nas_service.storage.architectures import Discovery, add_architectures
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.keys import whole_trainings_folder
from nas_service.storage.models import Job
from nas_service.storage.samples import costs_of, history_of
from nas_service.storage.session import TRANSIENT_ERRORS, Database, Session

log = structlog.get_logger()


@dataclass(frozen=True)
class Findings:
    """What a search found before it was ended.

    Attributes:
        best: Architectures with the costs that were counted then.
        unwanted: Keys of whole trainings of other architectures.
        trouble: Why they cannot be told; the job ends all the same, and says so.
    """

    best: tuple[Discovery, ...] = ()
    unwanted: tuple[str, ...] = ()
    trouble: str | None = None


def findings_of(database: Database, store: ArtifactStore, job: Job) -> Findings:
    """Rank what a search sampled so far; a training has nothing to rank.

    Raises:
        DatabaseAwayError: If the database is, for now.
    """
    if job.kind != jobs.SEARCH:
        return Findings()
    try:
        with database.read() as session:
            history, costs = history_of(session, job.id), costs_of(session, job.id)
            if not history:
                return Findings(unwanted=unwanted_trainings(store, job.id, ()))
            spec = SearchSpec.model_validate(job.spec)
            prior = prior_of(session, spec)
        strategy = search_strategy(spec, prior)
        ranked = [entry for entry in strategy.rank(history, spec.keep) if entry.genotype.digest in costs]
        best = tuple(
            Discovery(entry.genotype, entry.score, costs[entry.genotype.digest], attacked=entry.attacked) for entry in ranked
        )
        return Findings(best, unwanted_trainings(store, job.id, best))
    except TRANSIENT_ERRORS:
        raise
    except Exception as error:  # a spec of another version, a strategy that is gone: no reason to never end
        log.exception("search.best_not_ranked", job_id=job.id)
        return Findings((), unwanted_trainings(store, job.id, ()), f"they could not be ranked ({type(error).__name__})")


def unwanted_trainings(store: ArtifactStore, search_id: str, kept: Sequence[Discovery]) -> tuple[str, ...]:
    """Return the keys of the whole trainings that a search made of architectures that it does not keep, folders all.

    Where the store cannot be asked they stay until the search is deleted.
    """
    wanted = {whole_trainings_folder(search_id, discovery.genotype.digest) for discovery in kept}
    try:
        made = [f"{key}/" for key in store.keys(whole_trainings_folder(search_id))]
    except OSError as error:
        log.warning("search.trainings_not_listed", job_id=search_id, error=str(error))
        return ()
    return tuple(folder for folder in made if folder not in wanted)


def conclude(session: Session, job: Job, state: JobState, found: Findings, error: str | None = None) -> bool:
    """Move a job to its last state, if `job.attempt` still holds it, with what it found so far; return whether it moved."""
    moved = jobs.move(session, job.id, state, attempt=job.attempt, error=error)
    if moved:
        _keep(session, job, found)
    return moved


def release(session: Session, job: Job, reason: str, max_stalls: int, found: Findings, why: Loss = Loss.DRIVER) -> JobState:
    """Finish what a driver left that is gone, as `attempts.release`; what it found is kept if the job ends here."""
    state = attempts.release(session, job, reason, max_stalls, why)
    if state in FINISHED:
        _keep(session, job, found)
    return state


def _keep(session: Session, job: Job, found: Findings) -> None:
    trouble = found.trouble
    litter.drop(session, found.unwanted)
    try:
        with session.begin_nested():
            add_architectures(session, job.id, found.best)
    except TRANSIENT_ERRORS:
        raise
    except Exception as error:
        log.exception("search.best_not_kept", job_id=job.id)
        trouble = f"they could not be written ({type(error).__name__})"
    if trouble is not None:
        events.record(session, job.id, BestNotKept(reason=trouble))

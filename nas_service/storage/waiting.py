"""What jobs wait for, in words."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.lifecycle import HELD, JobState
from nas_service.storage import controllers
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job

_NEXT = "its turn, which is next"
_NOBODY = "a controller: none is at work; `nas serve` runs one"


def waits_of(session: Session, jobs: Sequence[Job]) -> dict[str, str]:
    """Return by id what those of `jobs` wait for that wait.

    What kept the last driver of a queued job from starting is told only where nothing is known that keeps the next one.
    """
    queued = [job for job in jobs if job.state == JobState.QUEUED.value]
    found = _in_the_queue(session, queued) if queued else {}
    for job in jobs:
        if found.get(job.id, _NEXT) != _NEXT:
            continue
        if job.waiting_for is not None:
            found[job.id] = job.waiting_for
        elif job.state == JobState.PAUSED.value:
            found[job.id] = "somebody to resume it"
        elif job.state == JobState.STARTING.value:
            found[job.id] = "its driver to start"
    return found


def _in_the_queue(session: Session, queued: list[Job]) -> dict[str, str]:
    awake = controllers.living(session)
    if not awake:
        return {job.id: _NOBODY for job in queued}
    if all(controller.trouble is not None for controller in awake):
        return {job.id: awake[0].trouble or "" for job in queued}
    found: dict[str, str] = {}
    for lane in LANES:
        open_jobs = select(Job.kind, Job.id).where(Job.kind.in_(lane)).order_by(Job.id)
        at_work = session.execute(open_jobs.where(Job.state.in_([state.value for state in HELD]))).all()
        waiting = session.execute(open_jobs.where(Job.state == JobState.QUEUED.value)).all()
        before = {key: place for place, (_, key) in enumerate(waiting)}
        turns = {job.id: before.get(job.id, 0) for job in queued if job.kind in lane}
        found |= {key: _turn([f"{kind} {held}" for kind, held in at_work], place) for key, place in turns.items()}
    return found


def _turn(at_work: list[str], before: int) -> str:
    ahead = [f"{before} queued before it"] if before else []
    if at_work:
        others = f" and {len(at_work) - 1} more" if len(at_work) > 1 else ""
        ahead.insert(0, f"{at_work[0]}{others} at work")
    return f"its turn: {', '.join(ahead)}" if ahead else _NEXT

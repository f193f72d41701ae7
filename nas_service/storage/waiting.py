"""What jobs wait for, in words."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.lifecycle import HELD, JobState
from nas_service.storage import controllers
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job
from nas_service.storage.visibility import EVERYBODYS

_NEXT = "its turn, which is next"
_NOBODY = "a controller: none is at work; `nas serve` runs one"


def waits_of(session: Session, jobs: Sequence[Job], places: Mapping[str, int]) -> dict[str, str]:
    """Return by id what those of `jobs` wait for that wait; `places` are theirs in the queue.

    What kept the last driver of a queued job from starting is told only where nothing is known that keeps the next one.
    """
    queued = [job for job in jobs if job.state == JobState.QUEUED.value]
    found = _in_the_queue(session, queued, places) if queued else {}
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


def _in_the_queue(session: Session, queued: list[Job], places: Mapping[str, int]) -> dict[str, str]:
    awake = controllers.living(session)
    if not awake:
        return {job.id: _NOBODY for job in queued}
    if all(controller.trouble is not None for controller in awake):
        return {job.id: awake[0].trouble or "" for job in queued}
    found: dict[str, str] = {}
    for lane in LANES:
        at_work = select(Job.kind, Job.id, Job.project).where(Job.kind.in_(lane), Job.state.in_([state.value for state in HELD]))
        held = session.execute(at_work.order_by(Job.id), execution_options=EVERYBODYS).all()
        for job in queued:
            if job.kind in lane:
                named = [f"{kind} {key}" for kind, key, project in held if project in {None, job.project}]
                found[job.id] = _turn(named, len(held), places.get(job.id, 1) - 1)
    return found


def _turn(named: list[str], at_work: int, before: int) -> str:
    """Say what is ahead of a job; of what its project does not see only how much."""
    ahead = [f"{before} queued before it"] if before else []
    if named:
        others = f" and {at_work - 1} more" if at_work > 1 else ""
        ahead.insert(0, f"{named[0]}{others} at work")
    elif at_work:
        ahead.insert(0, f"{at_work} of other projects at work")
    return f"its turn: {', '.join(ahead)}" if ahead else _NEXT

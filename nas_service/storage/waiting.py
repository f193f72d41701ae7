"""What jobs wait for, in words."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.lifecycle import JobState
from nas_service.storage import controllers
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job
from nas_service.storage.shares import at_work

_ROOM = "its driver to let go: it had its turn, makes room for another job, and queues again"
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
        elif job.state == JobState.PAUSING.value and job.made_room:
            found[job.id] = _ROOM
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
    most = max(controller.owner_jobs for controller in awake)
    for lane in LANES:
        rows = session.execute(select(Job.kind, Job.id, Job.owner).where(*at_work(lane)))
        held = [(f"{kind} {key}", owner) for kind, key, owner in sorted(rows, key=lambda row: row.id)]
        for job in queued:
            if job.kind in lane:
                own = sum(owner == job.owner for _, owner in held)
                is_full = lane == LANES[0] and 0 < most <= own
                ahead = _ahead([name for name, _ in held], places.get(job.id, 1) - 1)
                found[job.id] = f"one of the {own} jobs of its owner at work: more may not be" if is_full else _turn(job, ahead)
    return found


def _turn(job: Job, ahead: str) -> str:
    which = "its next turn, for it made room" if job.made_room else "its turn"
    return f"{which}: {ahead}" if ahead else _NEXT


def _ahead(others: list[str], before: int) -> str:
    ahead = [f"{before} queued before it"] if before else []
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        ahead.insert(0, f"{others[0]}{more} at work")
    return ", ".join(ahead)

"""What jobs wait for, in words."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.lifecycle import JobState
from nas_service.storage import controllers
from nas_service.storage.jobs import LANES
from nas_service.storage.models import Job
from nas_service.storage.shares import at_work
from nas_service.storage.visibility import EVERYBODYS, PROJECT

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
    sees = session.info.get(PROJECT)
    most = max(controller.owner_jobs for controller in awake)
    for lane in LANES:
        columns = Job.kind, Job.id, Job.owner, Job.project
        held = session.execute(select(*columns).where(*at_work(lane)).order_by(Job.id), execution_options=EVERYBODYS).all()
        for job in queued:
            if job.kind in lane:
                own = sum(owner == job.owner for _, _, owner, _ in held)
                is_full = lane == LANES[0] and 0 < most <= own
                named = [f"{kind} {key}" for kind, key, _, project in held if sees is None or project in {None, sees}]
                ahead = _ahead(named, len(held), places.get(job.id, 1) - 1)
                found[job.id] = _full(own, most) if is_full else _turn(job, ahead)
    return found


def _full(own: int, most: int) -> str:
    return f"its owner's other jobs: {own} {'is' if own == 1 else 'are'} at work, and NAS_OWNER_JOBS allows {most}"


def _turn(job: Job, ahead: str) -> str:
    which = "its next turn, for it made room" if job.made_room else "its turn"
    return f"{which}: {ahead}" if ahead else _NEXT


def _ahead(named: list[str], held: int, before: int) -> str:
    """Say what is ahead of a job; of what who asks does not see only how much."""
    ahead = [f"{before} queued before it"] if before else []
    if named:
        others = f" and {held - 1} more" if held > 1 else ""
        ahead.insert(0, f"{named[0]}{others} at work")
    elif held:
        ahead.insert(0, f"{held} of other projects at work")
    return ", ".join(ahead)

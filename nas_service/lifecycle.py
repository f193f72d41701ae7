"""The states of a job and the one table of permitted moves."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    LOST = "lost"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


S = JobState

MOVES: dict[JobState, frozenset[JobState]] = {
    S.QUEUED: frozenset({S.STARTING, S.CANCELLING}),
    S.STARTING: frozenset({S.RUNNING, S.CANCELLING, S.LOST, S.FAILED}),
    S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.PAUSING, S.CANCELLING, S.LOST}),
    S.PAUSING: frozenset({S.PAUSED, S.CANCELLING, S.LOST}),
    S.PAUSED: frozenset({S.QUEUED, S.CANCELLING}),
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.LOST: frozenset({S.QUEUED, S.FAILED}),
    S.CANCELLED: frozenset(),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
}

FINISHED = frozenset(state for state, targets in MOVES.items() if not targets)
HELD = frozenset({S.STARTING, S.RUNNING, S.PAUSING, S.CANCELLING})  # a driver may be at work and hold the lease
COMMITTING = frozenset({S.RUNNING, S.PAUSING, S.CANCELLING})  # a driver may still commit what it has done


def sources_of(target: JobState) -> frozenset[JobState]:
    """Return the states from which a job may move to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)

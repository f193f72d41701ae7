"""The states of a job and of a candidate, and the two tables of permitted moves."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


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


class CandidateState(StrEnum):
    """Where a candidate stands. It ends with its job, and waits again when an attempt at the job is over."""

    WAITING = "waiting"
    TRAINING = "training"
    ATTACKING = "attacking"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"  # early, by a scheduler: it has epochs and no files
    FAILED = "failed"
    CANCELLED = "cancelled"


class Loss(StrEnum):
    """Why an attempt at a job was lost."""

    LEASE = "lease"  # it ran out: nothing was heard of the driver
    STALL = "stall"  # nothing happened any more
    START = "start"  # its driver did not begin
    DRIVER = "driver"  # it ended, or met something that it could not get over


S, C = JobState, CandidateState

MOVES: dict[JobState, frozenset[JobState]] = {
    S.QUEUED: frozenset({S.STARTING, S.PAUSED, S.CANCELLING}),
    S.STARTING: frozenset({S.RUNNING, S.PAUSING, S.CANCELLING, S.LOST, S.FAILED}),
    S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.PAUSING, S.CANCELLING, S.LOST}),
    S.PAUSING: frozenset({S.PAUSED, S.QUEUED, S.CANCELLING}),  # queued: it makes room for another
    S.PAUSED: frozenset({S.QUEUED, S.CANCELLING}),
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.LOST: frozenset({S.QUEUED, S.FAILED}),
    S.CANCELLED: frozenset(),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
}

CANDIDATE_MOVES: dict[CandidateState, frozenset[CandidateState]] = {
    C.WAITING: frozenset({C.TRAINING, C.FAILED, C.CANCELLED}),
    # Training from training, or from attacking: another trial took up what one that died had begun.
    C.TRAINING: frozenset({C.TRAINING, C.ATTACKING, C.SUCCEEDED, C.STOPPED, C.FAILED, C.CANCELLED, C.WAITING}),
    C.ATTACKING: frozenset({C.TRAINING, C.SUCCEEDED, C.FAILED, C.CANCELLED, C.WAITING}),
    C.SUCCEEDED: frozenset(),
    C.STOPPED: frozenset(),
    C.FAILED: frozenset(),
    C.CANCELLED: frozenset(),
}

State = TypeVar("State", JobState, CandidateState)


def _finished(moves: Mapping[State, frozenset[State]]) -> frozenset[State]:
    return frozenset(state for state, targets in moves.items() if not targets)


FINISHED = _finished(MOVES)
CANDIDATE_FINISHED = _finished(CANDIDATE_MOVES)
AT_WORK = frozenset({C.TRAINING, C.ATTACKING})  # a trial holds the candidate
HELD = frozenset({S.STARTING, S.RUNNING, S.PAUSING, S.CANCELLING})  # a driver may be at work and hold the lease
COMMITTING = frozenset({S.RUNNING, S.PAUSING, S.CANCELLING})  # a driver may still commit what it has done


def sources_of(target: JobState) -> frozenset[JobState]:
    """Return the states from which a job may move to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)


def candidate_sources_of(target: CandidateState) -> frozenset[CandidateState]:
    """Return the states from which a candidate may move to `target`."""
    return frozenset(state for state, targets in CANDIDATE_MOVES.items() if target in targets)

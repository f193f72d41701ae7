"""Looks: what the one reader of a process asks the database, for everybody who watches. Runs in a thread of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from api.streams.log_tail import LogPlace, read_on
from api.streams.messages import Message, event_message, log_message, move_message, progress_message
from nas_service.lifecycle import JobState
from nas_service.storage import events, queue, watching
from nas_service.storage.models import Job
from nas_service.storage.session import Database, Session
from nas_service.storage.waiting import waits_of

PAGE = 200  # events that are read at once
ALL = ""  # the topic of all jobs: no path of a single one has an empty id

ABSENT_LOOKS = 8  # after which a log that is not here is taken to be elsewhere: a driver that starts has none at first


@dataclass(frozen=True)
class Logs:
    """Where the logs of drivers are.

    Attributes:
        path: Of the log of a job's attempt.
        elsewhere: Says in words why there is none, and where it may be.
    """

    path: Callable[[str, int], Path]
    elsewhere: Callable[[str, int], str]


@dataclass(frozen=True)
class Plan:
    """What to look for.

    Attributes:
        places: The newest event that is known, by job; None: the job is new here.
        moves: The newest move of any job that is known; None: new here.
        watches_all: Whether somebody watches all jobs.
        held: Jobs that were held at the last look at all jobs.
        logs: How far logs were read, of jobs whose log somebody watches; None: not yet.
    """

    places: Mapping[str, int | None]
    moves: int | None
    watches_all: bool
    held: frozenset[str]
    logs: Mapping[str, LogPlace | None]


@dataclass(frozen=True)
class JobLook:
    """What was found of a job."""

    kind: str
    project: str | None
    state: JobState
    progress: bytes


@dataclass
class Look:
    """What was found.

    Attributes:
        jobs: By id; those that are gone are missing.
        heads: The newest event of jobs that were new here.
        messages: New events by job, in order.
        moves: New moves of any job, in order.
        moves_head: The newest move of all, if that was asked for.
        held: Progress of the jobs that are held, or were at the last look.
        now_held: Those of them that are.
        logs: New lines, and how far that is.
        is_cut: Whether there is more.
    """

    jobs: dict[str, JobLook] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    moves: list[Message] = field(default_factory=list)
    moves_head: int | None = None
    held: dict[str, JobLook] = field(default_factory=dict)
    now_held: frozenset[str] = frozenset()
    logs: dict[str, tuple[LogPlace, bytes | None]] = field(default_factory=dict)
    is_cut: bool = False


def look(database: Database, plan: Plan, logs: Logs) -> Look:
    """Ask the database; the jobs first, so that the events that are found explain every state that is."""
    found, attempts = Look(), dict[str, int]()
    with database.read() as session:
        if plan.places:
            attempts = _look_at_jobs(session, plan, found)
            _look_at_events(session, plan, found)
        if plan.watches_all:
            _look_at_all(session, plan, found)
    for job_id, place in plan.logs.items():
        if job_id in found.jobs:
            found.logs[job_id] = _look_at_log(logs, job_id, attempts[job_id], place)
    return found


def read_page(database: Database, job_id: str, after: int) -> list[Message]:
    """Return events of a job, or moves of all jobs, after one, oldest first."""
    with database.read() as session:
        if job_id == ALL:
            return [move_message(*entry) for entry in watching.moves_since(session, after, limit=PAGE)]
        return [event_message(event) for event in events.list_events(session, job_id, after=after, limit=PAGE)]


def _look_at_jobs(session: Session, plan: Plan, found: Look) -> dict[str, int]:
    rows = watching.jobs_of(session, list(plan.places))
    found.jobs = _shown(session, rows)
    return {row.id: row.attempt for row in rows}


def _look_at_events(session: Session, plan: Plan, found: Look) -> None:
    new = [job_id for job_id, place in plan.places.items() if place is None]
    if new:
        found.heads = watching.last_ids(session, new)
    known = {job_id: place for job_id, place in plan.places.items() if place is not None}
    rows = watching.events_since(session, known, limit=PAGE)
    for row in rows:
        found.messages.setdefault(row.job_id, []).append(event_message(row))
    found.is_cut = len(rows) == PAGE


def _look_at_all(session: Session, plan: Plan, found: Look) -> None:
    held = watching.held_or(session, plan.held)
    found.held = _shown(session, held)
    found.now_held = frozenset(row.id for row in held if watching.is_held(row))
    if plan.moves is None:
        found.moves_head = watching.last_move(session)
        return
    found.moves = [move_message(*entry) for entry in watching.moves_since(session, plan.moves, limit=PAGE)]
    found.is_cut = found.is_cut or len(found.moves) == PAGE


def _shown(session: Session, rows: list[Job]) -> dict[str, JobLook]:
    waits = waits_of(session, rows, queue.places(session, rows))
    return {row.id: JobLook(row.kind, row.project, JobState(row.state), progress_message(row, waits.get(row.id))) for row in rows}


def _look_at_log(logs: Logs, job_id: str, attempt: int, place: LogPlace | None) -> tuple[LogPlace, bytes | None]:
    path = logs.path(job_id, attempt)
    if place is None:
        now = LogPlace.at_end(path, attempt)
        return now, log_message(now.message())
    after, told = read_on(path, place if place.attempt == attempt else LogPlace(attempt, 0))
    if told is None and after.absent < ABSENT_LOOKS and not path.exists():
        after = replace(after, absent=after.absent + 1)
        if after.absent == ABSENT_LOOKS:
            after = replace(after, missing=logs.elsewhere(job_id, attempt))
            told = after.message()
    return after, None if told is None else log_message(told)

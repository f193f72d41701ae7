"""Messages of streams as they go over the wire (text/event-stream), made once for all who watch."""

import json
from typing import NamedTuple

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.event_views import EndMessage, LogMessage, ProgressMessage
from nas_service.lifecycle import JobState
from nas_service.storage.models import Event, Job

PING = KEEPALIVE_COMMENT


class Message(NamedTuple):
    """An event of a job on its way: its id, its bytes, and the project whose job it is, where it is told of all jobs."""

    id: int
    wire: bytes
    project: str | None = None


def event_message(event: Event) -> Message:
    """Return an event as a stream of its job tells it."""
    return Message(event.id, _wire(event.kind, event.data, event.id))


def move_message(event: Event, job_kind: str, project: str | None) -> Message:
    """Return a move of a job as the stream of all jobs tells it."""
    return Message(event.id, _wire(event.kind, {"job_id": event.job_id, "kind": job_kind, **event.data}, event.id), project)


def progress_message(job: Job, waiting_for: str | None) -> bytes:
    """Return how far a job is."""
    told = ProgressMessage.model_validate(
        {
            "job_id": job.id,
            "kind": job.kind,
            "state": job.state,
            "progress": job.progress or None,
            "waiting_for": waiting_for,
            "error": job.error,
        }
    )
    return format_sse_event(event="progress", data_str=told.model_dump_json())


def log_message(told: LogMessage) -> bytes:
    """Return lines of a log."""
    return format_sse_event(event="log", data_str=told.model_dump_json(exclude_none=True))


def end_message(state: JobState | None) -> bytes:
    """Return the last message of a stream."""
    return format_sse_event(event="end", data_str=EndMessage(state=state).model_dump_json())


def _wire(kind: str, data: object, identifier: int) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return format_sse_event(event=kind, data_str=text, id=str(identifier))

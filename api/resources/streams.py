"""Streams: what happens to jobs while it happens, as server-sent events.

The routes are those of `add_stream_route`, for every kind of job, and `GET /v1/stream` for all jobs.
"""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, status
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.deps import Service, ServiceDep
from api.errors import documented
from api.request_facts import address_of
from api.stream_places import StreamPlace
from api.streams.hub import Viewer, Watch
from api.streams.looks import ALL
from nas_service.access import Caller
from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError

LARGEST_ID = 2**63 - 1

After = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="The event after which to begin; left out: now.")]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The last event that the reader has, as browsers send it; it goes before `after`."),
]
WithLog = Annotated[bool, Query(description="Whether lines are told that the driver writes into its log, from now on.")]

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_ID = {"id": {"type": "string", "description": "Of an event: `Last-Event-ID` of a reader that comes back. Others have none."}}

router = APIRouter(tags=["streams"])


def _described(what: str) -> dict[int | str, dict[str, Any]]:
    fields = {"event": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"}, **_ID}
    content = {"text/event-stream": {"schema": {"type": "string"}, "itemSchema": {"type": "object", "properties": fields}}}
    return {200: {"description": what, "content": content}}


class EventStream(StreamingResponse):
    """A stream that takes its viewer's leave however it ends.

    Not FastAPI's own, which has two tasks and two buffers a viewer and makes every message anew for each.
    """

    media_type = "text/event-stream"

    def __init__(self, viewer: Viewer, place: StreamPlace, status_code: int = 200) -> None:
        """Tell what the viewer sees; the OpenAPI document reads the status that is usual from here."""
        super().__init__(viewer.messages(), status_code, headers=_HEADERS)
        self._viewer = viewer
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until it is over, the client is gone, or its key is void."""
        self._place.watch(self._viewer.dismiss)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._viewer.leave()
            self._place.leave()


def _place(after: int | None, last_event_id: str | None) -> int | None:
    """Return the event after which a stream begins.

    Raises:
        InvalidInputError: If the header is no event's id.
    """
    if last_event_id is None:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id[:20]) <= LARGEST_ID):
        problem = InvalidFieldError("Last-Event-ID", last_event_id, "the `id` of an event: a whole number, 0 or more")
        raise InvalidInputError([problem])
    return max(int(last_event_id), after or 0)


async def _open(service: Service, request: Request, watch: Watch) -> EventStream:
    gate, headers, address = service.gate, request.headers, address_of(request.scope)

    async def caller() -> Caller | None:
        return None if gate is None else await gate.caller(headers, address)

    place = service.stream_places.take(service.caller, caller)
    try:
        sees = None if service.caller is None else service.caller.sees
        return EventStream(await service.streams.open(replace(watch, sees=sees)), place)
    except BaseException:
        place.leave()
        raise


def add_stream_route(router: APIRouter, kind: str) -> None:
    """Add the stream of one job of a kind."""

    @router.get(
        "/{job_id}/stream",
        summary=f"What happens to a {kind}, while it happens",
        name=f"stream_{kind}",
        response_class=EventStream,
        status_code=status.HTTP_200_OK,
        responses=documented(404) | _described("Messages; `event` is their kind, `data` JSON."),
    )
    async def stream(
        service: ServiceDep,
        request: Request,
        job_id: str,
        *,
        after: After = None,
        last_event_id: LastEventId = None,
        log: WithLog = False,
    ) -> EventStream:
        """Tell `progress` first and whenever it changes, then every event after the one asked for, each once and in order.

        `data` of an event is that of its kind in `/events`; `progress` is a `ProgressMessage`, `log` a `LogMessage`. When the job
        is over and everything was told, `end` (an `EndMessage`) is the last message; a stream that ends without it is to be asked
        for again, from the last event on.
        """
        return await _open(service, request, Watch(job_id, kind, _place(after, last_event_id), log))


@router.get(
    "/stream",
    summary="How all jobs move, while they do",
    response_class=EventStream,
    status_code=status.HTTP_200_OK,
    responses=_described("Messages; `event` is `state` or `progress`, `data` JSON with the job's `job_id` and `kind`."),
)
async def stream_all(
    service: ServiceDep, request: Request, after: After = None, last_event_id: LastEventId = None
) -> EventStream:
    """Tell every move of any job once and in order, and how far those are that are at work, at most once a second a job.

    It has no end: one that ends is to be asked for again, from the last event on.
    """
    return await _open(service, request, Watch(ALL, after=_place(after, last_event_id)))

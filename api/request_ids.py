"""Ids of requests: each has one, its sender's or ours; it is in the reply, in a problem, and in every line of the log."""

import re

from starlette.datastructures import Headers
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from nas_service.storage.session import new_id

HEADER = "X-Request-ID"
_NAME = "request_id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def begin_request(headers: Headers) -> str:
    """Give a request its id: that which its sender chose, if it is one, else a new one; every line of the log has it now."""
    given = headers.getlist(HEADER)
    request_id = given[0] if len(given) == 1 and _WELL_FORMED.fullmatch(given[0]) else new_id()
    clear_contextvars()
    bind_contextvars(**{_NAME: request_id})
    return request_id


def current_request_id() -> str | None:
    """Return the id of the request that is being answered here, if one is."""
    found = get_contextvars().get(_NAME)
    return None if found is None else str(found)


def request_id_headers() -> dict[str, str]:
    """Return what a reply tells of its request's id."""
    found = current_request_id()
    return {} if found is None else {HEADER: found}

"""The one table that maps domain errors to HTTP, and the handlers that write problem+json."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import to_jsonable_python
from starlette.exceptions import HTTPException

from api.request_ids import current_request_id, request_id_headers
from api.views import FieldProblem, Problem
from nas_service.checking.problems import complaint, dotted
from nas_service.errors import (
    BrokenFileError,
    BusyError,
    CannotFreezeError,
    ConflictError,
    DatabaseAwayError,
    DeliveryError,
    ExportError,
    InvalidInputError,
    LateResultError,
    LimitReachedError,
    NasError,
    NotFoundError,
    NotReadyError,
    StoreAwayError,
    TooManyAtOnceError,
    UnavailableError,
)
from nas_service.logs import Seldom
from search_spaces.errors import BrokenPackageError, DuplicateNameError, InvalidFieldError, UnknownNameError

log = structlog.get_logger()
_put_off = Seldom("request.put_off")  # clients ask again and again

MEDIA_TYPE = "application/problem+json"
SESSION_PATH = "/v1/session"  # where browsers show a key
_SCHEMAS = "#/components/schemas/"
_SHOWN = 200  # characters of a given value, or of a field's name, that are sent back
_LISTED = 50  # entries of a reply


@dataclass(frozen=True)
class HttpError:
    """How an error looks over HTTP.

    Attributes:
        status: Of the reply.
        kind: The stable end of the problem's type.
        title: The same for every error of the kind.
        retry_after_s: When the same request may succeed; None: never.
    """

    status: HTTPStatus
    kind: str
    title: str
    retry_after_s: int | None = None


TABLE: dict[type[Exception], HttpError] = {
    InvalidInputError: HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "A field is not allowed"),
    InvalidFieldError: HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "A field is not allowed"),
    NotFoundError: HttpError(HTTPStatus.NOT_FOUND, "not-found", "There is no such thing"),
    UnknownNameError: HttpError(HTTPStatus.NOT_FOUND, "not-found", "There is no such thing"),
    ConflictError: HttpError(HTTPStatus.CONFLICT, "conflict", "The state does not allow this"),
    LateResultError: HttpError(HTTPStatus.CONFLICT, "conflict", "The attempt is over"),
    DuplicateNameError: HttpError(HTTPStatus.CONFLICT, "conflict", "The name is taken"),
    CannotFreezeError: HttpError(HTTPStatus.CONFLICT, "cannot-freeze", "There is no exact frozen form"),
    LimitReachedError: HttpError(HTTPStatus.CONFLICT, "limit-reached", "A limit is reached"),
    TooManyAtOnceError: HttpError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-at-once", "Too many at once", 1),
    NotReadyError: HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", "The service is not ready", 10),
    BusyError: HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "As many are at work as the service allows", 5),
    UnavailableError: HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Something is away for a moment", 2),
    DatabaseAwayError: HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "database-away", "The database is away for a moment", 2),
    StoreAwayError: HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "store-away", "The artifact store is away for a moment", 2),
    DeliveryError: HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "images-away", "Images did not reach a node", 2),
    ExportError: HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "export-failed", "The bundle could not be made"),
    BrokenFileError: HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "broken-file", "A stored file is lost or damaged"),
    BrokenPackageError: HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "broken-package", "An installed package is broken"),
    NasError: HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The service failed"),
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of refusals with these statuses; `name_problem` has to put what they look like beside it."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def name_problem(app: FastAPI) -> None:
    """Describe `Problem` once in an application's OpenAPI document: FastAPI names only what routes return as plain JSON."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        problem = Problem.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        document["components"]["schemas"] |= problem.pop("$defs") | {"Problem": problem}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


def file_reply(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a reply that is a file."""
    schema = {"type": "string", "format": "binary"}
    content = {media_type: {"schema": schema} for media_type in media_types}
    return {200: {"description": "The file", "content": content}, 304: {"description": "The reader has it"}}


def map_error(error: Exception) -> HttpError:
    """Return the table's line for an error: that of its class, or of the nearest base."""
    for base in type(error).__mro__:
        if base in TABLE:
            return TABLE[base]
    return TABLE[NasError]


def _given(value: object) -> object:
    """Return a value as JSON, cut where it is long: what was given may be megabytes, or have no JSON (NaN, stray bytes)."""
    try:
        shown = to_jsonable_python(value, fallback=str)
        json.dumps(shown, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        shown = ascii(value)
    text = str(shown)
    return shown if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _listed(entry: InvalidFieldError) -> FieldProblem:
    return FieldProblem(field=_given_text(entry.field, _SHOWN), given=_given(entry.given), allowed=_given_text(entry.allowed))


def problem_response(mapped: HttpError, detail: str, problems: Sequence[InvalidFieldError] = ()) -> JSONResponse:
    """Return the reply for an error."""
    fields = [_listed(entry) for entry in problems[:_LISTED]]
    more = len(problems) - len(fields)
    said = f"{detail} (and {more} more)" if more else detail
    kind = f"urn:nas:problem:{mapped.kind}"
    request_id = current_request_id()
    body = Problem(
        type=kind, title=mapped.title, status=mapped.status, detail=said, errors=fields, more=more, request_id=request_id
    )
    headers = None if mapped.retry_after_s is None else {"Retry-After": str(mapped.retry_after_s)}
    return JSONResponse(body.model_dump(), mapped.status, headers, MEDIA_TYPE)


def _from_domain(request: Request, error: Exception) -> JSONResponse:
    problems: Sequence[InvalidFieldError] = ()
    if isinstance(error, InvalidInputError):
        return _refuse_fields(request, error.problems)
    if isinstance(error, InvalidFieldError):
        problems = (error,)
    mapped = map_error(error)
    if mapped.status == HTTPStatus.SERVICE_UNAVAILABLE:
        _put_off.tell(mapped.kind, what=str(error), cause=str(error.__cause__).partition("\n")[0])
    elif mapped.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request.failed", error=str(error), exc_info=error)
    return problem_response(mapped, _given_text(str(error)), problems)


def _given_text(text: str, limit: int = 2000) -> str:
    return text if len(text) <= limit else text[:limit] + "..."


def _refuse_fields(request: Request, problems: Sequence[InvalidFieldError]) -> JSONResponse:
    """Say which fields are not allowed; of a login not what was given: it may be a key, in the wrong place or cut short."""
    if request.url.path == SESSION_PATH and request.method == "POST":
        problems = [InvalidFieldError("request", "not repeated", problem.allowed) for problem in problems]
    return problem_response(TABLE[InvalidInputError], _given_text("; ".join(map(str, problems))), problems)


def _from_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker; registered for this class
    entries = error.errors()
    broken = next((entry for entry in entries if entry["type"] == "json_invalid"), None)
    if broken is not None:
        mapped = HttpError(HTTPStatus.BAD_REQUEST, "invalid-json", "The body is not JSON")
        where = ".".join(str(part) for part in broken["loc"])
        return problem_response(mapped, f"the body is not JSON: {broken['ctx']['error']} ({where})")
    problems = []
    for entry in entries:
        place, *rest = entry["loc"]
        field = dotted(rest if place in {"body", "query", "path", "header"} else [place, *rest])
        problems.append(complaint(field, entry))
    return _refuse_fields(request, problems)


def _from_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker; registered for this class
    status = HTTPStatus(error.status_code)
    response = problem_response(HttpError(status, status.phrase.lower().replace(" ", "-"), status.phrase), str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _from_bug(_: Request, error: Exception) -> JSONResponse:
    log.error("request.crashed", exc_info=error)
    reply = problem_response(TABLE[NasError], "the service failed; its log says more")
    reply.headers.update(request_id_headers())  # it goes out past every middleware of ours
    return reply


def install_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem+json."""
    for kind in TABLE:
        app.add_exception_handler(kind, _from_domain)
    app.add_exception_handler(RequestValidationError, _from_request)
    app.add_exception_handler(HTTPException, _from_http)
    app.add_exception_handler(Exception, _from_bug)

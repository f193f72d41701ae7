"""What a command says of bad input and of the world outside, in place of a traceback."""

import httpx
from pydantic import ValidationError

from api.refusals import ApiError
from nas_service.checking.problems import field_errors
from nas_service.errors import InvalidInputError, NasError
from nas_service.settings import Settings
from search_spaces.errors import InvalidFieldError, UnknownNameError

# The network is apart, since its message says what to do.
_EXPECTED = (
    ApiError,
    NasError,
    InvalidFieldError,
    UnknownNameError,
    OSError,
    FloatingPointError,  # a training that diverged
    UnicodeError,  # words of the command line that are no text
    httpx.InvalidURL,
)


def told(error: Exception) -> list[str] | None:
    """Return what to say of an error; None of one that is a fault of this program."""
    if isinstance(error, ValidationError):
        said = []
        for problem in field_errors(error):
            setting = f"NAS_{problem.field.upper()}" if error.title == Settings.__name__ else problem.field
            said.append(f"{setting}: {problem.given!r} is not allowed; allowed: {problem.allowed}")
        return said
    if isinstance(error, httpx.UnsupportedProtocol):
        address = str(error.request.url)
        return [f"{address!r} is no address of a service; allowed: http://HOST:PORT, with --url or NAS_URL"]
    if isinstance(error, httpx.TransportError):
        return [unanswered(error)]
    if isinstance(error, InvalidInputError):
        return [str(problem) for problem in error.problems]
    return str(error).split("\n") if isinstance(error, _EXPECTED) else None


def unanswered(error: httpx.TransportError) -> str:
    """Say what became of a request: only one that reached nobody means that no service is there."""
    where = error.request.url.copy_with(raw_path=b"/")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"no service answers at {where} ({error}); start one with `nas serve`, or say where with --url or NAS_URL"
    asked = f"{error.request.method} {error.request.url.path}"
    if isinstance(error, httpx.TimeoutException):
        limit_s = error.request.extensions.get("timeout", {}).get("read")
        within = "in time" if limit_s is None else f"within {limit_s:g} s"
        return f"the service at {where} took the connection and did not answer {asked} {within}; it may still be at work on it"
    return (
        f"the service at {where} took the connection and gave it up before it had answered {asked} ({error}); its log may say why"
    )

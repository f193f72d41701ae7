"""The errors of the client, one family under `NasError`: what it makes of replies that say no, or are none, and of no reply."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from api.views import JobView, Problem
from nas_service.connections import URL_VARIABLE
from nas_service.errors import NasError
from nas_service.lifecycle import JobState
from nas_service.wording import printable

Model = TypeVar("Model", bound=BaseModel)

_FAILED = HTTPStatus.INTERNAL_SERVER_ERROR  # whoever keeps the service finds the request in its log
_SHOWN = 200  # letters of a reply that nobody understands
_PASSING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


class ApiError(NasError):
    """The service refused a request, or failed.

    Attributes:
        problem: What it said.
        retry_after_s: When the same request may succeed; None: it did not say.
    """

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        """Put the fields that are wrong into the message."""
        self.problem = problem
        self.retry_after_s = retry_after_s
        lines = [f"{entry.field}: {entry.given!r} is not allowed; allowed: {entry.allowed}" for entry in problem.errors]
        if problem.more:
            lines.append(f"and {problem.more} more")
        asked = f" (request {problem.request_id})" if problem.request_id and problem.status == _FAILED else ""
        super().__init__("\n".join(lines) or f"{problem.detail}{asked}")

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.problem.status in _PASSING


class UnansweredError(NasError):
    """No answer came: nobody is there, or the service took the connection and did not answer.

    Attributes:
        url: Address of the service.
        asked: Verb and path.
        is_reached: Whether the service took the connection: it may be at work on what was asked.
    """

    def __init__(self, url: str, asked: str, why: str, *, is_reached: bool) -> None:
        """Say what became of a request: only one that reached nobody means that no service is there."""
        self.url, self.asked, self.is_reached = url, asked, is_reached
        super().__init__(why)

    @classmethod
    def of(cls, error: httpx.TransportError, url: str, asked: str) -> "UnansweredError":
        """Put an error of httpx into words."""
        where, said = f"{url.rstrip('/')}/", printable(str(error)) or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            do = f"start one with `nas serve`, or say where with --url, NasClient(url) or {URL_VARIABLE}"
            return cls(url, asked, f"no service answers at {where} ({said}); {do}", is_reached=False)
        took = f"the service at {where} took the connection and"
        if isinstance(error, httpx.TimeoutException):
            limit_s = error.request.extensions.get("timeout", {}).get("read")
            within = "in time" if limit_s is None else f"within {limit_s:g} s"
            return cls(url, asked, f"{took} did not answer {asked} {within}; it may still be at work on it", is_reached=True)
        return cls(url, asked, f"{took} gave it up before it had answered {asked} ({said}); its log may say why", is_reached=True)


class BrokenReplyError(NasError):
    """What came is no reply of this API: another program listens there, or one of another version.

    Attributes:
        url: Address of the service.
        asked: Verb and path.
    """

    def __init__(self, url: str, asked: str, said: str) -> None:
        """Show the beginning of what came."""
        self.url, self.asked = url, asked
        shown = printable(said if len(said) <= _SHOWN else f"{said[: _SHOWN - 3]}...")
        super().__init__(
            f"what {url} answered to {asked} is no reply of this service ({shown}): see whether the address is right, and the "
            "service as new as this client"
        )


class NotSucceededError(NasError):
    """A job that was waited for ended otherwise than hoped: it failed, or was cancelled.

    Attributes:
        job: As it stands.
    """

    def __init__(self, job: JobView) -> None:
        """Say why."""
        self.job = job
        what = f"{job.kind} {job.id}" + (f" ({printable(job.name)})" if job.name else "")
        if job.state == JobState.FAILED:
            why = printable(job.error or "for a reason that it does not tell")
            super().__init__(f"{what} failed: {why}; its logs() and events() tell more")
        else:
            super().__init__(f"{what} was cancelled; what it has so far is kept")


class StillAtWorkError(NasError, TimeoutError):
    """A job that was waited for is not over in the time that was given; it goes on.

    Attributes:
        job: As it stands.
    """

    def __init__(self, job: JobView) -> None:
        """Say how it stands."""
        self.job = job
        waits = f" and waits for {job.waiting_for}" if job.waiting_for else ""
        super().__init__(
            f"{job.kind} {job.id} is still {job.state}{waits} when the time is over; it goes on: wait() again, or cancel()"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it from its job: a kind of OSError takes its sentence in the constructor alone."""
        return type(self), (self.job,), self.__dict__


@contextmanager
def in_our_words(url: str, asked: str) -> Iterator[None]:
    """Let nothing of httpx out of a block that asks a service.

    Raises:
        UnansweredError: In the place of what httpx says of the way.
        BrokenReplyError: In the place of what it says of a reply.
    """
    try:
        yield
    except httpx.TransportError as error:
        raise UnansweredError.of(error, url, asked) from error
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        raise BrokenReplyError(url, asked, str(error)) from error


def raise_for(reply: httpx.Response) -> None:
    """Do nothing about a reply that is well.

    Raises:
        ApiError: About any other.
    """
    if reply.is_success:
        return
    try:
        problem = Problem.model_validate_json(reply.content)
    except ValidationError:
        phrase = reply.reason_phrase or f"status {reply.status_code}"
        detail = printable(f"{phrase}: {reply.text[:_SHOWN]}")
        problem = Problem(type="about:blank", title=phrase, status=reply.status_code, detail=detail)
    told = reply.headers.get("Retry-After", "")
    raise ApiError(problem, float(told) if told.isdecimal() else None)  # a date would need the service's clock


def read(view: type[Model], reply: httpx.Response, url: str, asked: str) -> Model:
    """Return a reply as a view.

    Raises:
        BrokenReplyError: If it is none.
    """
    try:
        return view.model_validate_json(reply.content)
    except ValidationError as error:
        raise BrokenReplyError(url, asked, reply.text) from error

"""Refusals: what the client makes of replies that say no."""

from http import HTTPStatus

import httpx
from pydantic import ValidationError

from api.views import Problem
from search_spaces.errors import PortableError


class ApiError(PortableError):
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
        super().__init__("\n".join(lines) or problem.detail)


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
        phrase = HTTPStatus(reply.status_code).phrase
        problem = Problem(type="about:blank", title=phrase, status=reply.status_code, detail=f"{phrase}: {reply.text[:200]}")
    told = reply.headers.get("Retry-After", "")
    raise ApiError(problem, float(told) if told.isdecimal() else None)  # a date would need the service's clock

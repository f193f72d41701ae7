"""Query parameters that a route does not have are refused: one that is misspelt would silently filter nothing."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError
from search_spaces.registry import near_matches


def _declared(dependant: Dependant) -> Iterator[str]:
    """Yield the names of query parameters that a route, or what it depends on, reads."""
    yield from (field.alias for field in dependant.query_params)
    for below in dependant.dependencies:
        yield from _declared(below)


def _allowed(name: str, known: list[str]) -> str:
    if not known:
        return "no query parameter: this route has none"
    near = near_matches(name, known)
    listed = f"the query parameters {', '.join(known)}"
    return f"did you mean {', '.join(near)}? {listed}" if near else listed


async def require_known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not declare.

    Raises:
        InvalidInputError: Naming every one, with those that look like it.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = sorted(set(_declared(route.dependant)))
    unknown = [(name, value) for name, value in request.query_params.multi_items() if name not in known]
    if unknown:
        raise InvalidInputError([InvalidFieldError(name, value, _allowed(name, known)) for name, value in unknown])

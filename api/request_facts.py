"""What is written down of a request, in logs, figures and audit events: few words, whatever strangers send."""

import ipaddress

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Match
from starlette.types import Scope

UNMATCHED = "unmatched"  # the route of what no route answers
PAGES = "pages"  # the routes of all files for browsers
NOWHERE = "unknown"  # the address of what comes from none: what a proxy passes on may be any text
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def address_of(scope: Scope) -> str:
    """Return where a request comes from."""
    address = str((scope.get("client") or ("", 0))[0])
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return NOWHERE
    return address


def method_of(scope: Scope) -> str:
    """Return the method of a request, or that it is another one."""
    return scope["method"] if scope["method"] in _METHODS else "other"


def route_of(scope: Scope) -> str:
    """Return the path of the route that answered, or would have, with names in the place of what was asked for."""
    inner = scope.get("fastapi", {}).get("effective_route_context")  # of a router inside a router: with its prefix
    for found in (inner, scope.get("route")):
        path = getattr(found, "path_format", None) or getattr(found, "path", None)
        if path:
            return str(path)
    return PAGES if "endpoint" in scope else _sought(scope)


def _sought(scope: Scope) -> str:
    """Return the route of a request that was turned away before one was sought: of this method, or else of another."""
    partly, app = UNMATCHED, scope.get("app")
    for route in () if app is None else iter_route_contexts(app.router.routes):
        match, _ = route.matches(scope)
        if match is not Match.NONE:
            path = str(route.path_format) if isinstance(route.original_route, APIRoute) else PAGES
            if match is Match.FULL:
                return path
            partly = path if partly == UNMATCHED else partly
    return partly

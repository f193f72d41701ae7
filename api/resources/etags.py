"""ETags for results: a reader that has the current version gets 304."""

import hashlib
from typing import Any

from fastapi import Request, Response, status
from pydantic import BaseModel

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The reader has it"}}


def is_held(request: Request, tag: str) -> bool:
    """Return whether a request names a tag in If-None-Match: its reader has what the tag is of."""
    asked = {entry.strip().removeprefix("W/") for entry in request.headers.get("if-none-match", "").split(",")}
    return tag in asked or "*" in asked


def tagged(request: Request, content: bytes, media_type: str, filename: str | None = None, sha256: str = "") -> Response:
    """Return `content` with its ETag, or 304 if the request names that tag in If-None-Match.

    The tag is `sha256` where the digest of something else says as much.
    """
    tag = f'"{sha256 or hashlib.sha256(content).hexdigest()}"'
    headers = {"ETag": tag}
    if is_held(request, tag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return Response(content, media_type=media_type, headers=headers)


def tagged_view(request: Request, view: BaseModel, apart: frozenset[str] = frozenset()) -> Response:
    """Return a resource as JSON with its ETag.

    Where fields are set apart, of which an earlier value is as good, the tag is of the others, and weak.
    """
    content = view.model_dump_json().encode()
    if not apart:
        return tagged(request, content, "application/json")
    digest = hashlib.sha256(view.model_dump_json(exclude=set(apart)).encode()).hexdigest()
    reply = tagged(request, content, "application/json", sha256=digest)
    reply.headers["ETag"] = f"W/{reply.headers['ETag']}"
    return reply

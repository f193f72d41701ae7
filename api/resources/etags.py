"""ETags for results: a reader that has the current version gets 304."""

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response, status
from pydantic import BaseModel

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The reader has it"}}


def tagged(
    request: Request, content: bytes | Callable[[], bytes], media_type: str, filename: str | None = None, sha256: str = ""
) -> Response:
    """Return `content` with its ETag, or 304 if the request names that tag in If-None-Match.

    Where the digest is known, content that has to be fetched is fetched only if it is sent.
    """
    whole = content if isinstance(content, bytes) else None
    tag = f'"{sha256 or hashlib.sha256(whole or b"").hexdigest()}"'
    asked = {entry.strip().removeprefix("W/") for entry in request.headers.get("if-none-match", "").split(",")}
    headers = {"ETag": tag}
    if tag in asked or "*" in asked:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return Response(content if isinstance(content, bytes) else content(), media_type=media_type, headers=headers)


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

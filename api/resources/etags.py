"""ETags for results: a reader that has the current version gets 304."""

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response, status
from pydantic import BaseModel

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The reader has it"}}


def tagged(
    request: Request, content: bytes | Callable[[], bytes], media_type: str, filename: str | None = None, tag: str = ""
) -> Response:
    """Return `content` with its ETag, or 304 if the request names that tag in If-None-Match.

    Where a tag is given, as of a digest that is known, content that has to be fetched is fetched only if it is sent.
    """
    whole = content if isinstance(content, bytes) else None
    tag = tag or _tag(whole or b"")
    asked = {entry.strip().removeprefix("W/") for entry in request.headers.get("if-none-match", "").split(",")}
    headers = {"ETag": tag}
    if tag.removeprefix("W/") in asked or "*" in asked:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return Response(content if isinstance(content, bytes) else content(), media_type=media_type, headers=headers)


def tagged_view(request: Request, view: BaseModel, apart: frozenset[str] = frozenset()) -> Response:
    """Return a resource as JSON with its ETag.

    Where fields are set apart, of which an earlier value is as good, the tag is of the others, and weak.
    """
    tag = f"W/{_tag(view.model_dump_json(exclude=set(apart)).encode())}" if apart else ""
    return tagged(request, view.model_dump_json().encode(), "application/json", tag=tag)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'

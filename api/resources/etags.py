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


def tagged_view(request: Request, view: BaseModel) -> Response:
    """Return a resource as JSON with its ETag."""
    return tagged(request, view.model_dump_json().encode(), "application/json")

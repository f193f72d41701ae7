"""ETags for results: a reader that has the current version gets 304."""

import hashlib

from fastapi import Request, Response, status
from pydantic import BaseModel


def tagged(request: Request, content: bytes, media_type: str, filename: str | None = None) -> Response:
    """Return `content` with its ETag, or 304 if the request names that tag in If-None-Match."""
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    asked = {entry.strip().removeprefix("W/") for entry in request.headers.get("if-none-match", "").split(",")}
    headers = {"ETag": tag}
    if tag in asked or "*" in asked:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return Response(content, media_type=media_type, headers=headers)


def tagged_view(request: Request, view: BaseModel) -> Response:
    """Return a resource as JSON with its ETag."""
    return tagged(request, view.model_dump_json().encode(), "application/json")

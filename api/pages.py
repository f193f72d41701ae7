"""The pages for a browser: one index.html for all of them, and files whose names carry a hash of what is in them."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nas_service.errors import NotFoundError

BUILT = Path(__file__).parent / "dashboard" / "built"
PATHS = ("/", "/new", "/system", "/searches/{part}", "/architectures/{part}", "/trainings/{part}")

_COMPRESSED_FROM = 1000  # bytes; less is one packet anyway
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_POLICY = (
    "default-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_STRICT = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class _File:
    """A file as it is sent: plain, and compressed where that is shorter."""

    plain: bytes
    compressed: bytes | None
    media_type: str
    etag: str


@cache
def _files(folder: Path) -> dict[str, _File]:
    """Return all files by their place in the folder; they are few, and a running service does not change them."""
    return {path.relative_to(folder).as_posix(): _read(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _read(path: Path) -> _File:
    plain = path.read_bytes()
    packed = gzip.compress(plain, 9, mtime=0) if len(plain) >= _COMPRESSED_FROM else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _File(
        plain,
        packed if packed is not None and len(packed) < len(plain) else None,
        "text/javascript" if path.suffix == ".js" else kind,
        f'"{hashlib.sha256(plain).hexdigest()[:16]}"',
    )


def _reply(request: Request, name: str, kept: str) -> Response:
    file = _files(BUILT).get(name)
    if file is None:
        raise NotFoundError("file of the pages (`make dashboard` builds them)", name)
    headers = {**_STRICT, "Cache-Control": kept, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.plain, media_type=file.media_type, headers=headers)


async def _page(request: Request) -> Response:
    """Give index.html, which shows the page that its address names; what its query says is the page's affair."""
    return _reply(request, "index.html", _ASK_AGAIN)


async def _asset(request: Request) -> Response:
    """Give a file of the pages; another build has another name for it."""
    return _reply(request, f"assets/{request.path_params['name']}", _FOR_GOOD)


async def _icon(request: Request) -> Response:
    """Give the picture of the browser's tab."""
    return _reply(request, "icon.svg", _ASK_AGAIN)


# Plain routes: the rules of the API's parameters, and its description, are not for them.
ROUTES = [*(Route(path, _page) for path in PATHS), Route("/assets/{name:path}", _asset), Route("/icon.svg", _icon)]

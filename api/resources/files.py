"""Downloads: whole or a range of their bytes, in pieces, with an ETag that is known without reading them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import HTTPException, Request, Response, status
from fastapi.responses import StreamingResponse

from api.errors import documented, file_reply
from api.resources.etags import is_held
from nas_service.storage.artifacts import ArtifactStore, StoredFile

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


class Source(Protocol):
    """Where the bytes of a download come from."""

    size: int

    def check(self) -> None:
        """Raise what is wrong with them, while that can still be said."""
        ...

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield some of them."""
        ...


class StoredSource:
    """A file in the artifact store, as its row describes it."""

    def __init__(self, store: ArtifactStore, stored: StoredFile) -> None:
        """Keep where it is; nothing is read."""
        self._store, self._stored = store, stored
        self.size = stored.size_bytes

    def check(self) -> None:
        """See `Source`; what was read and found right is not read again for the next range."""
        self._store.check(self._stored)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """See `Source`."""
        if (start, end) == (0, self.size):
            return self._store.checked_pieces(self._stored)
        return self._store.pieces(self._stored.key, start, end)


class MadeSource:
    """Bytes that were made for this request."""

    def __init__(self, content: bytes) -> None:
        """Keep them."""
        self._content = content
        self.size = len(content)

    def check(self) -> None:
        """See `Source`."""

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """See `Source`."""
        yield self._content[start:end]


@dataclass(frozen=True)
class Described:
    """What is said of a download.

    Attributes:
        media_type: Of it.
        digest: Of its bytes, or of what they are made from; its ETag.
        filename: Under which a browser keeps it; None: it is shown.
    """

    media_type: str
    digest: str
    filename: str | None = None


def download_reply(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a download: all of it, a range, or no such range."""
    described = file_reply(*media_types)
    part = {"description": "The bytes that `Range` names", "content": described[200]["content"]}
    return described | {206: part} | documented(416, 500)


def send_file(request: Request, described: Described, source: Callable[[], Source]) -> Response:
    """Return a download, the range of it that is asked for, 304 if the reader has it; to HEAD what GET would say.

    Args:
        request: GET or HEAD.
        described: What it is.
        source: Opens it, where it is sent.

    Raises:
        BrokenFileError: If it is not what it should be.
    """
    tag = f'"{described.digest}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes"}
    if is_held(request, tag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if described.filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{described.filename}"'
    opened = source()
    asked = None if request.method == "HEAD" else _range_of(request, tag, opened.size)  # a range is of GET alone
    start, end = asked or (0, opened.size)
    headers["Content-Length"] = str(end - start)
    code = status.HTTP_200_OK
    if asked is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{opened.size}"
        code = status.HTTP_206_PARTIAL_CONTENT
    if request.method == "HEAD":
        return Response(status_code=code, headers=headers, media_type=described.media_type)
    opened.check()
    return StreamingResponse(opened.pieces(start, end), code, headers, described.media_type)


def _range_of(request: Request, tag: str, size: int) -> tuple[int, int] | None:
    """Return the bytes that a request asks for, as first and one behind the last; None: all.

    As RFC 9110 has it: what cannot be read is ignored, and so are several ranges at once, and a range of another version.

    Raises:
        HTTPException: If there are no such bytes (416).
    """
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or asked[1] == asked[2] == "" or request.headers.get("if-range", tag) != tag:
        return None
    if asked[1] == "":
        start, end = max(0, size - int(asked[2])), size
    else:
        start, end = int(asked[1]), min(size, int(asked[2]) + 1 if asked[2] else size)
        if asked[2] and int(asked[2]) < start:
            return None
    if start >= end:
        raise HTTPException(
            status.HTTP_416_RANGE_NOT_SATISFIABLE,
            f"the range {request.headers['range'][:100]!r} is outside the file; allowed: bytes=FIRST-LAST of its {size} bytes",
            {"Content-Range": f"bytes */{size}"},
        )
    return start, end

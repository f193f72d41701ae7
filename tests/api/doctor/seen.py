"""What a check of the doctor saw, for tests; and servers that are not ours, or not well."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time

from api.doctor.findings import Check, Finding, Level, examine
from nas_service.settings import Settings


def seen(check: Check, settings: Settings) -> list[Finding]:
    """Return what a check sees, carried out as the command does it."""
    return examine([check], settings)


def bad(check: Check, settings: Settings) -> list[Finding]:
    """Return what it sees that is broken, or to be warned of; each has to say what to do."""
    found = [finding for finding in seen(check, settings) if finding.level in {Level.BROKEN, Level.WARNING}]
    assert all(finding.advice and "\n" not in finding.said for finding in found)
    return found


@contextmanager
def answering(status: int, body: bytes, ahead_s: float = 0.0) -> Iterator[int]:
    """Run a server that answers everything alike, by a clock of its own, and give its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time() + ahead_s if timestamp is None else timestamp)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()

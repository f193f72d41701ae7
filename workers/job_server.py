"""JobServer: the job server of a Ray cluster over HTTP. It may be slow, frozen or away; no call takes long for that.

Ray's own client has no time-outs. A frozen server costs one time-out, then nobody asks for a while: 1 s at first, 60 s at most.
"""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from nas_service.connections import connect_http
from nas_service.errors import NotReadyError
from nas_service.logs import Outage

log = structlog.get_logger()

CONNECT_S, READ_S = 2.0, 5.0
SUBMIT_S = 20.0  # for the first job of a cluster Ray's agent joins it first
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
LOG_LIMIT_BYTES = 8_000_000

_JOBS, _NODES = "/api/jobs/", "/nodes"  # two processes of Ray answer them; one may be frozen while the other is well
_VERSION = "/api/version"
_PROBES = {_JOBS: f"{_JOBS}none", _NODES: _NODES}  # what to ask to see whether a part answers again
_NODES_VIEW = {"view": "summary", "nocache": "1"}  # without nocache: what the last request was answered, however old that is


@dataclass
class _Outage:
    """A time without answers.

    Attributes:
        what: What the server does instead, in words.
        detail: More of it; may be empty.
        part: What did not answer; the outage is over when it does.
        since: When it began.
        pause_s: How long nobody asks after the next failure.
        again_at: When the next may ask.
    """

    what: str
    detail: str
    part: str
    since: float
    pause_s: float = FIRST_PAUSE_S
    again_at: float = 0.0

    def error(self) -> NotReadyError:
        """Return what is wrong, and for how long, as an error to raise."""
        detail = f": {self.detail}" if self.detail else ""
        return NotReadyError(f"Ray's job server {self.what} (for {_words(time.monotonic() - self.since)}){detail}")


class JobServer:
    """Asks a job server. Every method raises `NotReadyError` where there is no answer; threads may share it."""

    def __init__(self, url: str, token: str) -> None:
        """Prepare the calls; nobody is asked yet."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        limits = httpx.Timeout(READ_S, connect=CONNECT_S)
        self._http = connect_http(url, limits, headers)
        self._lock = threading.Lock()
        self._outage: _Outage | None = None
        self._refused: dict[str, Outage] = {}  # calls that are answered with an error, while they are

    def submit(self, submission_id: str, entrypoint: str, env_vars: dict[str, str]) -> None:
        """Start a Ray Job, unless there is one of that id.

        Raises:
            NotReadyError: As above, or if the job is refused. Without an answer it may have been started nevertheless.
        """
        if self.job(submission_id) is not None:  # a frozen server is noticed here, sooner than below
            return
        body = {"entrypoint": entrypoint, "submission_id": submission_id, "runtime_env": {"env_vars": env_vars}}
        reply = self._call("POST", _JOBS, json=body, timeout=httpx.Timeout(SUBMIT_S, connect=CONNECT_S))
        if reply.is_error and self.job(submission_id) is None:
            log.warning("ray.job_refused", submission_id=submission_id, status=reply.status_code, reply=reply.text[-2000:])
            raise NotReadyError(f"Ray's job server refused the driver (status {reply.status_code}); the service's log says why")

    def job(self, submission_id: str) -> dict[str, Any] | None:
        """Return what is known of a Ray Job, with `status`, `driver_exit_code` and `error_type`; None: it is not known."""
        path = f"{_JOBS}{submission_id}"
        reply = self._call("GET", path)
        if not self._is_found(path, reply):
            return None
        try:
            found = dict(reply.json())
            return found | {"status": str(found["status"])}
        except (ValueError, KeyError, TypeError) as error:
            raise NotReadyError("Ray's job server says nothing of a job that Ray 2.60 would say") from error

    def stop(self, submission_id: str) -> bool:
        """Ask for a Ray Job's end; return whether there is one."""
        path = f"{_JOBS}{submission_id}/stop"
        return self._is_found(path, self._call("POST", path))

    def forget(self, submission_id: str) -> None:
        """Drop the record of a Ray Job that is over; Ray keeps it for good otherwise."""
        self._call("DELETE", f"{_JOBS}{submission_id}")

    def log_of(self, submission_id: str) -> str | None:
        """Return what a driver printed; None if that is not there or longer than 8 MB."""
        reply = self._call("GET", f"{_JOBS}{submission_id}/logs", limit_bytes=LOG_LIMIT_BYTES)
        if reply.is_error:
            return None
        try:
            return str(json.loads(reply.content)["logs"])
        except ValueError:
            return None  # cut off

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes, for a while the dead ones too, each with `state` and, if it lives, `resourcesTotal`."""
        reply = self._call("GET", _NODES, params=_NODES_VIEW)
        try:
            return [dict(node["raylet"]) for node in reply.json()["data"]["summary"]]
        except (ValueError, KeyError, TypeError) as error:
            raise NotReadyError("Ray's job server says nothing of the cluster's nodes that Ray 2.60 would say") from error

    def version(self) -> str:
        """Return the version of Ray that the cluster runs."""
        reply = self._call("GET", _VERSION)
        try:
            return str(reply.json()["ray_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise NotReadyError("Ray's job server does not say of which version it is, as Ray 2.60 would") from error

    def probe(self) -> None:
        """Ask the part that knows jobs whether it answers."""
        self._call("GET", _PROBES[_JOBS])

    def _call(self, method: str, path: str, limit_bytes: int | None = None, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Ask once, if it is time to; the first to ask in an outage sees first whether what failed answers again."""
        part = _NODES if path == _NODES else _JOBS
        failed = self._admit()
        if failed not in {None, part}:
            self._ask(failed, "GET", _PROBES[failed], params=_NODES_VIEW)
        return self._ask(part, method, path, limit_bytes, **request)

    def _admit(self) -> str | None:
        """Let a call pass, or refuse it while nobody should ask; return the part that failed last."""
        with self._lock:
            outage = self._outage
            if outage is None:
                return None
            now = time.monotonic()
            if now < outage.again_at:
                raise outage.error()
            outage.again_at = now + CONNECT_S + READ_S  # others do not wait beside this call
            return outage.part

    def _ask(self, part: str, method: str, path: str, limit_bytes: int | None = None, **request: Any) -> httpx.Response:  # noqa: ANN401 - as above
        started = time.monotonic()
        try:
            with self._http.stream(method, path, **request) as reply:
                content = b""
                for chunk in reply.iter_bytes():
                    content += chunk
                    if limit_bytes is not None and len(content) > limit_bytes:
                        break
        except httpx.TimeoutException:
            raise self._failed(
                part, started, "does not answer", f"nothing came within {time.monotonic() - started:.0f} s"
            ) from None
        except httpx.HTTPError as error:
            raise self._failed(part, started, "does not answer", str(error)) from error
        if reply.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise self._failed(part, started, "refuses this service", "RAY_AUTH_TOKEN must be the cluster's")
        if reply.is_server_error and method == "GET":
            raise self._failed(part, started, f"answers with status {reply.status_code}")
        self._answered(part)
        return httpx.Response(reply.status_code, content=content)

    def _failed(self, part: str, started: float, what: str, detail: str = "") -> NotReadyError:
        """Take note of a call without an answer, and return it as an error to raise."""
        with self._lock:
            now = time.monotonic()
            if self._outage is None:
                self._outage = _Outage(what, detail, part, since=now)
                log.warning("ray.away", what=what, detail=detail)
            outage = self._outage
            if started < outage.since and outage.again_at > now:
                return outage.error()  # it was under way when another call failed
            outage.what, outage.detail, outage.part = what, detail, part
            outage.again_at = now + outage.pause_s
            outage.pause_s = min(MAX_PAUSE_S, 2 * outage.pause_s)
            return outage.error()

    def _is_found(self, path: str, reply: httpx.Response) -> bool:
        """Whether the Ray Job that was asked for exists; an error is told in the log when it begins and when it is over.

        Raises:
            NotReadyError: If the answer says neither.
        """
        if reply.is_error and reply.status_code != httpx.codes.NOT_FOUND:
            outage = self._refused.setdefault(path, Outage("ray.call_failed", path=path))
            outage.seen(f"status {reply.status_code}: {reply.text[-2000:]}")
            raise NotReadyError(f"Ray's job server answers with status {reply.status_code}; the service's log says more")
        if path in self._refused:
            self._refused.pop(path).over()
        return not reply.is_error

    def _answered(self, part: str) -> None:
        with self._lock:
            if self._outage is not None and self._outage.part == part:
                log.info("ray.back", away_s=round(time.monotonic() - self._outage.since, 1))
                self._outage = None


def _words(seconds: float) -> str:
    """Return a length of time for people."""
    for unit, length_s in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"

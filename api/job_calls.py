"""What `NasClient` asks of jobs of every kind, and of the service itself."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.calls import Calls
from api.following import StreamMessage, follow
from api.job_views import JobCounts, JobRow, LogView
from api.system_views import SystemView
from api.views import PLURALS, EntryView, JobView

Wanted = str | Sequence[str]  # several values of one filter: one of them


class JobCalls(Calls):
    """Lists over all kinds, notes, tags, clones and logs."""

    def jobs(self, **filters: Wanted) -> Iterator[JobRow]:
        """Yield jobs of every kind without their specs, newest first.

        Filters are `kind`, `state` (each one or several), `text`, `space`, `dataset`, `strategy`, `tag` and `parent`.
        """
        return self._all("/v1/jobs", JobRow, filters)

    def count_jobs(self, **filters: Wanted) -> JobCounts:
        """Return how many jobs the same filters let pass, by state."""
        return JobCounts.model_validate_json(self._request("GET", "/v1/jobs/counts", params=filters).content)

    def change(
        self, job: JobView, *, name: str | None = None, note: str | None = None, tags: Sequence[str] | None = None
    ) -> JobView:
        """Rename a job of any kind, note something, or replace its tags; None leaves what is there."""
        given = {"name": name, "note": note, "tags": None if tags is None else list(tags)}
        body = {field: value for field, value in given.items() if value is not None}
        return JobView.model_validate_json(self._request("PATCH", job.path, json=body).content)

    def clone(self, job: JobView, changes: Mapping[str, Any] | None = None, idempotency_key: str | None = None) -> JobView:
        """Submit a job of any kind again; fields in `changes` replace those of its spec.

        Raises:
            ApiError: As for one that is submitted anew.
        """
        return self._submit(f"{PLURALS[job.kind]}/{job.id}/clone", changes or {}, idempotency_key)

    def log(self, job: JobView, *, attempt: int | None = None, after: int | None = None, tail: int | None = None) -> LogView:
        """Return a part of what the driver of an attempt printed: from a byte on, or the last lines."""
        asked = {"attempt": attempt, "after": after, "tail": tail}
        params = {name: value for name, value in asked.items() if value is not None}
        return LogView.model_validate_json(self._request("GET", f"{job.path}/logs", params=params).content)

    def stream_jobs(self, after: int | None = None) -> Iterator[StreamMessage]:
        """Yield how all jobs move, without an end; from after an event, or from now on. Raises as `NasClient.stream`."""
        return follow(self._http, "/v1/stream", after, log=False)

    def spec_schema(self, kind: str) -> dict[str, Any]:
        """Return the JSON schema of what can be submitted: a `search`, a `training` or a `registration`."""
        return dict(self._request("GET", f"/v1/specs/{kind}").json())

    def entry(self, shelf: str, name: str) -> EntryView:
        """Return one entry of the catalogue."""
        return self._one(f"/v1/{shelf}/{name}", EntryView)

    def system(self) -> SystemView:
        """Return what the service stands on, and who works for it."""
        return self._one("/v1/system", SystemView)

# Written by `python -m docs.synchronous` from api/asynchronous/job_calls.py: change that.
"""What `NasClient` asks of jobs: submitting them, looking at them, and what is asked of those of every kind."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, Unpack, cast, overload

from api.estimates import EstimateView, TrainingEstimateView
from api.event_views import AnyEvent, EventView
from api.following import StreamMessage
from api.job_views import JobCounts, JobRow, LogView, Wanted
from api.patience import Patience
from api.progress import POLL_S, Show
from api.refusals import ApiError, StillAtWorkError, UnansweredError
from api.rows import Rows
from api.spec_fields import SearchFields, TrainingFields, body_of
from api.synchronous.calls import Calls
from api.synchronous.jobs import Registration, Search, Training
from api.views import PLURALS, ArchitectureView, JobView
from nas_service.job_events import EventKind
from nas_service.lifecycle import FINISHED

SomeJob = TypeVar("SomeJob", bound=JobView)


class JobCalls(Calls):
    """Searches, trainings and registrations."""

    @overload
    def search(self, search_id: str, /) -> Search: ...
    @overload
    def search(self, /, *, idempotency_key: str | None = None, priority: int = 0, **fields: Unpack[SearchFields]) -> Search: ...

    def search(
        self,
        search_id: str | None = None,
        /,
        *,
        idempotency_key: str | None = None,
        priority: int = 0,
        **fields: Unpack[SearchFields],
    ) -> Search:
        """Return a search by its id, or submit one: `search(space="tiny", dataset="digits", training={"methods": ["bnn"]})`.

        Raises:
            ApiError: If there is none, or the fields are refused; its problem names every one that is wrong.
            TypeError: If neither an id nor fields are given, or both.
        """
        if (search_id is None) != bool(fields):
            raise TypeError(
                'search("ID") returns a search, search(space="tiny", ...) submits one: give an id, or fields of a spec'
            )
        if search_id is not None:
            return self._one(f"/v1/searches/{search_id}", Search)
        return self._submit("searches", Search, body_of(fields), idempotency_key, priority)

    def train(self, *, idempotency_key: str | None = None, priority: int = 0, **fields: Unpack[TrainingFields]) -> Training:
        """Submit a training of architectures, given as such or by id.

        Space and dataset may be left out: they are those of the search that found the first.

        Raises:
            ApiError: If the fields are refused; its problem names every one that is wrong.
        """
        body = body_of(fields)
        if body.get("architectures") and not {"space", "dataset"} <= set(body):
            found = self._one(f"/v1/architectures/{body['architectures'][0]}", ArchitectureView)
            spec = (self.search(found.search_id)).spec
            body = {"space": spec["space"], "dataset": spec["dataset"]} | body
        return self._submit("trainings", Training, body, idempotency_key, priority)

    def submit_search(self, spec: Mapping[str, Any], idempotency_key: str | None = None, *, priority: int = 0) -> Search:
        """Queue a search by its whole spec; of the queued jobs of one owner the one of the highest priority goes first.

        Raises:
            ApiError: If the spec is refused; its problem names every field that is wrong.
        """
        return self._submit("searches", Search, spec, idempotency_key, priority)

    def submit_training(self, spec: Mapping[str, Any], idempotency_key: str | None = None, *, priority: int = 0) -> Training:
        """Queue a training; as `submit_search`."""
        return self._submit("trainings", Training, spec, idempotency_key, priority)

    def register_dataset(
        self, name: str, kind: str, settings: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Registration:
        """Queue the registration of files under the service's data root; the name is known when it has succeeded.

        Raises:
            ApiError: If it is refused; its problem names every field that is wrong.
        """
        body = {"name": name, "kind": kind, "settings": settings}
        return self._submit("datasets", Registration, body, idempotency_key)

    def estimate(self, spec: Mapping[str, Any]) -> EstimateView:
        """Return what a search would take, starting nothing."""
        return self._read(EstimateView, "POST", "/v1/searches/estimate", json=dict(spec))

    def estimate_training(self, spec: Mapping[str, Any]) -> TrainingEstimateView:
        """Return what a training would take, starting nothing."""
        return self._read(TrainingEstimateView, "POST", "/v1/trainings/estimate", json=dict(spec))

    def training(self, training_id: str) -> Training:
        """Return a training."""
        return self._one(f"/v1/trainings/{training_id}", Training)

    def registration(self, registration_id: str) -> Registration:
        """Return a registration."""
        return self._one(f"/v1/registrations/{registration_id}", Registration)

    def wait(self, job: SomeJob) -> SomeJob:
        """Return a job of any kind when it is over, however it ended; a service that is away for a moment is waited for.

        Raises:
            ApiError: If the job is deleted, or the service is away for longer than two minutes.
            UnansweredError: If the way to it is.
        """
        return self._until_over(job, lambda _: None, None)

    def _until_over(self, job: SomeJob, see: Show, deadline: float | None) -> SomeJob:
        patience, pause_s = Patience(), POLL_S
        while True:
            see(job)
            if job.state in FINISHED:
                return job
            left_s = pause_s if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                raise StillAtWorkError(job)
            self._pause(min(pause_s, left_s))
            try:
                job, pause_s = self._one(job.path, type(job)), POLL_S
                patience.calm()
            except (ApiError, UnansweredError) as error:
                pause_s = patience.pause_s(error)

    def searches(self, **filters: str) -> Rows[Search]:
        """Return searches, newest first."""
        return self._all("/v1/searches", Search, filters)

    def trainings(self, **filters: str) -> Rows[Training]:
        """Return trainings, newest first; `parent` is the search that started them."""
        return self._all("/v1/trainings", Training, filters)

    def registrations(self, **filters: str) -> Rows[Registration]:
        """Return registrations, newest first."""
        return self._all("/v1/registrations", Registration, filters)

    def jobs(self, **filters: Wanted) -> Rows[JobRow]:
        """Return jobs of every kind without their specs, newest first.

        Filters are `kind`, `state` (each one or several), `text`, `space`, `dataset`, `strategy`, `tag`, `parent` and `owner`.
        """
        return self._all("/v1/jobs", JobRow, filters)

    def count_jobs(self, **filters: Wanted) -> JobCounts:
        """Return how many jobs the same filters let pass, by state."""
        return self._one("/v1/jobs/counts", JobCounts, filters)

    def change(
        self,
        job: SomeJob,
        *,
        name: str | None = None,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        priority: int | None = None,
    ) -> SomeJob:
        """Rename a job of any kind, note something, replace its tags or rank it; None leaves what is there."""
        given = {"name": name, "note": note, "tags": None if tags is None else list(tags), "priority": priority}
        body = {field: value for field, value in given.items() if value is not None}
        return self._read(type(job), "PATCH", job.path, json=body)

    def clone(self, job: SomeJob, changes: Mapping[str, Any] | None = None, idempotency_key: str | None = None) -> SomeJob:
        """Submit a job of any kind again; fields in `changes` replace those of its spec.

        Raises:
            ApiError: As for one that is submitted anew.
        """
        return self._submit(f"{PLURALS[job.kind]}/{job.id}/clone", type(job), changes or {}, idempotency_key)

    def log(self, job: JobView, *, attempt: int | None = None, after: int | None = None, tail: int | None = None) -> LogView:
        """Return a part of what the driver of an attempt printed: from a byte on, or the last lines."""
        asked = {"attempt": attempt, "after": after, "tail": tail}
        params = {name: value for name, value in asked.items() if value is not None}
        return self._one(f"{job.path}/logs", LogView, params)

    def events(self, search_id: str) -> Rows[AnyEvent]:
        """Return what happened to a search, oldest first."""
        return self._events(f"/v1/searches/{search_id}/events")

    def training_events(self, training_id: str) -> Rows[AnyEvent]:
        """Return what happened to a training, oldest first: teachers that were trained, trials that went on after they died."""
        return self._events(f"/v1/trainings/{training_id}/events")

    def registration_events(self, registration_id: str) -> Rows[AnyEvent]:
        """Return what happened to a registration, oldest first."""
        return self._events(f"/v1/registrations/{registration_id}/events")

    def events_of(self, job: JobView, *kinds: EventKind) -> Rows[AnyEvent]:
        """Return what happened to a job of any kind, oldest first; only events of some kinds, where they are given."""
        return self._events(f"{job.path}/events", *kinds)

    def _events(self, path: str, *kinds: EventKind) -> Rows[AnyEvent]:
        return self._all(path, cast("type[AnyEvent]", EventView), {"kind": list(kinds)} if kinds else {})

    def stream(self, job: JobView, after: int | None = None, *, log: bool = False) -> Iterator[StreamMessage]:
        """Yield what happens to a job while it happens, until it is over; every event comes once, in order.

        A service that is away for a moment is waited for, and asked for what came after the last event.

        Args:
            job: Of any kind.
            after: Event after which to begin; left out: after `job.last_event`, when the job was looked at.
            log: Whether lines of the driver's log come too, as `log` messages.

        Raises:
            ApiError: If the job is deleted, or the service is away for longer than two minutes.
            UnansweredError: If the way to it is.
        """
        return self._follow(f"{job.path}/stream", job.last_event if after is None else after, log=log)

    def stream_jobs(self, after: int | None = None) -> Iterator[StreamMessage]:
        """Yield how all jobs move, without an end; from after an event, or from now on. Raises as `stream`."""
        return self._follow("/v1/stream", after, log=False)

    def _act(self, job: SomeJob, action: str) -> SomeJob:
        return self._read(type(job), "POST", f"{job.path}/{action}")

    def cancel_search(self, search_id: str) -> Search:
        """Ask for the end of a search; what it found so far is kept."""
        return self._read(Search, "POST", f"/v1/searches/{search_id}/cancel")

    def cancel_training(self, training_id: str) -> Training:
        """Ask for the end of a training; candidates that are done are kept."""
        return self._read(Training, "POST", f"/v1/trainings/{training_id}/cancel")

    def cancel_registration(self, registration_id: str) -> Registration:
        """Ask for the end of a registration; nothing of it is kept."""
        return self._read(Registration, "POST", f"/v1/registrations/{registration_id}/cancel")

    def pause_search(self, search_id: str) -> Search:
        """Let a search rest: its processes end within seconds, and everything is kept."""
        return self._read(Search, "POST", f"/v1/searches/{search_id}/pause")

    def pause_training(self, training_id: str) -> Training:
        """As `pause_search`, for a training."""
        return self._read(Training, "POST", f"/v1/trainings/{training_id}/pause")

    def pause_registration(self, registration_id: str) -> Registration:
        """Let a registration rest; it begins anew when it goes on."""
        return self._read(Registration, "POST", f"/v1/registrations/{registration_id}/pause")

    def resume_search(self, search_id: str) -> Search:
        """Put a paused search back into the queue; it ends as if it had not rested."""
        return self._read(Search, "POST", f"/v1/searches/{search_id}/resume")

    def resume_training(self, training_id: str) -> Training:
        """As `resume_search`, for a training."""
        return self._read(Training, "POST", f"/v1/trainings/{training_id}/resume")

    def resume_registration(self, registration_id: str) -> Registration:
        """Put a paused registration back into the queue."""
        return self._read(Registration, "POST", f"/v1/registrations/{registration_id}/resume")

    def delete_search(self, search_id: str, *, trainings: bool = False) -> None:
        """Delete a search that is over with its results and their files; `trainings`: also those of what it found."""
        self._request("DELETE", f"/v1/searches/{search_id}", params={"trainings": trainings})

    def delete_training(self, training_id: str) -> None:
        """Delete a training that is over with its candidates and their files."""
        self._request("DELETE", f"/v1/trainings/{training_id}")

    def delete_registration(self, registration_id: str) -> None:
        """Delete a registration that is over; its dataset stays."""
        self._request("DELETE", f"/v1/registrations/{registration_id}")

"""NasClient: the API as Python calls. Needs httpx and pydantic, neither torch nor Ray.

Example:
    with NasClient("http://127.0.0.1:8000") as client:
        search = client.submit_search({"space": "tiny", "dataset": "digits"})
        for arm in client.arms(search.id):
            print(arm.cell, arm.edge, arm.operation, arm.mean)
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

from api.estimates import EstimateView, TrainingEstimateView
from api.event_views import AnyEvent, EventView
from api.following import StreamMessage, follow
from api.job_calls import JobCalls
from api.patience import patiently
from api.refusals import ApiError
from api.search_views import ArmHistoryView, ArmTableView, BeliefsView, LeaderView, RoundsView, SeriesView
from api.training_views import ArchitectureCostView, ComparisonView, CorrelationView, CurvesView
from api.views import (
    ArchitectureView,
    ArmView,
    BestView,
    CandidateView,
    DatasetView,
    EntryView,
    JobView,
    Readiness,
    SampleView,
)
from nas_service.job_events import EventKind
from nas_service.lifecycle import FINISHED
from nas_service.reports import EpochReport

__all__ = [
    "AnyEvent",
    "ApiError",
    "ArchitectureView",
    "ArmView",
    "CandidateView",
    "JobView",
    "NasClient",
    "SampleView",
    "StreamMessage",
]

POLL_S = 0.5  # between two looks at a job that is waited for


class NasClient(JobCalls):
    """A connection to a service."""

    def submit_search(self, spec: Mapping[str, Any], idempotency_key: str | None = None) -> JobView:
        """Queue a search.

        Raises:
            ApiError: If the spec is refused; its problem names every field that is wrong.
        """
        return self._submit("searches", spec, idempotency_key)

    def submit_training(self, spec: Mapping[str, Any], idempotency_key: str | None = None) -> JobView:
        """Queue a training; raises as `submit_search`."""
        return self._submit("trainings", spec, idempotency_key)

    def estimate(self, spec: Mapping[str, Any]) -> EstimateView:
        """Return what a search would take, starting nothing."""
        return EstimateView.model_validate_json(self._request("POST", "/v1/searches/estimate", json=dict(spec)).content)

    def estimate_training(self, spec: Mapping[str, Any]) -> TrainingEstimateView:
        """Return what a training would take, starting nothing."""
        return TrainingEstimateView.model_validate_json(self._request("POST", "/v1/trainings/estimate", json=dict(spec)).content)

    def search(self, search_id: str) -> JobView:
        """Return a search."""
        return self._one(f"/v1/searches/{search_id}", JobView)

    def training(self, training_id: str) -> JobView:
        """Return a training."""
        return self._one(f"/v1/trainings/{training_id}", JobView)

    def registration(self, registration_id: str) -> JobView:
        """Return a registration."""
        return self._one(f"/v1/registrations/{registration_id}", JobView)

    def wait(self, job: JobView) -> JobView:
        """Return a job of any kind when it is over; a service that is away for a moment is waited for.

        Raises:
            ApiError: If the job is deleted, or the service is away for longer than two minutes.
            httpx.TransportError: If the way to it is.
        """
        while job.state not in FINISHED:
            time.sleep(POLL_S)
            job = patiently(partial(self._one, job.path, JobView), lambda _: None)
        return job

    def searches(self, **filters: str) -> Iterator[JobView]:
        """Yield searches, newest first."""
        return self._all("/v1/searches", JobView, filters)

    def trainings(self, **filters: str) -> Iterator[JobView]:
        """Yield trainings, newest first; `parent` is the search that started them."""
        return self._all("/v1/trainings", JobView, filters)

    def registrations(self, **filters: str) -> Iterator[JobView]:
        """Yield registrations, newest first."""
        return self._all("/v1/registrations", JobView, filters)

    def cancel_search(self, search_id: str) -> JobView:
        """Ask for the end of a search; what it found so far is kept."""
        return self._ask("searches", search_id, "cancel")

    def cancel_training(self, training_id: str) -> JobView:
        """Ask for the end of a training; candidates that are done are kept."""
        return self._ask("trainings", training_id, "cancel")

    def cancel_registration(self, registration_id: str) -> JobView:
        """Ask for the end of a registration; nothing of it is kept."""
        return self._ask("registrations", registration_id, "cancel")

    def pause_search(self, search_id: str) -> JobView:
        """Let a search rest: its processes end within seconds, and everything is kept."""
        return self._ask("searches", search_id, "pause")

    def pause_training(self, training_id: str) -> JobView:
        """As `pause_search`, for a training."""
        return self._ask("trainings", training_id, "pause")

    def pause_registration(self, registration_id: str) -> JobView:
        """Let a registration rest; it begins anew when it goes on."""
        return self._ask("registrations", registration_id, "pause")

    def resume_search(self, search_id: str) -> JobView:
        """Put a paused search back into the queue; it ends as if it had not rested."""
        return self._ask("searches", search_id, "resume")

    def resume_training(self, training_id: str) -> JobView:
        """As `resume_search`, for a training."""
        return self._ask("trainings", training_id, "resume")

    def resume_registration(self, registration_id: str) -> JobView:
        """Put a paused registration back into the queue."""
        return self._ask("registrations", registration_id, "resume")

    def delete_search(self, search_id: str, *, trainings: bool = False) -> None:
        """Delete a search that is over with its results and their files; `trainings`: also those of what it found."""
        self._request("DELETE", f"/v1/searches/{search_id}", params={"trainings": trainings})

    def delete_training(self, training_id: str) -> None:
        """Delete a training that is over with its candidates and their files."""
        self._request("DELETE", f"/v1/trainings/{training_id}")

    def delete_registration(self, registration_id: str) -> None:
        """Delete a registration that is over; its dataset stays."""
        self._request("DELETE", f"/v1/registrations/{registration_id}")

    def best_of_search(self, search_id: str) -> BestView:
        """Return the best trained candidate of what a search found, judged on validation images."""
        return self._one(f"/v1/searches/{search_id}/best", BestView)

    def best_of_training(self, training_id: str) -> BestView:
        """Return the best candidate of a training, judged on validation images."""
        return self._one(f"/v1/trainings/{training_id}/best", BestView)

    def samples(self, search_id: str) -> Iterator[SampleView]:
        """Yield the samples of a search in order."""
        return self._all(f"/v1/searches/{search_id}/samples", SampleView, {})

    def sample(self, search_id: str, index: int) -> SampleView:
        """Return one sample of a search."""
        return self._one(f"/v1/searches/{search_id}/samples/{index}", SampleView)

    def sample_diagram(self, search_id: str, index: int, theme: str = "light") -> str:
        """Return the cells of a sample as SVG."""
        return self._request("GET", f"/v1/searches/{search_id}/samples/{index}/diagram.svg", params={"theme": theme}).text

    def arms(self, search_id: str, **chosen: str | int) -> list[ArmView]:
        """Return the arm table of a search; `at` or `round` says as of when, `cell` and `edge` which arms."""
        return list(self._all(f"/v1/searches/{search_id}/arms", ArmView, chosen))

    def arm_table(self, search_id: str, **chosen: int) -> ArmTableView:
        """Return the arm table of a search as columns; `at` or `round` says as of when."""
        return self._one(f"/v1/searches/{search_id}/arms/table", ArmTableView, chosen)

    def beliefs(self, search_id: str, **chosen: int) -> BeliefsView:
        """Return how far a search's models believe what they know beside arms; `at` or `round` says as of when."""
        return self._one(f"/v1/searches/{search_id}/beliefs", BeliefsView, chosen)

    def arm_history(self, search_id: str, cell: str, edge: str, points: int = 500) -> ArmHistoryView:
        """Return the arms of one edge over time."""
        chosen: dict[str, str | int] = {"cell": cell, "edge": edge, "points": points}
        return self._one(f"/v1/searches/{search_id}/arms/history", ArmHistoryView, chosen)

    def rounds(self, search_id: str) -> RoundsView:
        """Return the rounds of a search that are over."""
        return self._one(f"/v1/searches/{search_id}/rounds", RoundsView)

    def series(self, search_id: str, **chosen: str | int) -> SeriesView:
        """Return the samples of a search as columns; `fields`, `points` and `after` say which."""
        return self._one(f"/v1/searches/{search_id}/series", SeriesView, chosen)

    def series_csv(self, search_id: str, **chosen: str | int) -> str:
        """Return `series` as CSV."""
        return self._request("GET", f"/v1/searches/{search_id}/series", params={**chosen, "format": "csv"}).text

    def leader(self, search_id: str, **chosen: int) -> LeaderView:
        """Return the genotype in front; `at` says after how many samples."""
        return self._one(f"/v1/searches/{search_id}/leader", LeaderView, chosen)

    def leader_diagram(self, search_id: str, theme: str = "light", **chosen: int) -> str:
        """Return the cells of the genotype in front as SVG."""
        return self._request("GET", f"/v1/searches/{search_id}/leader/diagram.svg", params={**chosen, "theme": theme}).text

    def report(self, search_id: str) -> bytes:
        """Return a search on one page, as HTML."""
        return self._request("GET", f"/v1/searches/{search_id}/report.html").content

    def events(self, search_id: str) -> Iterator[AnyEvent]:
        """Yield what happened to a search, oldest first."""
        return self._events(f"/v1/searches/{search_id}/events")

    def training_events(self, training_id: str) -> Iterator[AnyEvent]:
        """Yield what happened to a training, oldest first: teachers that were trained, trials that went on after they died."""
        return self._events(f"/v1/trainings/{training_id}/events")

    def registration_events(self, registration_id: str) -> Iterator[AnyEvent]:
        """Yield what happened to a registration, oldest first."""
        return self._events(f"/v1/registrations/{registration_id}/events")

    def events_of(self, job: JobView, *kinds: EventKind) -> Iterator[AnyEvent]:
        """Yield what happened to a job of any kind, oldest first; only events of some kinds, where they are given."""
        return self._events(f"{job.path}/events", *kinds)

    def stream(self, job: JobView, after: int | None = None, *, log: bool = False) -> Iterator[StreamMessage]:
        """Yield what happens to a job while it happens, until it is over; every event comes once, in order.

        A service that is away for a moment is waited for, and asked for what came after the last event.

        Args:
            job: Of any kind.
            after: Event after which to begin; left out: after `job.last_event`, when the job was looked at.
            log: Whether lines of the driver's log come too, as `log` messages.

        Raises:
            ApiError: If the job is deleted, or the service is away for longer than two minutes.
            httpx.TransportError: If the way to it is.
        """
        return follow(self._http, f"{job.path}/stream", job.last_event if after is None else after, log=log)

    def architectures(self, **filters: str) -> Iterator[ArchitectureView]:
        """Yield architectures; with `search=` those of one search by rank; with `controls="true"` those drawn to compare with."""
        return self._all("/v1/architectures", ArchitectureView, filters)

    def architecture(self, architecture_id: str) -> ArchitectureView:
        """Return an architecture."""
        return self._one(f"/v1/architectures/{architecture_id}", ArchitectureView)

    def candidates(self, **filters: str) -> Iterator[CandidateView]:
        """Yield candidates, newest first, without figures by class; filters are `training`, `search` and `architecture`."""
        return self._all("/v1/candidates", CandidateView, filters)

    def candidate(self, candidate_id: str) -> CandidateView:
        """Return a candidate with its figures by class (`metrics.test_classes`)."""
        return self._one(f"/v1/candidates/{candidate_id}", CandidateView)

    def comparison(self, training_id: str, *others: str) -> ComparisonView:
        """Return the methods of a training, or of several on the same data, compared: means, spreads, ranks, fronts.

        Raises:
            ApiError: If the trainings are not on the same data, or one is not there.
        """
        path, params = _compared(training_id, others)
        return self._one(path, ComparisonView, params)

    def train_hand_made(
        self,
        training_id: str,
        network: str = "resnet-20",
        channels: int | None = None,
        methods: Sequence[str] | None = None,
    ) -> JobView:
        """Queue a network of the literature to be trained as a training trains what was found; return its search.

        Args:
            training_id: Of the training that it stands beside.
            network: Name of a reference network.
            channels: Its width; None: that with which its OPs are nearest to those of what was found.
            methods: Names of methods of the training; None: the first, and all that cost alike at its width.
        """
        body = {"network": network, "channels": channels, "methods": methods and list(methods)}
        return self._submit(f"trainings/{training_id}/hand-made", body, None)

    def comparison_csv(self, training_id: str, *others: str) -> str:
        """Return the pairs of `comparison` as CSV."""
        path, params = _compared(training_id, others)
        return self._request("GET", path, params={**params, "format": "csv"}).text

    def correlation(self, search_id: str) -> CorrelationView:
        """Return a search's scores against the accuracies that its architectures reached when they were trained."""
        return self._one(f"/v1/searches/{search_id}/correlation", CorrelationView)

    def training_curves(
        self, training_id: str, fields: Sequence[str] = ("validation_accuracy", "train_loss"), points: int = 500
    ) -> CurvesView:
        """Return the epochs of all candidates of a training as columns, at most `points` each; extremes are kept."""
        params = {"fields": ",".join(fields), "points": points}
        return self._one(f"/v1/trainings/{training_id}/curves", CurvesView, params)

    def architecture_cost(self, architecture_id: str) -> ArchitectureCostView:
        """Return what an architecture costs, by cell, edge, layer and bit width."""
        return self._one(f"/v1/architectures/{architecture_id}/cost", ArchitectureCostView)

    def curves(self, candidate_id: str) -> Iterator[EpochReport]:
        """Yield the epochs of a candidate's training."""
        return self._all(f"/v1/candidates/{candidate_id}/curves", EpochReport, {})

    def catalogue(self, shelf: str) -> list[EntryView]:
        """Return the entries of `spaces`, `operations`, `templates`, `strategies`, `methods` or `datasets`."""
        return list(self._all(f"/v1/{shelf}", EntryView, {}))

    def register_dataset(self, name: str, kind: str, settings: Mapping[str, Any], idempotency_key: str | None = None) -> JobView:
        """Queue the registration of files under the service's data root; the name is known when it has succeeded.

        Raises:
            ApiError: If it is refused; its problem names every field that is wrong.
        """
        return self._submit("datasets", {"name": name, "kind": kind, "settings": settings}, idempotency_key)

    def dataset(self, name: str) -> DatasetView:
        """Return a dataset, built in or registered, with what was counted of it."""
        return self._one(f"/v1/datasets/{name}", DatasetView)

    def dataset_sheet(self, name: str) -> bytes:
        """Return a PNG of some training images of every class of a registered dataset."""
        return self._request("GET", f"/v1/datasets/{name}/sheet.png").content

    def delete_dataset(self, name: str) -> None:
        """Forget the name of a registered dataset; its files stay, and so do jobs that learnt it."""
        self._request("DELETE", f"/v1/datasets/{name}")

    def download(self, kind: str, identifier: str, file_format: str | None = None) -> tuple[str, bytes]:
        """Return file name and content of an artifact.

        Args:
            kind: `candidates` or `architectures`.
            identifier: Which one.
            file_format: Of a candidate: `bundle`, `c`, `onnx` or `safetensors`.
        """
        params = {"format": file_format} if file_format else {}
        reply = self._request("GET", f"/v1/{kind}/{identifier}/download", params=params)
        named = re.search(r'filename="([\w.-]+)"', reply.headers.get("Content-Disposition", ""))
        return (named[1] if named else f"{identifier}.bin"), reply.content

    def readiness(self) -> Readiness:
        """Return whether the service can work."""
        return Readiness.model_validate_json(self._http.get("/readyz").content)

    def _events(self, path: str, *kinds: EventKind) -> Iterator[AnyEvent]:
        return self._all(path, cast("type[AnyEvent]", EventView), {"kind": list(kinds)} if kinds else {})


def _compared(training_id: str, others: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return where trainings are compared: one has a place of its own."""
    if not others:
        return f"/v1/trainings/{training_id}/comparison", {}
    return "/v1/comparison", {"training": [training_id, *others]}

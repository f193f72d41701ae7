# Written by `python -m docs.synchronous` from api/asynchronous/result_calls.py: change that.
"""What `NasClient` asks of what jobs made: samples and arms, architectures, candidates."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.markup import Drawing
from api.rows import Rows
from api.saving import file_name
from api.search_views import ArmHistoryView, ArmTableView, BeliefsView, LeaderView, RoundsView, SeriesView
from api.synchronous.calls import Calls
from api.synchronous.jobs import Search
from api.synchronous.results import Architecture, Candidate
from api.training_views import ArchitectureCostView, ComparisonView, CorrelationView, CurvesView
from api.views import ArmView, BestView, SampleView
from nas_service.reports import EpochReport


class ResultCalls(Calls):
    """Samples, arms, architectures, candidates."""

    def best_of_search(self, search_id: str) -> BestView:
        """Return the best trained candidate of what a search found, judged on validation images."""
        return self._one(f"/v1/searches/{search_id}/best", BestView)

    def best_of_training(self, training_id: str) -> BestView:
        """Return the best candidate of a training, judged on validation images."""
        return self._one(f"/v1/trainings/{training_id}/best", BestView)

    def samples(self, search_id: str) -> Rows[SampleView]:
        """Return the samples of a search in order."""
        return self._all(f"/v1/searches/{search_id}/samples", SampleView, {})

    def sample(self, search_id: str, index: int) -> SampleView:
        """Return one sample of a search."""
        return self._one(f"/v1/searches/{search_id}/samples/{index}", SampleView)

    def sample_diagram(self, search_id: str, index: int, theme: str = "light") -> Drawing:
        """Return the cells of a sample as SVG."""
        return Drawing(
            (self._request("GET", f"/v1/searches/{search_id}/samples/{index}/diagram.svg", params={"theme": theme})).text
        )

    def arms(self, search_id: str, **chosen: str | int) -> Rows[ArmView]:
        """Return the arm table of a search; `at` or `round` says as of when, `cell` and `edge` which arms."""
        return self._all(f"/v1/searches/{search_id}/arms", ArmView, chosen)

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
        return (self._request("GET", f"/v1/searches/{search_id}/series", params={**chosen, "format": "csv"})).text

    def leader(self, search_id: str, **chosen: int) -> LeaderView:
        """Return the genotype in front; `at` says after how many samples."""
        return self._one(f"/v1/searches/{search_id}/leader", LeaderView, chosen)

    def leader_diagram(self, search_id: str, theme: str = "light", **chosen: int) -> Drawing:
        """Return the cells of the genotype in front as SVG."""
        return Drawing(
            (self._request("GET", f"/v1/searches/{search_id}/leader/diagram.svg", params={**chosen, "theme": theme})).text
        )

    def report(self, search_id: str) -> bytes:
        """Return a search on one page, as HTML."""
        return (self._request("GET", f"/v1/searches/{search_id}/report.html")).content

    def architectures(self, **filters: str) -> Rows[Architecture]:
        """Return architectures; with `search=` those of one search by rank; with `controls="true"` those to compare with."""
        return self._all("/v1/architectures", Architecture, filters)

    def architecture(self, architecture_id: str) -> Architecture:
        """Return an architecture."""
        return self._one(f"/v1/architectures/{architecture_id}", Architecture)

    def candidates(self, **filters: str) -> Rows[Candidate]:
        """Return candidates, newest first, without figures by class; filters are `training`, `search` and `architecture`."""
        return self._all("/v1/candidates", Candidate, filters)

    def candidate(self, candidate_id: str) -> Candidate:
        """Return a candidate with its figures by class (`metrics.test_classes`)."""
        return self._one(f"/v1/candidates/{candidate_id}", Candidate)

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
    ) -> Search:
        """Queue a network of the literature to be trained as a training trains what was found; return its search.

        Args:
            training_id: Of the training that it stands beside.
            network: Name of a reference network.
            channels: Its width; None: that with which its OPs are nearest to those of what was found.
            methods: Names of methods of the training; None: the first, and all that cost alike at its width.
        """
        body = {"network": network, "channels": channels, "methods": methods and list(methods)}
        return self._submit(f"trainings/{training_id}/hand-made", Search, body, None)

    def comparison_csv(self, training_id: str, *others: str) -> str:
        """Return the pairs of `comparison` as CSV."""
        path, params = _compared(training_id, others)
        return (self._request("GET", path, params={**params, "format": "csv"})).text

    def correlation(self, search_id: str) -> CorrelationView:
        """Return a search's scores against the accuracies that its architectures reached when they were trained."""
        return self._one(f"/v1/searches/{search_id}/correlation", CorrelationView)

    def training_curves(
        self, training_id: str, fields: Sequence[str] = ("validation_accuracy", "train_loss"), points: int = 500
    ) -> CurvesView:
        """Return the epochs of all candidates of a training as columns, at most `points` each; extremes are kept."""
        params = {"fields": ",".join(fields), "points": points}
        return self._one(f"/v1/trainings/{training_id}/curves", CurvesView, params)

    def architecture_diagram(self, architecture_id: str, theme: str = "light", compare: str | None = None) -> Drawing:
        """Return the cells of an architecture as SVG; `compare` is another one of the space: edges that differ are bold."""
        params = {"theme": theme} | ({"compare": compare} if compare else {})
        return Drawing((self._request("GET", f"/v1/architectures/{architecture_id}/diagram.svg", params=params)).text)

    def architecture_cost(self, architecture_id: str) -> ArchitectureCostView:
        """Return what an architecture costs, by cell, edge, layer and bit width."""
        return self._one(f"/v1/architectures/{architecture_id}/cost", ArchitectureCostView)

    def curves(self, candidate_id: str) -> Rows[EpochReport]:
        """Return the epochs of a candidate's training."""
        return self._all(f"/v1/candidates/{candidate_id}/curves", EpochReport, {})

    def download(self, kind: str, identifier: str, file_format: str | None = None) -> tuple[str, bytes]:
        """Return file name and content of an artifact.

        Args:
            kind: `candidates` or `architectures`.
            identifier: Which one.
            file_format: Of a candidate: `bundle`, `c`, `onnx` or `safetensors`.
        """
        params = {"format": file_format} if file_format else {}
        reply = self._request("GET", f"/v1/{kind}/{identifier}/download", params=params)
        return file_name(reply, f"{identifier}.bin"), reply.content

    def save(
        self, kind: str, identifier: str, path: str | os.PathLike[str] | None = None, file_format: str | None = None
    ) -> Path:
        """Save an artifact as it comes, and return where: it is there as a whole, or what was there before is.

        Args:
            kind: `candidates` or `architectures`.
            identifier: Which one.
            path: File or folder; None: the working folder, under the name that the service gives it.
            file_format: As of `download`.

        Raises:
            InvalidFieldError: If the file cannot be written; nothing was asked for then.
            ApiError: If there is no such file.
        """
        params = {"format": file_format} if file_format else {}
        return self._save(f"/v1/{kind}/{identifier}/download", params, path, f"{identifier}.bin")


def _compared(training_id: str, others: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return where trainings are compared: one has a place of its own."""
    if not others:
        return f"/v1/trainings/{training_id}/comparison", {}
    return "/v1/comparison", {"training": [training_id, *others]}

"""What `AsyncNasClient` asks of what jobs made: samples and arms, architectures, candidates."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.asynchronous.calls import AsyncCalls
from api.asynchronous.jobs import AsyncSearch
from api.asynchronous.results import AsyncArchitecture, AsyncCandidate
from api.markup import Drawing
from api.rows import AsyncRows
from api.saving import file_name
from api.search_views import ArmHistoryView, ArmTableView, BeliefsView, LeaderView, RoundsView, SeriesView
from api.training_views import ArchitectureCostView, ComparisonView, CorrelationView, CurvesView
from api.views import ArmView, BestView, SampleView
from nas_service.reports import EpochReport


class AsyncResultCalls(AsyncCalls):
    """Samples, arms, architectures, candidates."""

    async def best_of_search(self, search_id: str) -> BestView:
        """Return the best trained candidate of what a search found, judged on validation images."""
        return await self._one(f"/v1/searches/{search_id}/best", BestView)

    async def best_of_training(self, training_id: str) -> BestView:
        """Return the best candidate of a training, judged on validation images."""
        return await self._one(f"/v1/trainings/{training_id}/best", BestView)

    def samples(self, search_id: str) -> AsyncRows[SampleView]:
        """Return the samples of a search in order."""
        return self._all(f"/v1/searches/{search_id}/samples", SampleView, {})

    async def sample(self, search_id: str, index: int) -> SampleView:
        """Return one sample of a search."""
        return await self._one(f"/v1/searches/{search_id}/samples/{index}", SampleView)

    async def sample_diagram(self, search_id: str, index: int, theme: str = "light") -> Drawing:
        """Return the cells of a sample as SVG."""
        return Drawing(
            (await self._request("GET", f"/v1/searches/{search_id}/samples/{index}/diagram.svg", params={"theme": theme})).text
        )

    def arms(self, search_id: str, **chosen: str | int) -> AsyncRows[ArmView]:
        """Return the arm table of a search; `at` or `round` says as of when, `cell` and `edge` which arms."""
        return self._all(f"/v1/searches/{search_id}/arms", ArmView, chosen)

    async def arm_table(self, search_id: str, **chosen: int) -> ArmTableView:
        """Return the arm table of a search as columns; `at` or `round` says as of when."""
        return await self._one(f"/v1/searches/{search_id}/arms/table", ArmTableView, chosen)

    async def beliefs(self, search_id: str, **chosen: int) -> BeliefsView:
        """Return how far a search's models believe what they know beside arms; `at` or `round` says as of when."""
        return await self._one(f"/v1/searches/{search_id}/beliefs", BeliefsView, chosen)

    async def arm_history(self, search_id: str, cell: str, edge: str, points: int = 500) -> ArmHistoryView:
        """Return the arms of one edge over time."""
        chosen: dict[str, str | int] = {"cell": cell, "edge": edge, "points": points}
        return await self._one(f"/v1/searches/{search_id}/arms/history", ArmHistoryView, chosen)

    async def rounds(self, search_id: str) -> RoundsView:
        """Return the rounds of a search that are over."""
        return await self._one(f"/v1/searches/{search_id}/rounds", RoundsView)

    async def series(self, search_id: str, **chosen: str | int) -> SeriesView:
        """Return the samples of a search as columns; `fields`, `points` and `after` say which."""
        return await self._one(f"/v1/searches/{search_id}/series", SeriesView, chosen)

    async def series_csv(self, search_id: str, **chosen: str | int) -> str:
        """Return `series` as CSV."""
        return (await self._request("GET", f"/v1/searches/{search_id}/series", params={**chosen, "format": "csv"})).text

    async def leader(self, search_id: str, **chosen: int) -> LeaderView:
        """Return the genotype in front; `at` says after how many samples."""
        return await self._one(f"/v1/searches/{search_id}/leader", LeaderView, chosen)

    async def leader_diagram(self, search_id: str, theme: str = "light", **chosen: int) -> Drawing:
        """Return the cells of the genotype in front as SVG."""
        return Drawing(
            (await self._request("GET", f"/v1/searches/{search_id}/leader/diagram.svg", params={**chosen, "theme": theme})).text
        )

    async def report(self, search_id: str) -> bytes:
        """Return a search on one page, as HTML."""
        return (await self._request("GET", f"/v1/searches/{search_id}/report.html")).content

    def architectures(self, **filters: str) -> AsyncRows[AsyncArchitecture]:
        """Return architectures; with `search=` those of one search by rank; with `controls="true"` those to compare with."""
        return self._all("/v1/architectures", AsyncArchitecture, filters)

    async def architecture(self, architecture_id: str) -> AsyncArchitecture:
        """Return an architecture."""
        return await self._one(f"/v1/architectures/{architecture_id}", AsyncArchitecture)

    def candidates(self, **filters: str) -> AsyncRows[AsyncCandidate]:
        """Return candidates, newest first, without figures by class; filters are `training`, `search` and `architecture`."""
        return self._all("/v1/candidates", AsyncCandidate, filters)

    async def candidate(self, candidate_id: str) -> AsyncCandidate:
        """Return a candidate with its figures by class (`metrics.test_classes`)."""
        return await self._one(f"/v1/candidates/{candidate_id}", AsyncCandidate)

    async def comparison(self, training_id: str, *others: str) -> ComparisonView:
        """Return the methods of a training, or of several on the same data, compared: means, spreads, ranks, fronts.

        Raises:
            ApiError: If the trainings are not on the same data, or one is not there.
        """
        path, params = _compared(training_id, others)
        return await self._one(path, ComparisonView, params)

    async def train_hand_made(
        self,
        training_id: str,
        network: str = "resnet-20",
        channels: int | None = None,
        methods: Sequence[str] | None = None,
    ) -> AsyncSearch:
        """Queue a network of the literature to be trained as a training trains what was found; return its search.

        Args:
            training_id: Of the training that it stands beside.
            network: Name of a reference network.
            channels: Its width; None: that with which its OPs are nearest to those of what was found.
            methods: Names of methods of the training; None: the first, and all that cost alike at its width.
        """
        body = {"network": network, "channels": channels, "methods": methods and list(methods)}
        return await self._submit(f"trainings/{training_id}/hand-made", AsyncSearch, body, None)

    async def comparison_csv(self, training_id: str, *others: str) -> str:
        """Return the pairs of `comparison` as CSV."""
        path, params = _compared(training_id, others)
        return (await self._request("GET", path, params={**params, "format": "csv"})).text

    async def correlation(self, search_id: str) -> CorrelationView:
        """Return a search's scores against the accuracies that its architectures reached when they were trained."""
        return await self._one(f"/v1/searches/{search_id}/correlation", CorrelationView)

    async def training_curves(
        self, training_id: str, fields: Sequence[str] = ("validation_accuracy", "train_loss"), points: int = 500
    ) -> CurvesView:
        """Return the epochs of all candidates of a training as columns, at most `points` each; extremes are kept."""
        params = {"fields": ",".join(fields), "points": points}
        return await self._one(f"/v1/trainings/{training_id}/curves", CurvesView, params)

    async def architecture_diagram(self, architecture_id: str, theme: str = "light", compare: str | None = None) -> Drawing:
        """Return the cells of an architecture as SVG; `compare` is another one of the space: edges that differ are bold."""
        params = {"theme": theme} | ({"compare": compare} if compare else {})
        return Drawing((await self._request("GET", f"/v1/architectures/{architecture_id}/diagram.svg", params=params)).text)

    async def architecture_cost(self, architecture_id: str) -> ArchitectureCostView:
        """Return what an architecture costs, by cell, edge, layer and bit width."""
        return await self._one(f"/v1/architectures/{architecture_id}/cost", ArchitectureCostView)

    def curves(self, candidate_id: str) -> AsyncRows[EpochReport]:
        """Return the epochs of a candidate's training."""
        return self._all(f"/v1/candidates/{candidate_id}/curves", EpochReport, {})

    async def download(self, kind: str, identifier: str, file_format: str | None = None) -> tuple[str, bytes]:
        """Return file name and content of an artifact.

        Args:
            kind: `candidates` or `architectures`.
            identifier: Which one.
            file_format: Of a candidate: `bundle`, `c`, `onnx` or `safetensors`.
        """
        params = {"format": file_format} if file_format else {}
        reply = await self._request("GET", f"/v1/{kind}/{identifier}/download", params=params)
        return file_name(reply, f"{identifier}.bin"), reply.content

    async def save(
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
        return await self._save(f"/v1/{kind}/{identifier}/download", params, path, f"{identifier}.bin")


def _compared(training_id: str, others: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return where trainings are compared: one has a place of its own."""
    if not others:
        return f"/v1/trainings/{training_id}/comparison", {}
    return "/v1/comparison", {"training": [training_id, *others]}

"""Architectures and candidates that can be asked."""

import os
from pathlib import Path

from api.asynchronous.calls import AsyncBound
from api.drawings import draw_view
from api.markup import Drawing
from api.rows import AsyncRows
from api.training_views import ArchitectureCostView
from api.views import ArchitectureView, CandidateView
from nas_service.reports import EpochReport


class AsyncArchitecture(ArchitectureView, AsyncBound):
    """An architecture: what is known of it, and its picture, parts and files."""

    def _repr_html_(self) -> str:
        """Draw its figures, for notebooks, below its cells where these can be asked for at once."""
        svg: Drawing | None = None
        # synchronous form: svg = self.diagram()
        return draw_view(self, svg)

    async def diagram(self, theme: str = "auto", compare: "str | ArchitectureView | None" = None) -> Drawing:
        """Return its cells as a picture.

        Args:
            theme: `light`, `dark`, or `auto`: as the reader's browser prefers.
            compare: Another architecture of the space, or its id: edges that differ are bold.
        """
        other = compare if compare is None or isinstance(compare, str) else compare.id
        return await self._client.architecture_diagram(self.id, theme, other)

    async def cost_by_part(self) -> ArchitectureCostView:
        """Return what it costs, by cell, edge, layer and bit width."""
        return await self._client.architecture_cost(self.id)

    def candidates(self) -> "AsyncRows[AsyncCandidate]":
        """Return the networks of it that were trained, newest first."""
        return self._client.candidates(architecture=self.id)

    async def download(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Save its bundle, which has no weights, and return where.

        Args:
            path: File or folder; None: the working folder.

        Raises:
            InvalidFieldError: If the file cannot be written; nothing was asked for then.
        """
        return await self._client.save("architectures", self.id, path)


class AsyncCandidate(CandidateView, AsyncBound):
    """A candidate: what is known of it, its curves and its files."""

    def _repr_html_(self) -> str:
        """Draw its figures, for notebooks."""
        return draw_view(self)

    async def refresh(self) -> "AsyncCandidate":
        """Look again how it stands, figures by class included."""
        self.__dict__.update((await self._client.candidate(self.id)).__dict__)
        return self

    def curves(self) -> AsyncRows[EpochReport]:
        """Return the epochs of its training."""
        return self._client.curves(self.id)

    async def architecture(self) -> AsyncArchitecture:
        """Return what was trained."""
        return await self._client.architecture(self.architecture_id)

    async def download(self, path: str | os.PathLike[str] | None = None, format: str | None = None) -> Path:  # noqa: A002 - the route's own word
        """Save a file of it and return where.

        Args:
            path: File or folder; None: the working folder, under the name that the service gives it.
            format: `bundle` (the default), `c`, `onnx`, `qonnx` or `safetensors`.

        Raises:
            InvalidFieldError: If the file cannot be written; nothing was asked for then.
            ApiError: If the candidate is not trained, or has no such form.
        """
        return await self._client.save("candidates", self.id, path, format)

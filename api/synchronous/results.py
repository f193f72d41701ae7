# Written by `python -m docs.synchronous` from api/asynchronous/results.py: change that.
"""Architectures and candidates that can be asked."""

import os
from pathlib import Path

from api.drawings import draw_view
from api.markup import Drawing
from api.rows import Rows
from api.synchronous.calls import Bound
from api.training_views import ArchitectureCostView
from api.views import ArchitectureView, CandidateView
from nas_service.reports import EpochReport


class Architecture(ArchitectureView, Bound):
    """An architecture: what is known of it, and its picture, parts and files."""

    def _repr_html_(self) -> str:
        """Draw its figures, for notebooks, below its cells where these can be asked for at once."""
        svg: Drawing | None = None
        svg = self.diagram()
        return draw_view(self, svg)

    def diagram(self, theme: str = "auto", compare: "str | ArchitectureView | None" = None) -> Drawing:
        """Return its cells as a picture.

        Args:
            theme: `light`, `dark`, or `auto`: as the reader's browser prefers.
            compare: Another architecture of the space, or its id: edges that differ are bold.
        """
        other = compare if compare is None or isinstance(compare, str) else compare.id
        return self._client.architecture_diagram(self.id, theme, other)

    def cost_by_part(self) -> ArchitectureCostView:
        """Return what it costs, by cell, edge, layer and bit width."""
        return self._client.architecture_cost(self.id)

    def candidates(self) -> "Rows[Candidate]":
        """Return the networks of it that were trained, newest first."""
        return self._client.candidates(architecture=self.id)

    def download(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Save its bundle, which has no weights, and return where.

        Args:
            path: File or folder; None: the working folder.

        Raises:
            InvalidFieldError: If the file cannot be written; nothing was asked for then.
        """
        return self._client.save("architectures", self.id, path)


class Candidate(CandidateView, Bound):
    """A candidate: what is known of it, its curves and its files."""

    def _repr_html_(self) -> str:
        """Draw its figures, for notebooks."""
        return draw_view(self)

    def refresh(self) -> "Candidate":
        """Look again how it stands, figures by class included."""
        self.__dict__.update((self._client.candidate(self.id)).__dict__)
        return self

    def curves(self) -> Rows[EpochReport]:
        """Return the epochs of its training."""
        return self._client.curves(self.id)

    def architecture(self) -> Architecture:
        """Return what was trained."""
        return self._client.architecture(self.architecture_id)

    def download(self, path: str | os.PathLike[str] | None = None, format: str | None = None) -> Path:  # noqa: A002 - the route's own word
        """Save a file of it and return where.

        Args:
            path: File or folder; None: the working folder, under the name that the service gives it.
            format: `bundle` (the default), `c`, `onnx`, `qonnx` or `safetensors`.

        Raises:
            InvalidFieldError: If the file cannot be written; nothing was asked for then.
            ApiError: If the candidate is not trained, or has no such form.
        """
        return self._client.save("candidates", self.id, path, format)

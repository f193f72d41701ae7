"""What `search(...)` and `train(...)` take: the fields of their specs, as a caller writes them. The service checks them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from api.views import ArchitectureView, CandidateView, JobView

Named = str | Mapping[str, Any]  # a registered thing by name, or with settings: {"name": ..., "settings": {...}}
Section = Mapping[str, Any]


class SearchFields(TypedDict, total=False):
    """Fields of a search; `nas_service/specs.py` and `GET /v1/specs/search` say what each means."""

    name: str
    space: Named
    dataset: Named
    method: Named
    strategy: Named
    seed: int
    wave: int
    evaluation: Section
    from_search: Named | JobView
    constraints: Section | None
    objectives: Sequence[str]
    resources: Section
    keep: int
    training: Section | None


class TrainingFields(TypedDict, total=False):
    """Fields of a training, likewise."""

    name: str
    architectures: Iterable[str | ArchitectureView]
    space: Named
    teacher: str | CandidateView | None
    dataset: Named
    methods: Sequence[Named]
    seeds: Sequence[int]
    recipe: Section
    early_stopping: Section | None
    robustness: Section | None
    resources: Section


def body_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as they are sent: a search, an architecture or a candidate among them is told by its id."""
    return {name: _told(value) for name, value in fields.items()}


def _told(value: Any) -> Any:  # noqa: ANN401 - JSON, or views
    if isinstance(value, ArchitectureView | CandidateView | JobView):
        return value.id
    if isinstance(value, str | Mapping) or not hasattr(value, "__iter__"):
        return value
    return [_told(entry) for entry in value]

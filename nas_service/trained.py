"""What is known of candidates that were trained and of their trainings, for comparing them: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_service.reports import CandidateMetrics
from nas_service.search.control import Control


@dataclass(frozen=True)
class FoundArchitecture:
    """Where an architecture comes from.

    Attributes:
        id: Its id.
        search: Id of the search that found it.
        rank: Among what the search found, 1 best.
        score: What the search thought of it, in the unit of the search's strategy.
        control: Which kind of control it is, if the search drew it for comparison: then rank and score say nothing.
    """

    id: str
    search: str
    rank: int
    score: float
    control: Control | None = None


@dataclass(frozen=True)
class TrainedCandidate:
    """What is compared of a candidate that succeeded.

    Attributes:
        id: Its id; ids grow with time.
        training: Id of the training that it belongs to.
        found: Its architecture.
        method: Name, settings and recipe, as it was asked for.
        label: What tells its method from the others that are compared: `method_label`.
        seed: Of weights and order of images.
        metrics: Accuracies and, if it was attacked, what it stands.
        cost: Of the frozen network, as `Cost.to_dict`.
        seconds: Of its training.
        space: Of the network that was trained, name and settings: those that the training gave, not the search.
    """

    id: str
    training: str
    found: FoundArchitecture
    method: Mapping[str, Any]
    label: str
    seed: int
    metrics: CandidateMetrics
    cost: Mapping[str, float]
    seconds: float
    space: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingFacts:
    """What is known of a training.

    Attributes:
        id: Its id.
        spec: As it was submitted.
        digest: Of its images, classes and split; None before it has read them, or if an earlier version read them.
    """

    id: str
    spec: Mapping[str, Any]
    digest: str | None


@dataclass(frozen=True)
class LiveJob:
    """A search or training that is not over.

    Attributes:
        id: Its id.
        kind: Search or training.
        state: Where it stands.
        spec: As it was submitted.
    """

    id: str
    kind: str
    state: str
    spec: Mapping[str, Any]

    @property
    def training(self) -> TrainingFacts | None:
        """Return what is known of the training that it is, or will start; None where it starts none."""
        section = self.spec if "methods" in self.spec else self.spec.get("training")
        return None if section is None else TrainingFacts(self.id, {**section, "dataset": self.spec["dataset"]}, None)


@dataclass(frozen=True)
class SpentSteps:
    """What a search took.

    Attributes:
        steps: Optimizer steps of all its samples.
        images: Training images; None if it has not told.
    """

    steps: int
    images: int | None
